"""The ledger of a real server: what a rewind cost, what a replay spared; a deleted job is not forgotten."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

import graphs
from harness import Comfy

STEPS, STOP, BACK = 6, 4, 2


def seconds(comfy: Comfy, job_id: str) -> list[float]:
    return [row["seconds"] for row in comfy.get(f"/midrun/jobs/{job_id}/telemetry")["telemetry"]]


def grown(comfy: Comfy, before: dict[str, Any]) -> dict[str, float]:
    after = comfy.get("/midrun/ledger")["total"]
    return {name: after[name] - before["total"][name] for name in after}


def test_a_rewound_job_is_in_the_ledger_step_by_step_and_outlives_its_deletion(comfy: Comfy) -> None:
    comfy.clear()
    before, usage = comfy.get("/midrun/ledger"), comfy.get("/midrun/usage")
    graph = graphs.base(key="ledger", steps=STEPS, pause_at_step=STOP, queue_policy="park")
    job_id = comfy.queue(graph, extra_data={"extra_pnginfo": {"workflow": {"name": "ledger test"}}})
    comfy.wait_for(job_id, "paused")
    first = seconds(comfy, job_id)
    assert grown(comfy, before)["undecided_s"] == pytest.approx(sum(first), abs=0.01)
    assert comfy.verb(job_id, "rewind", {"step": BACK})[0] == 200
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", {"breakpoints": []})[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "paused", "completed")
    if job["state"] == "paused":  # the node's own breakpoint
        comfy.verb(job_id, "resume")
        comfy.wait_for(job_id, "completed")
    last = seconds(comfy, job_id)
    assert last[:BACK] == first[:BACK] and len(last) == STEPS
    told = grown(comfy, before)
    assert told["kept_s"] == pytest.approx(sum(last), abs=0.01)
    assert told["thrown_s"] == pytest.approx(sum(first[BACK:]), abs=0.01)
    assert told["computed_s"] == pytest.approx(told["kept_s"] + told["thrown_s"], abs=0.01)
    assert told["undecided_s"] == pytest.approx(0, abs=0.01)
    assert told["replayed_s"] >= sum(first[:BACK]) - 0.01
    spared = comfy.get("/midrun/usage")["spared_s"] - usage["spared_s"]
    assert spared == pytest.approx(told["replayed_s"], abs=0.01)
    status, _ = comfy.call("DELETE", f"/midrun/jobs/{job_id}")
    assert status == 204 and grown(comfy, before) == pytest.approx(told, abs=0.01)
    _, headers, content = comfy.fetch("/midrun/ledger?format=csv")
    rows = [row for row in csv.DictReader(io.StringIO(content.decode())) if row["workflow"] == "ledger test"]
    assert headers["Content-Type"].startswith("text/csv") and {row["reason"] for row in rows} == {
        "",
        "rewound",
    }
    assert sum(float(row["computed_s"]) for row in rows) == pytest.approx(told["computed_s"], abs=0.01)
    assert comfy.call("GET", "/midrun/ledger?format=xml")[0] == 400
