"""What `python dev.py bench` measures of a shared store: sampling while its jobs are sent there.

The model sleeps, as a processor does that waits for its GPU. On S3 where MIDRUN_S3 names a directory in which
s3fs and moto[server] are installed.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import graphs
from harness import Comfy
from measurements import Figures, prompt_seconds, quarters
from s3 import PACKAGES, S3

STEP_S, STEPS, LONG = 0.1, 60, 450
BEFORE_S, CUT_S = 4.0, 30.0
PAIRS, FEW = 11, 3
RANDOM = random.Random(31)


def store_cost(base: Path, quick: bool) -> Figures:
    """Prompts of 60 steps of 100 ms, watched, with a store to the same without one at the same time; 512x512.

    Medians of the ratios; again: of another server without one, which is what the machine adds;
    *_cut_off: of 450 steps, of which S3 does not answer for 30 seconds; warned: jobs that told of it
    """
    s3 = S3(base) if PACKAGES else None
    told = {"none": {}, "again": {}, "file": {"MIDRUN_STORE": f"file://{(base / 'store').as_posix()}"}}
    told |= {"s3": s3.told} if s3 else {}
    servers = {name: Comfy(base / name, environ=environ) for name, environ in told.items()}
    try:
        for comfy in servers.values():
            _prompt(comfy.start(), 3)
        figures = _ratios([_turn(servers, STEPS) for _ in range(FEW if quick else PAIRS)])
        if s3:
            turns, warned = zip(*[_cut_off(servers, s3) for _ in range(FEW)], strict=True)
            cut = {f"{name}_cut_off": told for name, told in _ratios(turns).items()}
            figures |= cut | {"warned": {"jobs": sum(warned), "of": FEW}}
    finally:
        for comfy in servers.values():
            comfy.stop()
        if s3:
            s3.end()
    return figures


def _turn(servers: dict[str, Comfy], steps: int) -> dict[str, float]:
    """At the same time: what else the machine does then takes as much from each."""
    with ThreadPoolExecutor(len(servers)) as pool:
        took = pool.map(lambda comfy: _prompt(comfy, steps), servers.values())
        return dict(zip(servers, took, strict=True))


def _ratios(turns: Sequence[dict[str, float]]) -> Figures:
    names = [name for name in turns[0] if name != "none"]
    return {name: quarters([turn[name] / turn["none"] for turn in turns]) for name in names}


def _prompt(comfy: Comfy, steps: int) -> float:
    """Seconds from the prompt's start to its end, by ComfyUI's own messages."""
    seed = RANDOM.randrange(2**32)  # nothing is to come from ComfyUI's cache
    given: dict[str, Any] = {"latent": {"size": 64}, "cfg": 1.0, "preview": {"method": "none"}}
    probe = {"seconds": STEP_S, "hollow": True}
    return prompt_seconds(comfy, graphs.base(steps=steps, seed=seed, key=str(seed), probe=probe, **given))


def _cut_off(servers: dict[str, Comfy], s3: S3) -> tuple[dict[str, float], bool]:
    """The turn, and whether the job that is sent to S3 warned."""
    cut = threading.Thread(target=_cut, args=(s3,))
    cut.start()
    turn = _turn(servers, LONG)
    cut.join()
    shared = servers["s3"]
    job_id = shared.get("/midrun/jobs")["jobs"][0]["job_id"]
    kinds = [event["kind"] for event in shared.get(f"/midrun/jobs/{job_id}/events")["events"]]
    return turn, "not_in_store" in kinds


def _cut(s3: S3) -> None:
    """For a while, in a moment."""
    time.sleep(BEFORE_S)
    s3.cut()
    time.sleep(CUT_S)
    s3.answer()


MEASUREMENTS = {"store_cost": store_cost}
