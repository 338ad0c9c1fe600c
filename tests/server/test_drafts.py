"""Drafts: many beginnings of one workflow, of which the chosen ones are finished, bit-identically."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from test_control import expected, start

STEPS, STEP = 20, 6


@pytest.fixture
def alone(comfy: Comfy) -> Iterator[Comfy]:
    """The shared server, with no other test's jobs."""
    comfy.clear()
    yield comfy
    comfy.clear()


def drafted(comfy: Comfy, key: str, seeds: Any, **options: Any) -> list[str]:
    graph = graphs.base(key=key, steps=STEPS, **options)
    body = {"prompt": graph, "vary": {"sampler": {"seed": seeds}}, "step": STEP}
    told = comfy.post("/midrun/drafts", body)
    assert {job["grid"] for job in told["jobs"]} == {told["grid"]}
    return [job["job_id"] for job in told["jobs"]]


def paused(comfy: Comfy, ids: list[str], step: int = STEP) -> None:
    for job_id in ids:
        job = comfy.wait_for(job_id, "paused")
        assert (job["step"], job["evaluations"], job["pause_reason"]) == (step, step, "breakpoint")


def test_what_is_chosen_is_finished_as_if_it_had_been_queued_alone(alone: Comfy) -> None:
    seeds = list(range(100, 124))
    ids = drafted(alone, "drafts", seeds)
    waits = start(alone, "drafts-behind", seed=3)
    paused(alone, ids)
    assert alone.wait_for(waits, "completed")["step"] > 0, "nobody has to choose for the queue to go on"
    assert alone.probe("drafts")["done"] == 24 * STEP
    listed = alone.get(f"/midrun/jobs?grid={alone.job(ids[0])['grid']}")["jobs"]
    assert [job["varied"]["sampler"]["seed"] for job in listed] == seeds
    chosen = [ids[20], ids[4], ids[11]]
    told = alone.post("/midrun/drafts/go_on", {"ids": chosen})["jobs"]
    assert [one["job_id"] for one in told] == chosen
    for job_id in chosen:
        job = alone.wait_for(job_id, "completed")
        seed = job["varied"]["sampler"]["seed"]
        assert torch.equal(latent(alone, job["prompt_id"]), expected(alone, steps=STEPS, seed=seed))
    assert alone.probe("drafts")["done"] == 24 * STEP + 3 * (STEPS - STEP)
    assert alone.call("GET", f"/midrun/jobs/{ids[0]}/sheet")[0] == 200


def test_drafts_go_on_to_a_later_step_and_survive_a_hold(alone: Comfy) -> None:
    ids = drafted(alone, "further", [1, 2], queue_policy="hold")
    paused(alone, ids)
    alone.post("/midrun/drafts/go_on", {"ids": ids, "step": 9})
    paused(alone, ids, 9)
    assert alone.probe("further")["done"] == 18
    alone.post("/midrun/drafts/go_on", {"ids": ids, "step": 9})
    paused(alone, ids, 9)  # they are there already
    told = alone.post("/midrun/drafts/go_on", {"ids": [ids[1], "nobody"]})["jobs"]
    assert [one.get("error", {}).get("code") for one in told] == [None, "unknown_job"]
    assert alone.wait_for(ids[1], "completed")["step"] == STEPS


def test_a_draft_with_two_samplers_waits_once(alone: Comfy) -> None:
    graph = graphs.in_series(graphs.base(key="twice", steps=8))
    body = {"prompt": graph, "vary": {"sampler": {"seed": [5]}}, "step": 3}
    job_id = alone.post("/midrun/drafts", body)["jobs"][0]["job_id"]
    paused(alone, [job_id], 3)
    assert alone.verb(job_id, "resume")[0] == 202  # as any job
    alone.wait_for(job_id, "completed")


