"""`python dev.py demo`: a job is paused, makes way for another, and goes on as if nothing had happened."""

from __future__ import annotations

import argparse
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


def workflow(key: str, watched: bool = True, steps: int = STEPS, **more: Any) -> graphs.Graph:
    return graphs.base("dpmpp_2m_sde", watched=watched, steps=steps, key=key, probe=SLOW, **more)


def show(job: dict[str, Any]) -> None:
    timing = job["timing"]
    rows = {
        "state": job["state"] + (f" ({job['pause_reason']})" if job["pause_reason"] else ""),
        "step": f"{job['step']} of {job['total_steps']}",
        "sigma": f"{job['sigma']:.3f}",
        "active": f"{timing['active_s']:.1f} s, {timing['eta_s']:.1f} s to go",
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


def run(comfy: Comfy) -> bool:
    """Whether everything was as promised."""
    print("  There is no checkpoint at hand, so a tiny model with random weights is sampled.")
    job_id = comfy.queue(workflow("demo", gates=str(PAUSE_AT + 1)))
    print(f"  Queued job {job_id}: {STEPS} steps of dpmpp_2m_sde.")
    comfy.wait_at_gate("demo", PAUSE_AT + 1)
    began = time.monotonic()
    job = comfy.verb(job_id, "pause", query="?wait=30")[1]
    took = time.monotonic() - began
    print(f"  POST /midrun/jobs/{{id}}/pause, in the middle of step {PAUSE_AT + 1}: {took:.2f} s")
    show(job)

    other = comfy.queue(workflow("other", watched=False, steps=4, seed=99))
    comfy.wait_ended(other)
    held = comfy.job(job_id)["held"]
    print("  Another prompt was queued meanwhile and ran to its end; the paused job made way for it.")

    comfy.verb(job_id, "resume")
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
    print(f"  Result: {output}")
    return same and not held and evaluations == STEPS


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py demo", description=__doc__)
    parser.add_argument("--headless", action="store_true", help="stop the server when the demo is over")
    arguments = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="midrun-demo-"))
    comfy = Comfy(base)
    print("Starting ComfyUI with Midrun ...")
    try:
        comfy.start()
        good = run(comfy)
        if not good:
            print("Something was not as it should be; the server's log is", comfy.log)
        if not arguments.headless:
            print(f"ComfyUI runs at {comfy.url}; the job is at {comfy.url}/midrun/jobs. Ctrl-C stops it.")
            while True:
                time.sleep(1)
    except (RuntimeError, AssertionError) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        good = True
    finally:
        comfy.stop()
    if not arguments.headless:
        shutil.rmtree(base, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
