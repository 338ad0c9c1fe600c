"""What `python dev.py bench` measures of patches that remember: keeping that, and a verified resume."""

from __future__ import annotations

import random
import statistics
import time
from itertools import pairwise

import graphs
from graphs import Graph
from harness import Comfy
from measurements import Figures, milliseconds, require

STEP_S, STEPS, STOP = 0.1, 20, 10
PATCH = "holder"  # of the test pack: it keeps the answers, of cond and of uncond
RANDOM = random.Random(29)


def memory_cost(comfy: Comfy, quick: bool) -> Figures:
    """A patch that remembers what the model answered, 100 ms a step: keeping that, and a verified resume.

    kept: seconds from one evaluation to the next, watched, to those of stock; stock: of the same twice
    resumed: from POST resume, parked at step 10 of 20, to the evaluation after it
    """
    tries = 2 if quick else 7
    turns = [_turn(comfy, number) for number in range(tries)]
    usual = statistics.median(turn["stock"] for turn in turns)
    figures: Figures = {
        name: {
            "ratio_median": round(statistics.median(turn[name] / turn["stock"] for turn in turns), 4),
            "more_median_ms": milliseconds(statistics.median(turn[name] for turn in turns) - usual),
            "tries": tries,
        }
        for name in ("again", "kept")
    }
    for verify in (False, True):
        comfy.post("/settings/Midrun.VerifyResumes", verify)
        took = [_resumed(comfy, f"memory-{verify}-{number}", verify) for number in range(tries)]
        name = "resumed_verified" if verify else "resumed"
        figures[name] = {"median_ms": milliseconds(statistics.median(took)), "tries": tries}
    comfy.post("/settings/Midrun.VerifyResumes", False)
    return figures


def _graph(key: str, watched: bool, gates: str = "") -> Graph:
    given = {"probe": {"seconds": STEP_S}, "queue_policy": "park"}
    seed = RANDOM.randrange(2**32)  # nothing is to come from ComfyUI's cache
    made = graphs.base(steps=STEPS, key=key, gates=gates, watched=watched, seed=seed, **given)
    return graphs.remembering(made, PATCH)


def _turn(comfy: Comfy, number: int) -> dict[str, float]:
    """Seconds from one evaluation to the next, in the median: of stock twice, and of a watched prompt."""
    names = ["stock", "again", "kept"]
    RANDOM.shuffle(names)
    return {name: _between(comfy, f"memory-{name}-{number}", name == "kept") for name in names}


def _between(comfy: Comfy, key: str, watched: bool) -> float:
    comfy.wait_ended(comfy.queue(_graph(key, watched)), every_s=0.5)
    began = comfy.probe(key)["began"]
    require(len(began) == STEPS, f"{key} was asked {len(began)} times.")
    return statistics.median(later - earlier for earlier, later in pairwise(began))


def _resumed(comfy: Comfy, key: str, verify: bool) -> float:
    """Seconds to the evaluation after the one at which the job was parked; the check of it comes before."""
    job_id = comfy.queue(_graph(key, True, str(STOP + 1)))
    comfy.wait_at_gate(key, STOP + 1)
    comfy.verb(job_id, "pause", query="?wait=30")
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the queue worker to be free")
    asked, sent = comfy.probe(key)["calls"], time.monotonic()
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    began = comfy.probe(key)["began"][asked:]
    require(len(began) == STEPS - STOP + verify, f"{key} was asked {len(began)} times after the resume.")
    return began[verify] - sent


MEASUREMENTS = {"memory_cost": memory_cost}
