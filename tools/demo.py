"""`python dev.py demo`: a red circle becomes a blue square half-way, in the first example workflow."""

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

import numpy as np
from PIL import Image

import contact_sheet
import examples
from demo_model.check import Seen, look
from harness import ROOT, Comfy

EXAMPLE, PAUSE_AT = "Pause and edit", 6
FIRST, THEN = "a red circle on a yellow ground", "a blue square on a yellow ground"
REASON = "the circle should be a square"
SHEET = ROOT / "midrun-demo.png"
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


class Broken(Exception):
    """Something was not as it should be; shown as a sentence."""


def require(holds: bool, told: str) -> None:
    if not holds:
        raise Broken(told)


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


def seen(image: Image.Image) -> Seen:
    return look(np.asarray(image.convert("RGB").resize((128, 128)), np.float32) / 255)


def told(what: Seen) -> str:
    thing = f"a {what.colour} {what.shape}" if what.shape else "nothing yet"
    return f"{thing} on {what.ground}"


def pause(comfy: Comfy, prompt: dict[str, Any]) -> str:
    """Queue the example, which pauses by itself; its id."""
    job_id = comfy.queue(prompt)
    print(f"  Queued job {job_id}: '{FIRST}', 20 steps.")
    job = comfy.wait_for(job_id, "paused")
    print(f"  It paused by itself after step {job['step']} of {job['total_steps']}.")
    require(job["step"] == PAUSE_AT, "It should have paused at step 6.")
    require(job["gpu_released"], "The job is paused, but models are still loaded.")
    show(job)
    shown = seen(contact_sheet.preview(comfy, job_id, PAUSE_AT))
    print(f"  Its preview shows {told(shown)}: {comfy.url}/midrun/jobs/{job_id}/preview")
    return job_id


def make_way(comfy: Comfy, prompt: dict[str, Any], sampler: str) -> str:
    """Queue a second job, which pauses as well, so that the first has to leave the queue; its id."""
    other = {**prompt, sampler: {**prompt[sampler], "inputs": {**prompt[sampler]["inputs"], "seed": 8}}}
    second = comfy.queue(other)
    comfy.wait_for(second, "paused")
    print(f"  Meanwhile a second job ran: {second}. The paused one made way for it.")
    return second


def edit_and_resume(comfy: Comfy, job_id: str, text_node: str) -> Path:
    """Change colour and shape, and let the job end; its picture."""
    body = {text_node: {"text": THEN}}
    status, answer = comfy.call("PUT", f"/midrun/jobs/{job_id}/params", body)
    require(status == 200, f"The edit was refused: {status} {answer}")
    print(f"  PUT /midrun/jobs/{{id}}/params: '{THEN}'")
    status, answer = comfy.verb(job_id, "resume")
    require(status == 202, f"The job did not resume: {status} {answer}")
    job = comfy.wait_for(job_id, "completed")
    print("  POST /midrun/jobs/{id}/resume. The timeline:")
    timeline(comfy.get(f"/midrun/jobs/{job_id}/events")["events"])
    print(f"  Steps 1 to {PAUSE_AT} came from the recording, {PAUSE_AT + 1} to {job['step']} from the model.")
    outputs = comfy.wait_ended(job["prompt_id"])["outputs"]
    output = comfy.output(job["prompt_id"], next(iter(outputs)))
    with Image.open(output) as image:
        result = seen(image)
    print(f"  The result shows {told(result)}.")
    require((result.colour, result.shape) == ("blue", "square"), "It should be a blue square.")
    return output


def abort(comfy: Comfy, job_id: str) -> None:
    """End the second job, with a reason."""
    status, answer = comfy.verb(job_id, "abort", {"mode": "stop", "reason": REASON})
    require(status == 200, f"The job was not aborted: {status} {answer}")
    comfy.wait_for(job_id, "aborted")
    failure = comfy.get("/midrun/failures")["failures"][0]
    require((failure["job_id"], failure["reason"]) == (job_id, REASON), f"It is not told of: {failure}")
    print(f"  The second job was aborted at step {failure['step']}, because {REASON}.")


def write_sheet(comfy: Comfy, job_id: str, sheet: Path, steps: int = 20) -> None:
    pictures = {step: contact_sheet.preview(comfy, job_id, step) for step in range(1, steps + 1)}
    lines = (f"Steps 1 to {PAUSE_AT}: {FIRST}", f"Steps {PAUSE_AT + 1} to {steps}: {THEN}")
    contact_sheet.write(sheet, pictures, PAUSE_AT, lines)
    print(f"  All steps in one picture: {sheet}")


def play(comfy: Comfy, sheet: Path) -> Path:
    """The whole story; the picture that the edited job saved. Raises Broken where it goes wrong."""
    workflow = examples.saved(EXAMPLE)
    prompt = examples.as_prompt(comfy, workflow)
    job_id = pause(comfy, prompt)
    second = make_way(comfy, prompt, examples.node_id(workflow, "MidrunKSampler"))
    abort(comfy, second)
    output = edit_and_resume(comfy, job_id, examples.node_id(workflow, "Positive"))
    write_sheet(comfy, job_id, sheet)
    return output


def stay(comfy: Comfy, output: Path) -> None:
    """Leave the server to whoever looks at the demo."""
    print(f"ComfyUI runs at {comfy.url}; the jobs are at {comfy.url}/midrun/jobs.")
    print(f"The result is {output}. Ctrl-C stops the server and removes it.", flush=True)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        return


def show_all(base: Path, headless: bool) -> int:
    """The exit code. The server has stopped then."""
    comfy = Comfy(base, (ROOT,))
    print("Starting ComfyUI with Midrun ...", flush=True)
    try:
        comfy.start()
        output = play(comfy, SHEET)
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
