"""Nodes with sampling loops of their own, whose networks remember something from evaluation to evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness import Comfy
from resuming import latent
from test_control import pause_at
from test_loops_of_others import CALLS, disturbed, loop
from test_remembering import codes, rewind, with_settings
from test_surviving import written

KEEPS = ("attribute", "residuals", "average")


def expected(comfy: Comfy, key: str, **made: Any) -> torch.Tensor:
    """Of a run that nobody watched."""
    return latent(comfy, comfy.queue(loop(f"{key}-stock", watched=False, how="seeded", **made)))


def let_go(comfy: Comfy) -> None:
    """The next run has to make its networks anew."""
    comfy.post("/free", {"unload_models": True, "free_memory": True})
    disturbed(comfy, 99)


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("keeps", KEEPS)
def test_what_a_network_remembers_is_there_wherever_it_is_stopped(
    comfy: Comfy, keeps: str, two: bool
) -> None:
    key = f"keeps-{keeps}-{two}"
    whole = expected(comfy, key, keeps=keeps, two=two)
    assert not torch.equal(whole, expected(comfy, key + "-not")), "it does remember something"
    job_id = comfy.queue(loop(key, gates="1,3,4,5,7,8", how="seeded", keeps=keeps, two=two))
    for number in (1, 3, 4, 5, 7, 8):
        job = pause_at(comfy, job_id, key, number)  # inside that evaluation
        assert job["evaluations"] == number - 1
        if number in (4, 7):
            let_go(comfy)
        assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS and codes(job) <= {"steps_not_shown"}
    assert (job["exactness"]["kind"], job["exactness"]["because"]) == ("exact", "Network")
    assert torch.equal(latent(comfy, job["prompt_id"]), whole)


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("keeps", KEEPS)
def test_it_is_there_after_a_rewind_and_in_a_fork(comfy: Comfy, keeps: str, two: bool) -> None:
    key = f"keeps-back-{keeps}-{two}"
    whole = expected(comfy, key, keeps=keeps, two=two)
    job_id = comfy.queue(loop(key, how="seeded", keeps=keeps, two=two))
    comfy.wait_for(job_id, "completed")
    for step in (3, 1, 0):
        rewind(comfy, job_id, step)
        assert comfy.job(job_id)["exactness"]["kind"] == "exact"
        jobs = [job_id]
        if step:  # else it begins as if it were queued again, with networks that were asked before
            status, told = comfy.verb(job_id, "fork", {"step": step})
            assert status == 202, told
            jobs.append(told["jobs"][0]["job_id"])
        assert comfy.verb(job_id, "resume")[0] == 202
        for one in jobs:
            job = comfy.wait_for(one, "completed")
            assert torch.equal(latent(comfy, job["prompt_id"]), whole), (step, one)
            assert codes(job) <= {"steps_not_shown"}


def test_it_survives_a_crash(tmp_path: Path) -> None:
    key, number = "keeps-crash", 5
    comfy = Comfy(tmp_path).start()
    try:
        whole = expected(comfy, key, keeps="residuals")
        job_id = comfy.queue(loop(key, gates=str(number), how="seeded", keeps="residuals"))
        comfy.wait_at_gate(key, number)
        written(comfy, job_id, number - 1)
        comfy.kill()
        comfy.start()
        comfy.verb(job_id, "resume")
        comfy.open_gate(key, number)
        job = comfy.wait_for(job_id, "completed")
        assert comfy.probe(key)["done"] == CALLS - (number - 1)
        assert torch.equal(latent(comfy, job["prompt_id"]), whole)
    finally:
        comfy.stop()


@pytest.mark.parametrize("number", [1, 6])
@pytest.mark.parametrize("keeps", KEEPS)
def test_it_is_there_after_a_failure(comfy: Comfy, keeps: str, number: int) -> None:
    key = f"keeps-fails-{keeps}-{number}"
    whole = expected(comfy, key, keeps=keeps)
    graph = loop(key, fail_at=number, how="seeded", keeps=keeps)
    job_id = comfy.queue(graph)
    job = comfy.wait_for(job_id, "failed")
    assert job["evaluations"] == number - 1
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS
    assert torch.equal(latent(comfy, job["prompt_id"]), whole)


def test_a_verified_resume_asks_one_evaluation_more(comfy: Comfy) -> None:
    key = "keeps-verified"
    with_settings(comfy, VerifyResumes=True)
    try:
        whole = expected(comfy, key, keeps="residuals")
        job_id = comfy.queue(loop(key, gates="6", how="seeded", keeps="residuals"))
        pause_at(comfy, job_id, key, 6)
        let_go(comfy)
        assert comfy.verb(job_id, "resume")[0] == 202
        job = comfy.wait_for(job_id, "completed")
        assert torch.equal(latent(comfy, job["prompt_id"]), whole)
        events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
        (verified,) = [event["detail"] for event in events if event["kind"] == "verified"]
        assert verified == {"evaluation": 5, "difference": 0.0}
        assert comfy.probe(key)["done"] == CALLS + 1
    finally:
        with_settings(comfy, VerifyResumes=False)


def test_what_cannot_be_seen_is_said_and_computed_anew(comfy: Comfy) -> None:
    key = "keeps-hidden"
    whole = expected(comfy, key, keeps="hidden")
    job_id = comfy.queue(loop(key, gates="5", how="seeded", keeps="hidden"))
    job = pause_at(comfy, job_id, key, 5)
    assert (job["exactness"]["kind"], job["exactness"]["evaluations"]) == ("recomputes", 4)
    assert codes(job) == {"recomputes", "steps_not_shown"}
    let_go(comfy)
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), whole)
    assert comfy.probe(key)["done"] == CALLS + 4 and codes(job) <= {"recomputes", "steps_not_shown"}


def test_a_network_that_remembers_nothing_leaves_nothing_on_record(comfy: Comfy) -> None:
    job_id = comfy.queue(loop("keeps-nothing"))
    job = comfy.wait_for(job_id, "completed")
    assert job["exactness"] == {"kind": "exact", "evaluations": 0, "seconds": None, "because": None}
    kept = [file.name for file in comfy.base.glob(f"user/__midrun/recordings/{job_id}/*/memory-*")]
    assert kept == []
