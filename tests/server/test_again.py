"""What a resume does again, and what it does not: wildcards, outputs, calls of packs that do not listen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from test_control import pause_at, start
from test_surviving import parked_at, warnings


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server whose cache keeps nothing."""
    server = Comfy(tmp_path_factory.mktemp("forgetful"), args=("--cache-none",)).start()
    yield server
    server.stop()


MANY = 150 if os.environ.get("MIDRUN_FULL") else 40  # prompts in the queue when the server is killed


def free(comfy: Comfy) -> None:
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")


def edited(
    comfy: Comfy, key: str, graph: graphs.Graph, value: float = 7.0
) -> tuple[dict[str, Any], torch.Tensor]:
    """The job at its end, with another cfg from step 3 on, and its latent."""
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, key, 4)
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"cfg": value}})[0] == 200
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    return job, latent(comfy, job["prompt_id"])


# -- wildcards -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["hold", "park"])
def test_a_wildcard_is_not_drawn_again_when_something_else_is_edited(comfy: Comfy, policy: str) -> None:
    key = f"dice-{policy}"
    plain = graphs.base(key=f"{key}-plain", gates="4", queue_policy=policy)
    plain["positive"]["inputs"]["seed"] = 101
    _, expected = edited(comfy, f"{key}-plain", plain)
    graph = graphs.with_dice(graphs.base(key=key, gates="4", queue_policy=policy), key)
    job, got = edited(comfy, key, graph)
    assert torch.equal(got, expected) and warnings(job) == {}
    stored = comfy.get(f"/midrun/jobs/{job['job_id']}/params")["nodes"]
    assert "seed" not in stored["positive"]["inputs"], "the job's own workflow has the link still"


def test_a_wildcard_is_not_drawn_again_after_a_park_or_a_restart(tmp_path: Path) -> None:
    comfy = Comfy(tmp_path).start()
    try:
        plain = graphs.base(watched=False, key="plain")
        plain["positive"]["inputs"]["seed"] = 101
        expected = latent(comfy, comfy.queue(plain))
        for key in ("park", "restart"):
            graph = graphs.with_dice(graphs.base(key=key, gates="4", queue_policy="park"), key)
            job_id = parked_at(comfy, key, 4, graph)
            if key == "restart":
                comfy.kill()
                comfy.start()
            assert comfy.verb(job_id, "resume")[0] == 202
            job = comfy.wait_for(job_id, "completed")
            assert torch.equal(latent(comfy, job["prompt_id"]), expected) and warnings(job) == {}
    finally:
        comfy.stop()


def test_an_edit_of_the_wildcard_itself_draws_it_again(comfy: Comfy) -> None:
    graph = graphs.with_dice(graphs.base(key="redrawn", gates="4", queue_policy="park"), "redrawn")
    job_id = parked_at(comfy, "redrawn", 4, graph)
    put = {"dice": {"key": "redrawn-other"}}
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", put)[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert warnings(job) == {}, "what an edit changes is no surprise"
    plain = graphs.base(key="redrawn-plain", gates="4", queue_policy="park")
    plain["positive"]["inputs"]["seed"] = 101
    same = parked_at(comfy, "redrawn-plain", 4, plain)
    comfy.verb(same, "resume")
    untouched = comfy.wait_for(same, "completed")
    # The dice of another key begin anew with 101: it was rolled again, and gave the same for once.
    assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, untouched["prompt_id"]))


def test_what_cannot_be_kept_is_told_before_the_resume_and_after_it_though_another_input_was_edited(
    comfy: Comfy,
) -> None:
    graph = graphs.base(key="again-tensor", gates="3,5", queue_policy="park")
    job_id = parked_at(comfy, "again-tensor", 3, graphs.with_dice(graph, "again-tensor", kept=False))
    job = comfy.job(job_id)
    assert "dice (TestDice)" in warnings(job)["not_kept"]
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"cfg": 7.0}})[0] == 200
    comfy.verb(job_id, "resume")
    job = pause_at(comfy, job_id, "again-tensor", 5)
    assert "its positive:" in warnings(job)["inputs_changed"] and "not_kept" in warnings(job)
    free(comfy)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert "its positive:" in warnings(job)["inputs_changed"], "an edit long ago silences nothing"