def test_drafts_wait_in_the_sampler_in_which_they_differ(alone: Comfy) -> None:
    graph = graphs.in_series(graphs.base(key="second", steps=8))
    body = {"prompt": graph, "vary": {"second": {"seed": [5, 6]}}, "step": 3}
    ids = [job["job_id"] for job in alone.post("/midrun/drafts", body)["jobs"]]
    paused(alone, ids, 3)
    assert {alone.job(job_id)["display_node_id"] for job_id in ids} == {"second"}


def test_all_that_is_paused_goes_on_but_for_drafts_that_wait(alone: Comfy) -> None:
    drafts = drafted(alone, "wait", [1, 2])
    paused(alone, drafts)
    other = start(alone, "wait-other", "2", seed=4)
    alone.wait_at_gate("wait-other", 2)
    alone.post("/midrun/jobs/pause")
    alone.wait_for(other, "paused")
    alone.open_gate("wait-other", 2)
    assert [one["job_id"] for one in alone.post("/midrun/jobs/resume")["jobs"]] == [other]
    alone.wait_for(other, "completed")
    paused(alone, drafts)


def test_drafts_of_a_job_draw_seeds_and_vary_two_inputs(alone: Comfy) -> None:
    job_id = start(alone, "of-job", steps=8)
    alone.wait_for(job_id, "completed")
    vary = {"sampler": {"seed": {"random": 3.0}, "cfg": [2.0, 5.0]}}
    jobs = alone.post("/midrun/drafts", {"job_id": job_id, "vary": vary, "step": 2})["jobs"]
    assert len(jobs) == 6 and len({job["varied"]["sampler"]["seed"] for job in jobs}) == 3
    ids = [job["job_id"] for job in jobs]
    paused(alone, ids, 2)
    assert {alone.job(one)["parent"] for one in ids if alone.job(one)["parent"]} == set()


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"vary": {"sampler": {"seed": ["x"]}}}, 422, "seed of node sampler: it must be a whole number"),
        ({"vary": {"sampler": {"sampler_name": ["euler", "none"]}}}, 422, "is not one of its options"),
        ({"vary": {"nobody": {"seed": [1]}}}, 422, "there is no such node"),
        ({"vary": {"sampler": {"cfg": {"random": 3}}}}, 422, "only whole numbers can be drawn"),
        ({"vary": {"sampler": {"seed": list(range(101))}}}, 400, "the limit is 100 at once"),
        ({"vary": {"sampler": {"seed": [0] * 9000, "cfg": [1] * 9000}}}, 400, "That would be 81000000 jobs"),
        ({"vary": {}}, 400, "vary must be"),
        ({"vary": {"sampler": {"seed": {"random": 0}}}}, 400, "vary must be"),
        ({"prompt": graphs.base(key="bad") | {"odd": 5}}, 400, "not a workflow in API format"),
        ({"step": 0}, 400, "step must be a whole number"),
        ({"job_id": "x"}, 400, 'either "prompt" or "job_id"'),
        (
            {"prompt": {"1": {"class_type": "EmptyLatentImage", "inputs": {}}}},
            400,
            "no node that Midrun watches",
        ),
    ],
)
def test_what_cannot_be_drafted_is_refused_before_there_is_any(
    comfy: Comfy, change: dict[str, Any], status: int, told: str
) -> None:
    body = {"prompt": graphs.base(key="bad"), "vary": {"sampler": {"seed": [1]}}, "step": 3} | change
    before = comfy.get("/midrun/usage")["jobs"]
    got, answer = comfy.call("POST", "/midrun/drafts", body)
    assert got == status and told in answer["error"]["message"], answer
    assert comfy.get("/midrun/usage")["jobs"] == before


def test_a_workflow_that_comfyui_refuses_is_refused(comfy: Comfy) -> None:
    graph = graphs.base(key="refused")
    del graph["sampler"]["inputs"]["positive"]
    body = {"prompt": graph, "vary": {"sampler": {"seed": [1]}}, "step": 3}
    status, answer = comfy.call("POST", "/midrun/drafts", body)
    assert status == 422 and answer["error"]["message"].startswith("No draft was made: ComfyUI refuses")
    assert answer["error"]["rejected"][0]["input"] == "positive"
