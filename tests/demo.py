"""`python dev.py demo`: a job is paused, makes way for another, and goes on as if nothing had happened."""

from __future__ import annotations

import argparse
import http.client
import shutil
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import graphs
from harness import Comfy

STEPS, PAUSE_AT = 20, 8
SLOW = {"seconds": 0.1}  # so that there is something to watch
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


class Broken(Exception):
    """Something was not as it should be; shown as a sentence."""


def require(holds: bool, told: str) -> None:
    if not holds:
        raise Broken(told)


def workflow(key: str, watched: bool = True, steps: int = STEPS, **more: Any) -> graphs.Graph:
    return graphs.base("dpmpp_2m_sde", watched=watched, steps=steps, key=key, probe=SLOW, **more)


def show(job: dict[str, Any]) -> None:
    timing = job["timing"]
    left = "" if timing["eta_s"] is None else f", {timing['eta_s']:.1f} s to go"
    rows = {
        "state": job["state"] + (f" ({job['pause_reason']})" if job["pause_reason"] else ""),
        "step": f"{job['step']} of {'?' if job['total_steps'] is None else job['total_steps']}",
        "sigma": "none yet" if job["sigma"] is None else f"{job['sigma']:.3f}",
        "active": f"{timing['active_s']:.1f} s{left}",
        "paused": f"{timing['paused_s']:.1f} s",
        "GPU released": "yes" if job["gpu_released"] else "no",
        "queue worker": "held" if job["held"] else "free",
    }
    for name, value in rows.items():
        print(f"    {name:13}{value}")


def timeline(events: list[dict[str, Any]]) -> None:
    def moment(event: dict[str, Any]) -> datetime:
        return datetime.fromisoformat(event["at"].replace("Z", "+00:00"))

    for event in events:
        offset = (moment(event) - moment(events[0])).total_seconds()
        print(f"    {offset:6.2f} s  {event['kind']:10} step {event['step']:2}  -> {event['state_to']}")


def pause(comfy: Comfy) -> str:
    """Queue a job and pause it in the middle of a step; its id."""
    print("  There is no checkpoint at hand, so a tiny model with random weights is sampled.")
    job_id = comfy.queue(workflow("demo", gates=str(PAUSE_AT + 1)))
    print(f"  Queued job {job_id}: {STEPS} steps of dpmpp_2m_sde.")
    comfy.wait_at_gate("demo", PAUSE_AT + 1)
    began = time.monotonic()
    status, job = comfy.verb(job_id, "pause", query="?wait=30")
    took = time.monotonic() - began
    require(status == 200 and job["state"] == "paused", f"The job did not pause: {status} {job}")
    print(f"  POST /midrun/jobs/{{id}}/pause, in the middle of step {PAUSE_AT + 1}: {took:.2f} s")
    show(job)
    require(job["gpu_released"], "The job is paused, but models are still loaded.")
    return job_id


def make_way(comfy: Comfy, job_id: str) -> None:
    """Let another prompt run while the job is paused."""
    comfy.wait_ended(comfy.queue(workflow("other", watched=False, steps=4, seed=99)))
    print("  Another prompt was queued meanwhile and ran to its end; the paused job made way for it.")
    job = comfy.job(job_id)
    show(job)
    require(job["state"] == "paused" and not job["held"], "The paused job did not make way.")


def resume(comfy: Comfy, job_id: str) -> Path:
    """Let the job end and compare its result with a stock run's; the result."""
    status, answer = comfy.verb(job_id, "resume")
    require(status == 202, f"The job did not resume: {status} {answer}")
    job = comfy.wait_for(job_id, "completed")
    print("  POST /midrun/jobs/{id}/resume. The timeline:")
    timeline(comfy.get(f"/midrun/jobs/{job_id}/events")["events"])

    output = comfy.output(job["prompt_id"])
    plain = comfy.queue(workflow("plain", watched=False))
    same = torch.equal(*(load_file(file)["latent_tensor"] for file in (output, comfy.output(plain))))
    evaluations = comfy.probe("demo")["done"]
    verdict = "bit-identical to" if same else "DIFFERENT from"
    print(f"  The result is {verdict} an uninterrupted run without Midrun;")
    print(f"  {evaluations} evaluations were computed for {STEPS} steps.")
    require(same, "The result should be that of an uninterrupted run.")
    require(evaluations == STEPS, f"There should be {STEPS} evaluations.")
    return output


def stay(comfy: Comfy, output: Path) -> None:
    """Leave the server to whoever looks at the demo."""
    print(f"ComfyUI runs at {comfy.url}; the job is at {comfy.url}/midrun/jobs.")
    print(f"The result is {output}. Ctrl-C stops the server and removes it.", flush=True)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        return


def show_all(base: Path, headless: bool) -> int:
    """The exit code. The server has stopped then."""
    comfy = Comfy(base)
    print("Starting ComfyUI with Midrun ...", flush=True)
    try:
        comfy.start()
        job_id = pause(comfy)
        make_way(comfy, job_id)
        output = resume(comfy, job_id)
        if not headless:
            stay(comfy, output)
    except (Broken, RuntimeError, AssertionError, OSError, http.client.HTTPException) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        print(f"What it left is kept in {base}; the server's log is {comfy.log}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted before the demo was over.", file=sys.stderr)
        return INTERRUPTED
    finally:
        comfy.stop()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py demo", description=__doc__)
    parser.add_argument("--headless", action="store_true", help="stop the server when the demo is over")
    arguments = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="midrun-demo-"))
    code = show_all(base, arguments.headless)
    if code in (0, INTERRUPTED):
        shutil.rmtree(base, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
