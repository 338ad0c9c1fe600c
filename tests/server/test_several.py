"""Verbs over many jobs, and a queue that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import Comfy
from resuming import latent
from test_control import expected, start


@pytest.fixture
def alone(comfy: Comfy) -> Iterator[Comfy]:
    """The shared server, with no other test's jobs, and a queue that goes on afterwards."""
    comfy.clear()
    yield comfy
    comfy.post("/midrun/jobs/resume")
    comfy.clear()


def began(comfy: Comfy, ids: list[str]) -> list[str]:
    """In the order in which their last runs began."""
    moments = {}
    for job_id in ids:
        told = comfy.wait_ended(comfy.job(job_id)["prompt_id"])["status"]["messages"]
        moments[job_id] = dict(told)["execution_start"]["timestamp"]
    return sorted(ids, key=lambda job_id: moments[job_id])


def states(comfy: Comfy, ids: list[str]) -> list[str]:
    return [comfy.job(job_id)["state"] for job_id in ids]


def test_a_paused_queue_keeps_its_order_and_goes_on_with_it(alone: Comfy) -> None:
    first = start(alone, "all-0", "3", queue_policy="park", seed=1)
    alone.wait_at_gate("all-0", 3)
    others = [start(alone, f"all-{n}", seed=n) for n in (2, 3, 4)]
    told = alone.post("/midrun/jobs/pause")["jobs"]
    assert told == [{"job_id": first, "state": "pausing"}]
    job = alone.wait_for(first, "paused")
    assert job["held"], "it keeps its place although others wait"
    assert alone.get("/midrun/queue")["paused"] is True
    late = start(alone, "all-5", seed=5)
    assert states(alone, [*others, late]) == ["queued"] * 4
    alone.open_gate("all-0", 3)
    assert [one["job_id"] for one in alone.post("/midrun/jobs/resume")["jobs"]] == [first]
    ids = [first, *others, late]
    for job_id in ids:
        alone.wait_for(job_id, "completed")
    assert began(alone, ids) == ids
    assert torch.equal(latent(alone, first), expected(alone, seed=1))
    assert alone.get("/midrun/queue")["paused"] is False


def test_what_begins_while_the_queue_is_paused_pauses_and_what_is_asked_for_goes_on(alone: Comfy) -> None:
    parked = start(alone, "gate-parked", "2", queue_policy="park", seed=6)
    alone.wait_at_gate("gate-parked", 2)
    alone.verb(parked, "pause", query="?wait=30")
    alone.until(lambda: not alone.get("/queue")["queue_running"], "the queue worker to be free")
    alone.post("/midrun/jobs/pause")
    new = start(alone, "gate-new", seed=7)
    assert alone.wait_for(new, "paused")["evaluations"] == 0
    waits = start(alone, "gate-waits", seed=8)
    alone.open_gate("gate-parked", 2)
    assert alone.verb(parked, "resume")[0] == 202  # somebody wants it, so the one that stands makes way
    alone.wait_for(parked, "completed")
    assert alone.wait_for(waits, "paused")["evaluations"] == 0
    assert alone.job(new)["state"] == "paused"
    told = alone.post("/midrun/jobs/resume")["jobs"]
    assert [one["job_id"] for one in told] == [waits, new], "what holds its place goes on first"
    for job_id in (new, waits):
        alone.wait_for(job_id, "completed")


def test_one_that_refuses_keeps_no_other_from_it(alone: Comfy) -> None:
    done = start(alone, "several-done", seed=9)
    alone.wait_for(done, "completed")
    running = start(alone, "several-runs", "2", seed=10)
    alone.wait_at_gate("several-runs", 2)
    queued = start(alone, "several-waits", seed=11)
    told = alone.post("/midrun/jobs/pause", {"ids": [done, "nobody", running, queued, running]})["jobs"]
    assert [(one["job_id"], one["state"]) for one in told] == [
        (done, "completed"),
        ("nobody", None),
        (running, "pausing"),
        (queued, "pausing"),
    ]
    assert [one.get("error", {}).get("code") for one in told] == [
        "illegal_transition",
        "unknown_job",
        None,
        None,
    ]
    assert alone.get("/midrun/queue")["paused"] is False
    alone.wait_for(running, "paused")
    alone.wait_for(queued, "paused")
    told = alone.post("/midrun/jobs/abort", {"state": ["paused"], "reason": "enough"})["jobs"]
    assert told == [{"job_id": running, "state": "aborted"}, {"job_id": queued, "state": "aborted"}]
    assert alone.job(queued)["abort_reason"] == "enough"
    alone.until(lambda: not alone.get("/queue")["queue_running"], "the runs to leave ComfyUI")
    told = alone.post("/midrun/jobs/delete", {"ids": [running, queued]})["jobs"]
    assert told == [{"job_id": running, "state": None}, {"job_id": queued, "state": None}]
    assert alone.call("GET", f"/midrun/jobs/{queued}")[0] == 404


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("abort", {}),
        ("delete", {"reason": "x"}),
        ("pause", {"ids": ["a"], "state": ["paused"]}),
        ("pause", {"ids": []}),
        ("resume", {"ids": [1]}),
        ("resume", {"state": ["asleep"]}),
        ("resume", {"ids": ["a"], "pause_reason": ["user"]}),
        ("resume", {"state": "paused", "pause_reason": ["none"]}),
        ("abort", {"ids": ["a"], "mode": "soon"}),
    ],
)
def test_what_makes_no_sense_is_refused(comfy: Comfy, verb: str, body: dict[str, Any]) -> None:
    status, told = comfy.call("POST", f"/midrun/jobs/{verb}", body)
    assert (status, told["error"]["code"]) == (400, "bad_request"), told


def test_what_a_dead_server_left_goes_on_in_its_order(tmp_path: Path) -> None:
    comfy = Comfy(tmp_path).start()
    try:
        ids = [start(comfy, f"left-{n}", "2" if n == 0 else "", seed=n + 20) for n in range(4)]
        comfy.wait_at_gate("left-0", 2)
        comfy.kill()
        comfy.start()
        assert comfy.get("/midrun/queue") == {"paused": False, "interrupted": 4, "choices": 0, "standing": 4}
        comfy.open_gate("left-0", 2)
        asked = {"state": ["paused"], "pause_reason": ["server_restart"]}
        told = comfy.post("/midrun/jobs/resume", asked)["jobs"]
        assert [one["job_id"] for one in told] == ids
        for job_id in ids:
            comfy.wait_for(job_id, "completed")
        assert began(comfy, ids) == ids
        assert comfy.get("/midrun/queue")["interrupted"] == 0
    finally:
        comfy.stop()
