"""What an evaluation without an answer leaves behind is cleaned up as ComfyUI's executor does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import graphs
from harness import Comfy

CLEANED = ["prefetch queues", "cast buffers", "watermarks"]  # in the order of ComfyUI 0.34 and later
ROUTE = "/midrun_test/cleaning"


@pytest.fixture
def noted(comfy: Comfy) -> Iterator[Comfy]:
    """The functions that newer versions of ComfyUI have for this note that they were called."""
    assert comfy.call("PUT", ROUTE)[0] == 200
    yield comfy
    assert comfy.call("DELETE", ROUTE)[0] == 200


def calls(comfy: Comfy) -> list[str]:
    return comfy.get(ROUTE)["calls"]


def queued(comfy: Comfy, key: str, breakpoint: str | None, **probe: object) -> str:
    """Held at a gate in its first evaluation until it has that breakpoint."""
    graph = graphs.base(key=key, gates="1", queue_policy="hold", probe=probe)
    job_id = comfy.queue(graph)
    comfy.wait_at_gate(key, 1)
    breakpoints = [{"kind": breakpoint}] if breakpoint else []
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", {"breakpoints": breakpoints})[0] == 200
    return job_id


@pytest.mark.parametrize(("kind", "probe"), [("nan", {"nan_at": 3}), ("exception", {"fail_at": 3})])
def test_an_answer_that_is_dropped_is_cleaned_up_after_before_anything_is_unloaded(
    noted: Comfy, kind: str, probe: dict[str, int]
) -> None:
    key = f"cleaning-{kind}"
    job_id = queued(noted, key, kind, **probe)
    assert calls(noted) == []
    noted.open_gate(key, 1)
    noted.wait_for(job_id, "paused")
    assert calls(noted) == [*CLEANED, "release", *CLEANED]
    noted.verb(job_id, "abort")
    noted.wait_ended(job_id)


def test_an_evaluation_that_is_interrupted_to_pause_is_cleaned_up_after(noted: Comfy) -> None:
    job_id = queued(noted, "cleaning-pause", None)
    assert noted.verb(job_id, "pause", query="?wait=30")[0] == 200
    assert calls(noted)[:4] == [*CLEANED, "release"]
    noted.verb(job_id, "resume")
    noted.wait_for(job_id, "completed")
    assert len(calls(noted)) == 7  # nothing for the evaluations that were answered


def test_it_happens_without_a_release_too(noted: Comfy) -> None:
    key = "cleaning-finish"
    job_id = queued(noted, key, None)
    noted.open_gate(key, 1)
    noted.wait_for(job_id, "completed")
    assert calls(noted) == []
    failing = queued(noted, "cleaning-raise", None, fail_at=2)
    noted.open_gate("cleaning-raise", 1)
    noted.wait_for(failing, "failed")
    assert calls(noted) == CLEANED


def test_an_abort_that_finishes_cleans_up_after_the_evaluation_that_it_interrupts(noted: Comfy) -> None:
    key = "cleaning-abort"
    job_id = noted.queue(graphs.base(key=key, gates="3", queue_policy="hold"))
    noted.wait_at_gate(key, 3)
    assert noted.verb(job_id, "abort", {"mode": "finish"})[0] == 200
    noted.wait_ended(job_id)
    assert calls(noted) == CLEANED
