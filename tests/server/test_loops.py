"""Loops of ComfyUI itself, where it has them: the body runs under other ids in each iteration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import graphs
from harness import Comfy
from test_breakpoints import breakpoints, resume
from test_editing import put

STEPS = 6  # of each iteration


@pytest.fixture(autouse=True)
def loops(comfy: Comfy) -> None:
    if comfy.call("GET", "/object_info/StartLoop")[1] == {}:
        pytest.skip("this ComfyUI has no loops")


def workflow(key: str, gates: str = "", policy: str = "auto", **options: Any) -> graphs.Graph:
    return graphs.looped(graphs.base(key=key, gates=gates, queue_policy=policy, **options), name=key)


def latents(comfy: Comfy, prompt_id: str) -> list[torch.Tensor]:
    """Of all iterations, as they were saved after the loop."""
    saved = next(iter(comfy.wait_ended(prompt_id)["outputs"]["save"].values()))
    files = [comfy.base / "output" / one["subfolder"] / one["filename"] for one in saved]
    return [load_file(file)["latent_tensor"] for file in files]


def oracle(comfy: Comfy, name: str, cfg: float | None = None, at: int = 1) -> list[torch.Tensor]:
    """Without Midrun; with that cfg from evaluation `at` on."""
    graph = graphs.looped(graphs.base(watched=False), name=f"oracle-{name}")
    if cfg is not None:
        links = {"model": ["model", 0], "other": ["model", 0], "positive": ["positive", 0]}
        graph["switch"] = graphs.node("TestSwitch", **links, cfg=cfg, at=at, key=f"oracle-{name}")
        graph["sampler"]["inputs"]["model"] = ["switch", 0]
    return latents(comfy, comfy.queue(graph))


def equal(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return len(some) == len(others) == 3 and all(map(torch.equal, some, others))


def pictures(comfy: Comfy, key: str) -> list[Path]:
    return sorted((comfy.base / "output" / "images").glob(f"{key}_*.png"))


def pause(comfy: Comfy, job_id: str, key: str, gate: int) -> dict[str, Any]:
    comfy.wait_at_gate(key, gate)
    assert comfy.verb(job_id, "pause", query="?wait=30")[0] == 200
    return comfy.wait_for(job_id, "paused")


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("policy", ["hold", "park"])
def test_a_job_edited_in_its_second_iteration_goes_on_exactly_and_saves_once(
    comfy: Comfy, policy: str, cached: bool
) -> None:
    key = f"loop-{policy}-{cached}"
    graph = workflow(key, "9", policy)
    graph["start"]["inputs"]["cache_iterations"] = cached
    job_id = comfy.queue(graph)
    job = pause(comfy, job_id, key, 9)
    assert (job["display_node_id"], job["iteration"], job["step"]) == ("sampler", 2, 2)
    assert len(pictures(comfy, key)) == 1
    assert put(comfy, job_id, ("sampler", "cfg", 1.5))[0] == 200
    if policy == "park":  # another prompt, for which ComfyUI forgets what it has in its cache
        comfy.wait_ended(comfy.queue(graphs.base(watched=False, seed=77)))
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == 3 * STEPS, "the first iteration was replayed"
    assert equal(latents(comfy, job["prompt_id"]), oracle(comfy, key, 1.5, 9))
    assert len(pictures(comfy, key)) == 3, "each was saved once"
    assert job["modified_params"]["sampler"]["cfg"]["from_step"] == 2


def test_without_an_edit_it_is_as_if_it_had_not_been_paused(comfy: Comfy) -> None:
    key = "loop-plain"
    job_id = comfy.queue(workflow(key, "3,7,17", "park"))
    for gate in (3, 7, 17):  # the seventh is the first of the second iteration
        pause(comfy, job_id, key, gate)
        comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == 3 * STEPS and len(pictures(comfy, key)) == 3
    assert equal(latents(comfy, job["prompt_id"]), oracle(comfy, key))
    nodes = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]
    assert set(nodes) == set(workflow(key)), "what was put around the saving is not the user's"


def stops(comfy: Comfy, job_id: str) -> list[tuple[Any, ...]]:
    """(iteration, step, the node that is next) of each pause on the way to the end."""
    seen = []
    while (job := comfy.wait_for(job_id, "paused", "completed"))["state"] == "paused":
        assert job["pause_reason"] == "breakpoint", job
        seen.append((job["iteration"], job["step"], job["paused_before"]))
        resume(comfy, job)
    return seen


@pytest.mark.parametrize("policy", ["hold", "park"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"kind": "step", "value": 2}, [(n, 2, None) for n in (1, 2, 3)]),
        ({"kind": "step", "value": 2, "iteration": 2}, [(2, 2, None)]),
        ({"kind": "every", "value": 4, "node_id": None, "iteration": 3}, [(3, 4, None)]),
    ],
)
def test_a_breakpoint_in_the_body_stops_in_each_iteration_or_in_one(
    comfy: Comfy, given: dict[str, Any], expected: list[tuple[Any, ...]], policy: str
) -> None:
    key = f"loop-{policy}-{given['kind']}-{given.get('iteration')}"
    job_id = comfy.queue(workflow(key, "1", policy))
    pause(comfy, job_id, key, 1)
    breakpoints(comfy, job_id, {"node_id": "sampler", **given})
    comfy.verb(job_id, "resume")
    assert stops(comfy, job_id) == expected
    events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    told = [
        one["detail"]["iteration"]
        for one in events
        if "breakpoints" in one["detail"] and one["kind"] == "pause"
    ]
    assert told == [iteration for iteration, _, _ in expected]
    assert comfy.probe(key)["done"] == 3 * STEPS and len(pictures(comfy, key)) == 3


@pytest.mark.parametrize("policy", ["hold", "park"])
@pytest.mark.parametrize(("only", "expected"), [(None, [1, 2, 3]), (2, [2])])
def test_a_job_pauses_before_a_node_of_the_body(
    comfy: Comfy, only: int | None, expected: list[int], policy: str
) -> None:
    key = f"loop-node-{only}-{policy}"
    told = {"kind": "node", "node_id": "sampler", "iteration": only}
    nodes = [{"id": "sampler", "type": "X", "properties": {"Midrun.breakpoints": [told]}}]
    extra = {"extra_pnginfo": {"workflow": {"nodes": nodes}}}
    job_id = comfy.queue(workflow(key, policy=policy), extra_data=extra)
    assert stops_before(comfy, job_id) == [(iteration, "sampler") for iteration in expected]
    assert comfy.probe(key)["done"] == 3 * STEPS and len(pictures(comfy, key)) == 3
    assert equal(latents(comfy, comfy.job(job_id)["prompt_id"]), oracle(comfy, key))


def stops_before(comfy: Comfy, job_id: str) -> list[tuple[int, str]]:
    """(iteration, node) before which it pauses on the way to its end."""
    seen = []
    while (job := comfy.wait_for(job_id, "paused", "completed"))["state"] == "paused":
        seen.append((job["iteration"], job["paused_before"]))
        comfy.verb(job_id, "resume")
        comfy.until(
            lambda: (now := comfy.job(job_id))["state"] != "paused" or now["iteration"] != seen[-1][0],
            "it to go on",
        )
    return seen


@pytest.mark.parametrize("by", ["iteration", "id"])
def test_a_rewind_goes_to_an_earlier_iteration_and_what_follows_is_made_anew(comfy: Comfy, by: str) -> None:
    key = f"loop-rewind-{by}"
    job_id = comfy.queue(workflow(key))
    comfy.wait_for(job_id, "completed")
    told = comfy.get(f"/midrun/jobs/{job_id}/telemetry")["telemetry"]
    ids = {row["iteration"]: row["node_id"] for row in told}
    assert list(ids) == [1, 2, 3] and {row["display_node_id"] for row in told} == {"sampler"}
    body = {"node_id": "sampler", "iteration": 2} if by == "iteration" else {"node_id": ids[2]}
    status, job = comfy.verb(job_id, "rewind", {"step": 4, **body})
    assert status == 200, job
    assert (job["node_id"], job["display_node_id"], job["iteration"], job["step"]) == (
        ids[2],
        "sampler",
        2,
        4,
    )
    assert (job["take"]["iteration"], job["take"]["step"]) == (3, STEPS)
    assert comfy.verb(job_id, "rewind", {"step": 4, "node_id": "sampler", "iteration": 4})[0] == 404
    assert put(comfy, job_id, ("sampler", "cfg", 1.5))[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == 3 * STEPS + 2 + STEPS
    assert equal(latents(comfy, job["prompt_id"]), oracle(comfy, key, 1.5, STEPS + 5))
    assert len(pictures(comfy, key)) == 5, "the second and the third were made anew, the first was not"
    job = comfy.verb(job_id, "rewind", {"step": 2, "iteration": 1})[1]
    assert (job["iteration"], job["step"], job["modified_params"]) == (1, 2, {})
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert equal(latents(comfy, job["prompt_id"]), oracle(comfy, key + "again"))
    assert len(pictures(comfy, key)) == 8


def test_forks_of_an_iteration_go_on_from_there_and_save_what_they_make(comfy: Comfy) -> None:
    key = "loop-fork"
    job_id = comfy.queue(workflow(key))
    comfy.wait_for(job_id, "completed")
    body = {"step": 4, "node_id": "sampler", "iteration": 2, "params": {"sampler": {"cfg": 1.5}}}
    status, told = comfy.verb(job_id, "fork", body)
    assert status == 202, told
    fork = comfy.wait_for(told["jobs"][0]["job_id"], "completed")
    assert comfy.probe(key)["done"] == 3 * STEPS + 2 + STEPS
    assert equal(latents(comfy, fork["prompt_id"]), oracle(comfy, key, 1.5, STEPS + 5))
    assert len(pictures(comfy, key)) == 3 + 2


def test_steps_and_pictures_of_an_iteration_are_given_out(comfy: Comfy) -> None:
    key = "loop-latent"
    job_id = comfy.queue(workflow(key))
    comfy.wait_for(job_id, "completed")
    got = {}
    for query in ("", "&iteration=1", "&iteration=2", "&iteration=3"):
        for what in ("latent", "preview"):
            status, _, content = comfy.fetch(f"/midrun/jobs/{job_id}/{what}?node_id=sampler&step=3{query}")
            assert status == 200, (what, query)
            got[what, query] = content
    for what in ("latent", "preview"):
        assert got[what, ""] == got[what, "&iteration=3"], "by default the newest"
        assert len({got[what, f"&iteration={n}"] for n in (1, 2, 3)}) == 3
        assert comfy.fetch(f"/midrun/jobs/{job_id}/{what}?iteration=4")[0] == 404
        assert comfy.fetch(f"/midrun/jobs/{job_id}/{what}?iteration=0")[0] == 400


def test_inputs_of_the_body_have_the_verdicts_of_its_node(comfy: Comfy) -> None:
    key = "loop-verdict"
    job_id = comfy.queue(workflow(key, "9"))
    pause(comfy, job_id, key, 9)
    nodes = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]
    of_sampler = {name: one["verdict"] for name, one in nodes["sampler"]["inputs"].items()}
    assert (of_sampler["cfg"], of_sampler["steps"], of_sampler["seed"]) == ("live", "schedule", "consumed")
    assert nodes["picture"]["inputs"]["filename_prefix"]["verdict"] == "downstream"
    assert nodes["latent"]["inputs"]["seed"]["verdict"] == "consumed"
    comfy.verb(job_id, "abort")


def test_another_schedule_from_the_second_iteration_on_leaves_the_first_as_it_was(comfy: Comfy) -> None:
    key = "loop-schedule"
    job_id = comfy.queue(workflow(key, "9"))
    first = pause(comfy, job_id, key, 9)
    assert put(comfy, job_id, ("sampler", "steps", 8))[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latents(comfy, job["prompt_id"])[0], oracle(comfy, key)[0])
    assert job["total_steps"] == 8 and first["total_steps"] == STEPS


@pytest.mark.parametrize("gate", [7, 9])
def test_a_job_killed_in_its_second_iteration_goes_on_and_saves_once(tmp_path: Path, gate: int) -> None:
    server = Comfy(tmp_path).start()
    try:
        key = "loop-kill"
        job_id = server.queue(workflow(key, f"{gate}"))
        server.wait_at_gate(key, gate)
        server.get(f"/midrun/jobs/{job_id}/events")
        server.kill()
        server.start()
        assert server.job(job_id)["state"] == "paused" and len(pictures(server, key)) == 1
        server.verb(job_id, "resume")
        server.wait_at_gate(key, gate)  # so many were computed by this server
        server.open_gate(key, gate)
        job = server.wait_for(job_id, "completed")
        assert server.probe(key)["done"] == 3 * STEPS - (gate - 1), "what was recorded was replayed"
        assert equal(latents(server, job["prompt_id"]), oracle(server, key))
        assert len(pictures(server, key)) == 3
    finally:
        server.stop()


@pytest.mark.parametrize("how", ["node", "failure"])
def test_what_comes_after_the_loop_has_it_save_nothing_again(comfy: Comfy, how: str) -> None:
    key = f"loop-after-{how}"
    graph = workflow(key, policy="park")
    graph["after"] = graphs.node(
        "TestSlowLatent", samples=["end", 0], key=key, seconds=0.0, fails=how == "failure"
    )
    graph["save"]["inputs"]["samples"] = ["after", 0]
    told = [{"kind": "node", "node_id": "after"}] if how == "node" else []
    nodes = [{"id": "after", "type": "X", "properties": {"Midrun.breakpoints": told}}]
    job_id = comfy.queue(graph, extra_data={"extra_pnginfo": {"workflow": {"nodes": nodes}}})
    job = comfy.wait_for(job_id, "paused", "failed")
    assert job["state"] == ("paused" if how == "node" else "failed") and len(pictures(comfy, key)) == 3
    comfy.wait_ended(comfy.queue(graphs.base(watched=False, seed=78)))
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == 3 * STEPS and len(pictures(comfy, key)) == 3
    assert equal(latents(comfy, job["prompt_id"]), oracle(comfy, key))


def test_a_loop_in_a_loop_goes_on_from_where_it_was(comfy: Comfy) -> None:
    key = "loop-nested"
    small = {"steps": 3}
    graph = graphs.nested(graphs.looped(graphs.base(key=key, gates="5,11", **small), 2, key))
    graph["sampler"]["inputs"]["queue_policy"] = "park"
    job_id = comfy.queue(graph)
    places = []
    for gate in (5, 11):  # three evaluations in each of two iterations, twice
        job = pause(comfy, job_id, key, gate)
        places.append((job["display_node_id"], job["iteration"], job["step"]))
        comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert places == [("sampler", 2, 1), ("sampler", 2, 1)]
    assert comfy.probe(key)["done"] == 12 and len(pictures(comfy, key)) == 4
    stock = graphs.nested(graphs.looped(graphs.base(watched=False, **small), 2, f"oracle-{key}"))
    want = latents(comfy, comfy.queue(stock))
    assert len(want) == 2 and all(map(torch.equal, latents(comfy, job["prompt_id"]), want))
    told = comfy.get(f"/midrun/jobs/{job_id}/telemetry")["telemetry"]
    ids = list(dict.fromkeys(row["node_id"] for row in told))
    assert len(ids) == 4 and [row["iteration"] for row in told] == [1] * 3 + [2] * 3 + [1] * 3 + [2] * 3
    job = comfy.verb(job_id, "rewind", {"step": 1, "node_id": ids[1]})[1]
    assert (job["node_id"], job["iteration"], job["step"]) == (ids[1], 2, 1)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == 12 + 2 + 6
    assert all(map(torch.equal, latents(comfy, job["prompt_id"]), want))
    assert len(pictures(comfy, key)) == 4 + 3


def test_after_a_restart_it_pauses_before_no_iteration_that_is_over(tmp_path: Path) -> None:
    server = Comfy(tmp_path).start()
    try:
        key = "loop-node-kill"
        told = {"kind": "node", "node_id": "sampler"}
        nodes = [{"id": "sampler", "type": "X", "properties": {"Midrun.breakpoints": [told]}}]
        extra = {"extra_pnginfo": {"workflow": {"nodes": nodes}}}
        job_id = server.queue(workflow(key), extra_data=extra)
        server.wait_for(job_id, "paused")
        server.verb(job_id, "resume")
        server.until(lambda: server.job(job_id)["iteration"] == 2, "the second iteration")
        server.wait_for(job_id, "paused")
        server.get(f"/midrun/jobs/{job_id}/events")
        server.kill()
        server.start()
        job = server.job(job_id)
        assert (job["state"], job["paused_before"], job["iteration"]) == ("paused", "sampler", 2)
        server.verb(job_id, "resume")
        assert stops_before(server, job_id) == [(3, "sampler")]
        assert len(pictures(server, key)) == 3
        assert equal(latents(server, server.job(job_id)["prompt_id"]), oracle(server, key))
    finally:
        server.stop()
