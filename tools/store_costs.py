"""What `python dev.py bench` measures of a shared store: sampling while its jobs are sent there.

The model sleeps, as a processor does that waits for its GPU. On S3 where MIDRUN_S3 names a directory in which
s3fs and moto[server] are installed.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
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
    """Prompts of 60 steps of 100 ms, watched, with a store to the same without one; 512x512.

    Medians of the ratios within the pairs; again: of the same twice, which is what the machine adds;
    s3_cut_off: of 450 steps, of which the store does not answer for 30 seconds; warned: jobs that told of it
    """
    s3 = S3(base) if PACKAGES else None
    told = {"none": {}, "file": {"MIDRUN_STORE": f"file://{(base / 'store').as_posix()}"}}
    told |= {"s3": s3.told} if s3 else {}
    servers = {name: Comfy(base / name, environ=environ) for name, environ in told.items()}
    try:
        for comfy in servers.values():
            _prompt(comfy.start(), 3)
        turns = [_turn(servers) for _ in range(FEW if quick else PAIRS)]
        names = ("again", *(name for name in servers if name != "none"))
        figures = {name: quarters([turn[name] / turn["none"] for turn in turns]) for name in names}
        if s3:
            figures["s3_cut_off"] = _cut_off(servers, s3, 1 if quick else 3)
    finally:
        for comfy in servers.values():
            comfy.stop()
        if s3:
            s3.end()
    return figures


def _turn(servers: dict[str, Comfy]) -> dict[str, float]:
    turns = [*servers.items(), ("again", servers["none"])]
    RANDOM.shuffle(turns)
    return {name: _prompt(comfy, STEPS) for name, comfy in turns}


def _prompt(comfy: Comfy, steps: int) -> float:
    """Seconds from the prompt's start to its end, by ComfyUI's own messages."""
    seed = RANDOM.randrange(2**32)  # nothing is to come from ComfyUI's cache
    given: dict[str, Any] = {"latent": {"size": 64}, "cfg": 1.0, "preview": {"method": "none"}}
    probe = {"seconds": STEP_S, "hollow": True}
    return prompt_seconds(comfy, graphs.base(steps=steps, seed=seed, key=str(seed), probe=probe, **given))


def _cut_off(servers: dict[str, Comfy], s3: S3, tries: int) -> Figures:
    tried = [_tried(servers["none"], servers["s3"], s3) for _ in range(tries)]
    ratios = {name: [one[name] / one["none"] for one in tried] for name in ("again", "s3")}
    medians = {name: round(statistics.median(several), 4) for name, several in ratios.items()}
    warned = sum(one["warned"] for one in tried)
    return {"median": medians["s3"], "again": medians["again"], "tries": tries, "warned": warned}


def _tried(plain: Comfy, shared: Comfy, s3: S3) -> dict[str, float]:
    tried = {"none": _prompt(plain, LONG)}
    cut = threading.Thread(target=_cut, args=(s3,))
    cut.start()
    tried["s3"] = _prompt(shared, LONG)
    cut.join()
    job_id = shared.get("/midrun/jobs")["jobs"][0]["job_id"]
    kinds = [event["kind"] for event in shared.get(f"/midrun/jobs/{job_id}/events")["events"]]
    return tried | {"again": _prompt(plain, LONG), "warned": "not_in_store" in kinds}


def _cut(s3: S3) -> None:
    """For a while, in a moment."""
    time.sleep(BEFORE_S)
    s3.cut()
    time.sleep(CUT_S)
    s3.answer()


MEASUREMENTS = {"store_cost": store_cost}
