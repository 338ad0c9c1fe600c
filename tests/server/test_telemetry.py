"""What is measured of each step, on a real server: told, dropped by a rewind, shared with forks, kept."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from harness import Comfy
from midrun.state.telemetry import COLUMNS
from test_control import pause_at, start
from test_timetravel import completed, resume, rewind

NODE = {"node_id": "sampler", "display_node_id": "sampler", "iteration": None}


def telemetry(comfy: Comfy, job_id: str) -> list[dict[str, Any]]:
    return comfy.get(f"/midrun/jobs/{job_id}/telemetry")["telemetry"]


def denoised(comfy: Comfy, job_id: str, step: int) -> torch.Tensor:
    status, _, content = comfy.fetch(f"/midrun/jobs/{job_id}/latent?step={step}")
    assert status == 200
    return load(content)["latent_tensor"]


def test_every_step_is_measured_and_told(comfy: Comfy) -> None:
    job_id = start(comfy, "measured", "4")
    pause_at(comfy, job_id, "measured", 4)
    job, listed = comfy.job(job_id), telemetry(comfy, job_id)
    assert [(row["node_id"], row["step"]) for row in listed] == [("sampler", step) for step in (1, 2, 3)]
    assert {**NODE, **job["telemetry"]} == listed[-1]
    assert set(job["telemetry"]) == {"step", "sigma", "change", "norm", "seconds", "memory"}
    assert listed[0]["change"] is None and all(row["change"] > 0 for row in listed[1:])
    assert all(row["seconds"] > 0 and row["norm"] > 0 and row["memory"] is None for row in listed)
    assert listed[-1]["sigma"] == job["sigma"]
    latents = [denoised(comfy, job_id, step) for step in (1, 2, 3)]
    for before, now, row in zip(latents, latents[1:], listed[1:], strict=False):
        assert row["change"] == pytest.approx(float((now - before).norm() / now.norm()), rel=1e-4)
    ratio = listed[1]["norm"] / listed[0]["norm"]
    assert ratio == pytest.approx(float(latents[1].norm() / latents[0].norm()), rel=1e-4)
    resume(comfy, job_id)
    assert telemetry(comfy, job_id)[:3] == listed
    assert [row["step"] for row in telemetry(comfy, job_id)] == [1, 2, 3, 4, 5, 6]
    status, headers, content = comfy.fetch(f"/midrun/jobs/{job_id}/telemetry?format=csv")
    assert status == 200 and headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"] == f'attachment; filename="midrun-{job_id}.csv"'
    lines = list(csv.DictReader(io.StringIO(content.decode())))
    assert tuple(lines[0]) == COLUMNS and [line["step"] for line in lines] == list("123456")
    assert comfy.call("GET", f"/midrun/jobs/{job_id}/telemetry?format=xml")[0] == 400
    assert comfy.call("GET", "/midrun/jobs/nobody/telemetry")[0] == 404


def test_a_rewind_measures_anew_and_a_fork_has_what_its_parent_had(comfy: Comfy) -> None:
    job_id = completed(comfy, "measured-again")
    before = telemetry(comfy, job_id)
    job = rewind(comfy, job_id, 2)
    assert {**NODE, **job["telemetry"]} == before[1]
    assert telemetry(comfy, job_id) == before
    fork = comfy.verb(job_id, "fork", {"step": 2, "params": {"sampler": {"cfg": 1.5}}})[1]["jobs"][0]
    assert fork["telemetry"] == job["telemetry"]
    comfy.wait_for(fork["job_id"], "completed")
    other = telemetry(comfy, fork["job_id"])
    assert other[:2] == before[:2] and len(other) == 6 and other[2]["norm"] != before[2]["norm"]
    job = comfy.call("DELETE", f"/midrun/jobs/{job_id}/rewind")[1]
    assert {**NODE, **job["telemetry"]} == before[-1]
    rewind(comfy, job_id, 4)
    resume(comfy, job_id)
    after = telemetry(comfy, job_id)
    assert after[:4] == before[:4] and after[4:] != before[4:]
    assert [row["norm"] for row in after] == [row["norm"] for row in before]
    assert after[4]["change"] == before[4]["change"]
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}")[0] == 204
    assert telemetry(comfy, fork["job_id"]) == other


def test_what_was_measured_survives_a_restart(tmp_path: Path) -> None:
    server = Comfy(tmp_path).start()
    try:
        job_id = start(server, "measured-crash", "4", queue_policy="park")
        pause_at(server, job_id, "measured-crash", 4)
        before, job = telemetry(server, job_id), server.job(job_id)
        server.kill()
        server.start()
        assert telemetry(server, job_id) == before and len(before) == 3
        assert server.job(job_id)["telemetry"] == job["telemetry"] is not None
        resume(server, job_id)
        assert telemetry(server, job_id)[:3] == before and len(telemetry(server, job_id)) == 6
    finally:
        server.stop()
