"""Hours of the day and a hot GPU, on a real server."""

from __future__ import annotations

import time as clocks
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import torch

import graphs
from harness import Comfy
from resuming import latent
from test_control import expected, kinds
from test_guard import HOT

PYNVML = """
import os
from pathlib import Path
NVML_TEMPERATURE_GPU = 0
class NVMLError(Exception): pass
def nvmlInit(): pass
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetTemperature(gpu, sensor):
    told = Path(os.environ["FAKE_CELSIUS"]).read_text().split()
    if not told: raise NVMLError("GPU is lost")
    return int(told[gpu])
"""


@contextmanager
def hot_server(tmp_path: Path) -> Iterator[tuple[Comfy, Callable[[str], Any]]]:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "pynvml.py").write_text(PYNVML)
    celsius = tmp_path / "celsius"
    celsius.write_text("40 41")
    environ = {"PYTHONPATH": str(tmp_path / "fake"), "FAKE_CELSIUS": str(celsius)}
    server = Comfy(tmp_path / "server", environ=environ).start()
    try:
        yield server, celsius.write_text
    finally:
        server.stop()


def put(comfy: Comfy, job_id: str, *given: dict[str, Any]) -> None:
    status, told = comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", {"breakpoints": list(given)})
    assert status == 200, told


def test_a_real_server_waits_until_its_gpu_has_cooled(tmp_path: Path) -> None:
    with hot_server(tmp_path) as (server, set_celsius):
        set_celsius("30 90")
        server.post("/settings", {"Midrun.PauseWhen": [HOT]})
        job_id = server.queue(graphs.base(key="hot", probe={"seconds": 0.2}, steps=30))
        job = server.wait_for(job_id, "paused")
        assert job["pause_reason"] == "breakpoint" and job["gpu_released"]
        assert job["paused_because"].startswith("The GPU is at 90 °C and was above 85 °C.")
        set_celsius("30 75")
        clocks.sleep(3)
        assert server.job(job_id)["state"] == "paused"
        set_celsius("")
        server.until(lambda: server.job(job_id)["warnings"], "a warning")
        set_celsius("30 60")
        job = server.wait_for(job_id, "completed", timeout=60)
        assert job["warnings"] == [] and job["paused_because"] is None
        assert [one["hits"] for one in job["breakpoints"] if one["kind"] == "heat"] == [1]
        assert torch.equal(latent(server, job["prompt_id"]), expected(server, steps=30))


def test_a_real_server_waits_out_the_hours_and_keeps_what_a_user_paused(comfy: Comfy) -> None:
    now = datetime.now()
    inside = {
        "kind": "time",
        "id": "hours",
        "from": f"{now - timedelta(hours=2):%H:%M}",
        "to": f"{now + timedelta(hours=2):%H:%M}",
    }
    outside = inside | {"from": inside["to"], "to": f"{now + timedelta(hours=4):%H:%M}"}
    nodes = [{"id": "sampler", "type": "X", "properties": {"Midrun.breakpoints": [inside]}}]
    extra = {"extra_pnginfo": {"workflow": {"nodes": nodes}}}
    jobs = [comfy.queue(graphs.base(key=f"hours-{n}", gates="1"), extra_data=extra) for n in range(2)]
    for job_id in jobs:
        job = comfy.wait_for(job_id, "paused")
        assert (job["pause_reason"], job["step"]) == ("breakpoint", 0)
        assert "by itself" in job["paused_because"]
    assert comfy.verb(jobs[1], "pause")[1]["pause_reason"] == "user"
    for job_id in jobs:
        put(comfy, job_id, outside)
    comfy.wait_at_gate("hours-0", 1)
    comfy.open_gate("hours-0", 1)
    job = comfy.wait_for(jobs[0], "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))
    assert comfy.job(jobs[1])["state"] == "paused" and "queue" not in kinds(comfy, jobs[1])[1:]


def test_a_server_without_a_thermometer_says_so_and_samples(comfy: Comfy) -> None:
    nodes = [{"id": "sampler", "type": "X", "properties": {"Midrun.breakpoints": [HOT]}}]
    extra = {"extra_pnginfo": {"workflow": {"nodes": nodes}}}
    job_id = comfy.queue(graphs.base(key="cold", gates="2"), extra_data=extra)
    comfy.wait_at_gate("cold", 2)
    (told,) = comfy.until(lambda: comfy.job(job_id)["warnings"], "a warning")
    assert told["code"] == "no_thermometer" and "nvidia-ml-py" in told["message"]
    comfy.open_gate("cold", 2)
    comfy.wait_for(job_id, "completed")
