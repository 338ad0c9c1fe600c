"""Refused edits name the rewind that makes them possible, and a rewind takes edits with it. Real server."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from test_control import pause_at
from test_editing import put
from test_timetravel import completed, recordings_of, resume

FIRST, SECOND = {"node_id": "sampler", "step": 0}, {"node_id": "second", "step": 0}


def in_series(key: str, gates: str = "", watched: bool = True, **inputs: Any) -> graphs.Graph:
    """Two samplers of six steps each, the second behind the first."""
    graph = graphs.base(key=key, gates=gates, watched=watched)
    given = graph["sampler"]["inputs"] | {"latent_image": ["sampler", 0], "denoise": 0.5}
    graph["second"] = graphs.node(graph["sampler"]["class_type"], **given)
    graph["sampler"]["inputs"] |= inputs
    graph["save"]["inputs"]["samples"] = ["second", 0]
    return graph


def stock(comfy: Comfy, **inputs: Any) -> torch.Tensor:
    return latent(comfy, comfy.queue(in_series("", watched=False, **inputs)))


def refused(comfy: Comfy, job_id: str, edit: tuple[str, str, Any], status: int) -> dict[str, Any]:
    """The one edit that was rejected."""
    before = comfy.job(job_id)
    got, told = put(comfy, job_id, edit)
    assert got == status, told
    assert comfy.job(job_id)["modified_params"] == before["modified_params"]
    (rejected,) = told["error"]["rejected"]
    assert (rejected["node_id"], rejected["input"]) == edit[:2]
    return rejected


def test_an_edit_of_a_sampler_that_is_done_is_made_by_a_rewind_to_it(comfy: Comfy) -> None:
    job_id = comfy.queue(in_series("series", gates="9"))
    pause_at(comfy, job_id, "series", 9)
    for name, value in (("cfg", 1.5), ("seed", 7)):
        rejected = refused(comfy, job_id, ("sampler", name, value), 422)
        assert rejected["rewind"] == FIRST
        assert rejected["reason"] == (
            "KSampler (Midrun) #sampler is done. Rewind to it (step 0) to change this"
        )
    rejected = refused(comfy, job_id, ("second", "seed", 7), 422)
    assert rejected["rewind"] == SECOND and "used it up when it began" in rejected["reason"]
    params = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]
    ways = {name: params["sampler"]["inputs"][name]["rewind"] for name in ("cfg", "seed", "steps")}
    assert ways == dict.fromkeys(ways, FIRST)
    assert params["second"]["inputs"]["cfg"]["rewind"] is None
    assert params["positive"]["inputs"]["seed"]["rewind"] is None  # the second reads it, too
    body = {**FIRST, "params": {"sampler": {"cfg": 1.5}}}
    status, job = comfy.verb(job_id, "rewind", body)
    assert status == 200 and (job["state"], job["node_id"], job["step"]) == ("paused", "sampler", 0)
    assert job["modified_params"]["sampler"]["cfg"]["to"] == 1.5
    done = resume(comfy, job_id)
    assert torch.equal(latent(comfy, done["prompt_id"]), stock(comfy, cfg=1.5))


@pytest.mark.parametrize("state", ["completed", "aborted"])
def test_a_job_that_has_ended_is_edited_by_a_rewind(comfy: Comfy, state: str) -> None:
    key = f"ended-{state}"
    job_id = comfy.queue(in_series(key, gates="" if state == "completed" else "9"))
    if state == "aborted":
        pause_at(comfy, job_id, key, 9)
        assert comfy.verb(job_id, "abort", {})[0] == 200
    job = comfy.wait_for(job_id, state)
    assert refused(comfy, job_id, ("sampler", "seed", 7), 409)["rewind"] == FIRST
    there = {"node_id": "second", "step": job["step"]}
    told = refused(comfy, job_id, ("save", "filename_prefix", "other"), 409)
    assert told["rewind"] == there and state in told["reason"]
    way = refused(comfy, job_id, ("second", "cfg", 1.5), 409)["rewind"]
    assert way == (SECOND if state == "completed" else there)
    body = {**FIRST, "params": {"sampler": {"seed": 7}}}
    comfy.until(lambda: comfy.verb(job_id, "rewind", body)[0] == 200, "the run to leave ComfyUI")
    assert torch.equal(latent(comfy, resume(comfy, job_id)["prompt_id"]), stock(comfy, seed=7))


def test_a_rewind_whose_edits_are_refused_there_rewinds_nothing(comfy: Comfy) -> None:
    job_id = completed(comfy, "not-there")
    before = comfy.job(job_id)
    for params in ({"sampler": {"seed": 7}}, {"sampler": {"cfg": 1.5, "nothing": 3}}, {"nobody": {"x": 1}}):
        status, told = comfy.verb(job_id, "rewind", {"step": 3, "params": params})
        assert status == 422 and told["error"]["rejected"], told
        assert comfy.job(job_id) == before
    rejected = comfy.verb(job_id, "rewind", {"step": 3, "params": {"sampler": {"seed": 7}}})[1]["error"]
    assert rejected["rejected"][0]["rewind"] == FIRST
    assert comfy.verb(job_id, "rewind", {"step": 3, "params": []})[0] == 400
    assert comfy.verb(job_id, "rewind", {"step": 3, "params": {"sampler": {}}})[0] == 400
    status, job = comfy.verb(job_id, "rewind", {"step": 3, "params": {"sampler": {"cfg": 1.5}}})
    assert status == 200 and job["modified_params"]["sampler"]["cfg"]["from_step"] is None


def test_a_first_sampler_is_not_edited_where_the_second_has_computed_nothing(comfy: Comfy) -> None:
    job_id = comfy.queue(in_series("between", gates="7"))
    pause_at(comfy, job_id, "between", 7)  # the first evaluation of the second is dropped
    status, job = comfy.verb(job_id, "rewind", SECOND)
    assert status == 200 and (job["node_id"], job["evaluations"]) == ("second", 0)
    assert refused(comfy, job_id, ("sampler", "cfg", 1.5), 422)["rewind"] == FIRST
    assert put(comfy, job_id, ("second", "seed", 7))[0] == 200


def test_what_is_not_on_record_is_not_to_be_rewound(comfy: Comfy) -> None:
    job_id = completed(comfy, "unrecorded")
    shutil.rmtree(recordings_of(comfy, job_id))
    rejected = refused(comfy, job_id, ("sampler", "seed", 7), 409)
    assert "rewind" not in rejected and "new job" in rejected["reason"]
    status, told = put(comfy, job_id, ("sampler", "seed", 7))
    assert status == 409 and "queue its workflow as a new job" in told["error"]["message"]
