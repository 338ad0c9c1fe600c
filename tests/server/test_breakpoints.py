"""A job pauses by itself where its breakpoints say, on a real server."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from midrun.state.breakpoints.breakpoints import OF_A_NODE
from resuming import latent
from test_control import expected, kinds, start
from test_editing import put


def breakpoints(comfy: Comfy, job_id: str, *given: dict[str, Any]) -> None:
    status, told = comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", {"breakpoints": list(given)})
    assert status == 200, told


def resume(comfy: Comfy, job: dict[str, Any]) -> None:
    """Until it went on from there, though it may be paused again already."""
    hits = sum(one["hits"] for one in job["breakpoints"])
    comfy.verb(job["job_id"], "resume")

    def gone_on() -> bool:
        now = comfy.job(job["job_id"])
        return now["state"] != "paused" or sum(one["hits"] for one in now["breakpoints"]) > hits

    comfy.until(gone_on, "it to go on")


def queued(comfy: Comfy, *given: dict[str, Any], **options: Any) -> str:
    """A job whose sampler node carries these in the workflow."""
    nodes = [{"id": "sampler", "type": "MidrunKSampler", "properties": {OF_A_NODE: list(given)}}]
    extra = {"extra_pnginfo": {"workflow": {"nodes": nodes}}}
    return comfy.queue(graphs.base(**options), extra_data=extra)


@pytest.mark.parametrize(
    ("given", "stops"),
    [
        ([{"kind": "step", "value": 2}], [2]),
        ([{"kind": "every", "value": 2}], [2, 4, 6]),
        ([{"kind": "sigma_below", "value": 3.0}, {"kind": "step", "value": 1, "enabled": False}], None),
        ([{"kind": "change_below", "value": 100}], [2]),
    ],
)
def test_a_job_pauses_by_itself_and_goes_on_as_if_it_had_not(
    comfy: Comfy, given: list[dict[str, Any]], stops: list[int] | None
) -> None:
    key = f"break-{given[0]['kind']}"
    job_id = queued(comfy, *given, key=key)
    seen = []
    while (job := comfy.wait_for(job_id, "paused", "completed"))["state"] == "paused":
        assert job["pause_reason"] == "breakpoint"
        seen.append(job["step"])
        resume(comfy, job)
    assert seen == stops if stops is not None else len(seen) == 1
    assert next(one for one in job["breakpoints"] if one["kind"] == given[0]["kind"])["hits"] == len(seen)
    assert torch.equal(latent(comfy, job_id), expected(comfy))


def test_one_that_only_logs_lets_the_job_go_on(comfy: Comfy) -> None:
    job_id = queued(comfy, {"kind": "every", "value": 1, "action": "log"}, key="break-log")
    job = comfy.wait_for(job_id, "completed")
    assert job["breakpoints"][-1]["hits"] == 6 and kinds(comfy, job_id).count("breakpoint") == 6


def test_a_nan_pauses_the_job_at_the_last_good_step_until_its_cause_is_edited(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="nan", probe={"nan_at": 4}))
    for runs in (1, 2):  # resumed without an edit it is met again
        job = comfy.until(
            lambda runs=runs: (
                (job := comfy.job(job_id))["breakpoints"][0]["hits"] == runs
                and job["state"] == "paused"
                and job
            ),
            "the NaN",
        )
        assert (job["pause_reason"], job["step"], job["evaluations"], job["held"]) == ("nan", 3, 3, True)
        if runs == 1:
            put(comfy, job_id, ("probe", "key", "nan-again"))
            put(comfy, job_id, ("probe", "nan_at", 1))
            comfy.verb(job_id, "resume")
    put(comfy, job_id, ("probe", "nan_at", 0))
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_a_nan_in_the_seventh_step_leaves_six_good_ones(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="nan-7", steps=10, probe={"nan_at": 7}))
    job = comfy.wait_for(job_id, "paused")
    assert (job["pause_reason"], job["step"], job["evaluations"]) == ("nan", 6, 6)
    put(comfy, job_id, ("probe", "nan_at", 0))
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy, steps=10))


def test_a_job_resumed_before_it_stood_at_a_nan_goes_back_to_the_last_good_step(comfy: Comfy) -> None:
    """The evaluation after it is deaf to the interrupt, as kernels are that a GPU was given."""
    probe = {"nan_at": 4, "deaf": True, "hollow": True}
    job_id = comfy.queue(graphs.base(key="nan-resumed", gates="5", probe=probe))
    comfy.wait_at_gate("nan-resumed", 5)
    comfy.wait_for(job_id, "pausing")
    assert comfy.verb(job_id, "resume")[0] == 202
    comfy.open_gate("nan-resumed", 5)
    job = comfy.wait_for(job_id, "completed")
    assert (job["step"], job["evaluations"]) == (6, 6)
    wanted = comfy.queue(graphs.base(watched=False, key="nan-hollow", probe={"hollow": True}))
    assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, wanted))


def test_a_model_that_raises_because_of_a_nan_leaves_the_job_paused_before_it(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="nan-raises", probe={"nan_at": 4, "fail_at": 5}))
    job = comfy.wait_for(job_id, "paused", "failed")
    assert (job["state"], job["pause_reason"], job["evaluations"]) == ("paused", "nan", 3)
    put(comfy, job_id, ("probe", "nan_at", 0))
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_a_sampler_that_raises_because_of_a_nan_leaves_the_job_paused_before_it(comfy: Comfy) -> None:
    graph = graphs.double(graphs.base(watched=False, key="nan-strict", probe={"nan_at": 4}), strict=True)
    job_id = comfy.queue(graphs.behind_attach(graph))
    job = comfy.wait_for(job_id, "paused", "failed")
    assert (job["state"], job["pause_reason"], job["evaluations"]) == ("paused", "nan", 3)
    put(comfy, job_id, ("probe", "nan_at", 0))
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    wanted = comfy.queue(graphs.double(graphs.base(watched=False, key="nan-strict-whole")))
    assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, wanted))


def tiled(comfy: Comfy, key: str, **options: Any) -> tuple[str, torch.Tensor]:
    """A job of a node that samples four times, three steps each, and what it makes without Midrun."""
    stock = comfy.queue(graphs.tiles(graphs.base(watched=False)))
    graph = graphs.behind_attach(graphs.tiles(graphs.base(watched=False, key=key, **options)))
    return comfy.queue(graph), latent(comfy, stock)


@pytest.mark.parametrize(
    ("given", "stops"),
    [
        ({"kind": "every", "value": 1}, [(2, 2), (3, 3)]),
        ({"kind": "step", "value": 3}, [(3, 3)]),
        ({"kind": "step", "value": 1}, []),
        ({"kind": "sigma_below", "value": 3.0}, [(2, 2)]),
        ({"kind": "change_below", "value": 100}, [(2, 2)]),
        ({"kind": "node", "node_id": "sampler"}, [(1, 1)]),
    ],
)
@pytest.mark.parametrize("where", ["completed", "in the third"])
def test_breakpoints_hold_after_a_rewind_into_a_node_that_samples_many_times(
    comfy: Comfy, given: dict[str, Any], stops: list[tuple[int, int]], where: str
) -> None:
    key = f"tiles-{where}-{given['kind']}-{given.get('value')}"
    gates = "" if where == "completed" else "9"
    job_id, want = tiled(comfy, key, gates=gates)
    if gates:
        comfy.wait_at_gate(key, 9)
        comfy.verb(job_id, "pause", query="?wait=30")
    else:
        comfy.wait_for(job_id, "completed")
    job = comfy.verb(job_id, "rewind", {"step": 1})[1]
    assert (job["state"], job["step"], job["evaluations"]) == ("paused", 1, 1)
    breakpoints(comfy, job_id, given)
    before, seen = comfy.probe(key)["done"], []
    comfy.verb(job_id, "resume")
    while (job := comfy.wait_for(job_id, "paused", "completed"))["state"] == "paused":
        assert job["pause_reason"] == "breakpoint"
        seen.append((job["step"], job["evaluations"]))
        hits = job["breakpoints"][0]["hits"]
        if hits == len(stops) and gates:  # the last tile is another passage
            breakpoints(comfy, job_id)
        resume(comfy, job)
    assert seen == stops or (not stops and gates and seen[0] == (1, 1))
    assert comfy.probe(key)["done"] - before == (5 if gates else 2)
    assert torch.equal(latent(comfy, job["prompt_id"]), want)


def test_a_nan_and_a_failure_pause_in_a_call_that_was_rewound(comfy: Comfy) -> None:
    job_id, want = tiled(comfy, "tiles-nan")
    comfy.wait_for(job_id, "completed")
    comfy.verb(job_id, "rewind", {"step": 1})
    put(comfy, job_id, ("probe", "nan_at", 13))  # the next that is computed
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "paused")
    assert (job["pause_reason"], job["step"], job["evaluations"]) == ("nan", 1, 1)
    put(comfy, job_id, ("probe", "nan_at", 0))
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), want)


def test_without_the_breakpoint_a_nan_is_sampled_to_the_end(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="nan-off", gates="2", probe={"nan_at": 4}))
    comfy.wait_at_gate("nan-off", 2)
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}/breakpoints") == (200, {"breakpoints": []})
    comfy.open_gate("nan-off", 2)
    comfy.wait_for(job_id, "completed")
    assert torch.isnan(latent(comfy, job_id)).any()


def test_an_exception_pauses_a_job_that_waits_for_one(comfy: Comfy) -> None:
    fails = {"fail_at": 4, "out_of_memory": True}
    job_id = queued(comfy, {"kind": "exception"}, key="break-error", probe=fails)
    job = comfy.wait_for(job_id, "paused")
    assert (job["pause_reason"], job["step"], job["held"]) == ("breakpoint", 3, True)
    assert "simulated" in job["error"]["message"] and job["gpu_released"]
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert job["error"] is None and comfy.probe("break-error")["done"] == 6
    assert torch.equal(latent(comfy, job_id), expected(comfy))


def test_breakpoints_are_set_read_and_cleared(comfy: Comfy) -> None:
    job_id = start(comfy, "break-set", "2")
    comfy.wait_at_gate("break-set", 2)
    assert comfy.get(f"/midrun/jobs/{job_id}/breakpoints")["breakpoints"][0]["kind"] == "nan"
    breakpoints(comfy, job_id, {"kind": "step", "value": 3})
    assert [one["kind"] for one in comfy.job(job_id)["breakpoints"]] == ["step"]
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", {"breakpoints": [{"kind": "x"}]})[0] == 400
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", {})[0] == 400
    comfy.open_gate("break-set", 2)
    assert comfy.wait_for(job_id, "paused")["step"] == 3
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