# -- outputs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", [False, True])
def test_an_output_behind_an_earlier_sampler_is_made_once(forgetful: Comfy, edit: bool) -> None:
    comfy, key = forgetful, f"once-{edit}"
    graph = graphs.in_series(graphs.base(key=key, gates="8", queue_policy="park"))
    graph["first_save"]["inputs"]["filename_prefix"] = f"latents/{key}"
    job_id = parked_at(comfy, key, 8, graph)
    made = list((comfy.base / "output" / "latents").glob(f"{key}_*"))
    assert len(made) == 1
    if edit:
        assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"second": {"cfg": 7.0}})[0] == 200
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert list((comfy.base / "output" / "latents").glob(f"{key}_*")) == made
    shown = comfy.until(
        lambda: (
            (found := comfy.wait_ended(job["prompt_id"])["outputs"]).keys() >= {"save", "first_save"}
            and found
        ),
        "both outputs in the history",
    )
    assert len(shown["first_save"]["latents"]) == 1


def test_an_output_that_an_edit_changes_is_made_again(comfy: Comfy) -> None:
    graph = graphs.in_series(graphs.base(key="again-changed", gates="8", queue_policy="park"))
    graph["note"] = graphs.node("SaveLatent", samples=["latent", 0], filename_prefix="latents/changed")
    job_id = parked_at(comfy, "again-changed", 8, graph)
    put = {"note": {"filename_prefix": "latents/changed-again"}}
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", put)[0] == 200
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    folder = comfy.base / "output" / "latents"
    assert len(list(folder.glob("changed_*"))) == len(list(folder.glob("changed-again_*"))) == 1


def test_a_rewind_to_the_first_sampler_makes_its_output_again(comfy: Comfy) -> None:
    graph = graphs.in_series(graphs.base(key="again-back", gates="8", queue_policy="park"))
    graph["first_save"]["inputs"]["filename_prefix"] = "latents/back"
    job_id = parked_at(comfy, "again-back", 8, graph)
    assert comfy.verb(job_id, "rewind", {"node_id": "sampler", "step": 3})[0] == 200
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"cfg": 9.0}})[0] == 200
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    assert len(list((comfy.base / "output" / "latents").glob("back_*"))) == 2


# -- packs that catch the interrupt ----------------------------------------------------------------------


def test_a_pack_that_samples_again_does_not_set_a_parked_job_back(comfy: Comfy) -> None:
    graph = graphs.behind_attach(
        graphs.stubborn(graphs.base(watched=False, key="again-again", gates="4"), again=True),
        queue_policy="park",
    )
    job_id = parked_at(comfy, "again-again", 4, graph)
    job = comfy.job(job_id)
    assert (job["state"], job["step"], job["evaluations"]) == ("paused", 3, 3)
    status, answer = comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"seed": 8}})
    assert (status, answer["error"]["code"]) == (422, "invalid_params")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    expected = latent(comfy, comfy.queue(graphs.base(watched=False)))
    assert torch.equal(latent(comfy, job["prompt_id"]), expected)


def test_a_pack_that_carries_on_with_nothing_does_not_end_a_parked_prompt_well(comfy: Comfy) -> None:
    graph = graphs.stubborn(graphs.base(watched=False, key="again-carry", gates="4"), again=False)
    graph["save"]["inputs"]["filename_prefix"] = "latents/carry"
    job_id = parked_at(comfy, "again-carry", 4, graphs.behind_attach(graph, queue_policy="park"))
    assert not list((comfy.base / "output" / "latents").glob("carry_*")), "nothing was saved of nothing"
    entry = comfy.wait_ended(job_id)
    assert entry["status"]["status_str"] == "error"
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    expected = latent(comfy, comfy.queue(graphs.base(watched=False)))
    assert torch.equal(latent(comfy, job["prompt_id"]), expected)


def test_a_parked_prompt_that_ends_well_is_told_as_what_it_is(comfy: Comfy) -> None:
    graph = graphs.base(watched=False, key="again-well", gates="4")
    graph = graphs.stubborn(graph, again=False, at_the_end=True)
    job_id = parked_at(comfy, "again-well", 4, graphs.behind_attach(graph, queue_policy="park"))
    assert comfy.wait_ended(job_id)["status"]["status_str"] == "success"
    job = comfy.job(job_id)
    assert (job["state"], job["step"]) == ("paused", 3)
    assert "not the result of this job" in warnings(job)["parked_run_went_on"]
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    assert comfy.probe("again-well")["done"] == 6


# -- ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["denoise-0", "cached"])
def test_whoever_sees_the_prompt_in_the_history_sees_its_job_ended(comfy: Comfy, kind: str) -> None:
    for number in range(10):
        seed = number if kind == "denoise-0" else 0
        graph = graphs.base(
            key=f"again-{kind}", denoise=0.0 if kind == "denoise-0" else 1.0, seed=seed, steps=1
        )
        job_id = comfy.queue(graph)
        comfy.wait_ended(job_id, every_s=0.001)
        assert comfy.job(job_id)["state"] == "completed"
        job_id = comfy.queue(graph)
        comfy.wait_ended(job_id, every_s=0.001)
        listed = comfy.get("/midrun/jobs?limit=1")["jobs"]
        assert [(job["job_id"], job["state"]) for job in listed] == [(job_id, "completed")]


# -- the order of resumes --------------------------------------------------------------------------------


def waiting(comfy: Comfy) -> list[str]:
    """The prompts that wait, in the order in which they will run."""
    return [item[1] for item in sorted(comfy.get("/queue")["queue_pending"], key=lambda item: item[0])]


def test_jobs_run_in_the_order_in_which_they_are_resumed(comfy: Comfy) -> None:
    parked = [start(comfy, f"order-{n}", seed=n, pause_at_step=2, queue_policy="park") for n in range(4)]
    for job_id in parked:
        comfy.wait_for(job_id, "paused")
    held = start(comfy, "order-held", seed=9, pause_at_step=2, queue_policy="hold")
    comfy.wait_for(held, "paused")
    never = [start(comfy, f"order-never-{n}", seed=20 + n, steps=1) for n in range(2)]
    resumed = [comfy.verb(job_id, "resume")[1]["prompt_id"] for job_id in parked]
    assert waiting(comfy) == [*resumed, *never]
    numbers = [item[0] for item in comfy.get("/queue")["queue_pending"]]
    assert len(set(numbers)) == len(numbers)
    comfy.verb(held, "resume")
    for job_id in (held, *parked, *never):
        comfy.wait_for(job_id, "completed")
    ended = [entry for entry in comfy.get("/history") if entry in {held, *resumed, *never}]
    assert ended == [held, *resumed, *never]


def test_jobs_found_after_a_crash_run_in_the_order_in_which_they_were_queued(tmp_path: Path) -> None:
    comfy = Comfy(tmp_path).start()
    try:
        first = start(comfy, "first", "1")
        comfy.wait_at_gate("first", 1)
        jobs = [first, *(start(comfy, "many", seed=number, steps=1) for number in range(MANY))]
        comfy.until(lambda: len(comfy.get("/midrun/jobs?limit=500")["jobs"]) == len(jobs), "all rows")
        comfy.kill()
        comfy.start()
        comfy.queue(graphs.base(watched=False, key="blocker", gates="1"))
        comfy.wait_at_gate("blocker", 1)
        never = start(comfy, "never", seed=999, steps=1)
        resumed = {job_id: comfy.verb(job_id, "resume")[1]["prompt_id"] for job_id in reversed(jobs)}
        order = [*(resumed[job_id] for job_id in jobs), never]
        assert waiting(comfy) == order
        comfy.open_gate("blocker", 1)
        comfy.until(lambda: comfy.probe("first")["at_gate"] == 1, "the first to sample")
        comfy.open_gate("first", 1)
        comfy.wait_for(never, "completed")
        assert [
            prompt_id for prompt_id in comfy.get("/history?max_items=1000") if prompt_id in order
        ] == order
    finally:
        comfy.stop()
