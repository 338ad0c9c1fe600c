"""What `python dev.py bench` measures of a node with a sampling loop of its own: Midrun's time in a call."""

from __future__ import annotations

import itertools
import statistics
from typing import Any

import graphs
from harness import Comfy
from measurements import Figures, milliseconds, p99, require

CASES = (("nothing", 0.0), ("nothing", 0.02), ("counter", 0.02), ("residual", 0.02))
WARM_UP = 10  # calls
NUMBERS = itertools.count(1)
NO_OWN = ("look", "copies")  # what is told apart


def loop_cost(comfy: Comfy, quick: bool) -> Figures:
    """A loop of its own over a network of 1,138 modules that waits so long; a latent of 256 KB.

    own: of the loop's thread in a call, watched, less the median of stock; rest: without copies and the look
    layers_more: what the layers take longer, watched; keeps: what the network remembers
    """
    turns, calls = (2, 60) if quick else (6, 150)
    figures: Figures = {}
    for keeps, seconds in CASES:
        told: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
        for number in range(turns):
            for watched in (False, True) if number % 2 else (True, False):
                told[watched].append(_run(comfy, keeps, seconds, watched, calls))
        usual = {name: statistics.median(_all(told[False], name)) for name in ("around", "layers")}
        own = [took - usual["around"] for took in _all(told[True], "around")]
        clocked = _run(comfy, keeps, seconds, True, calls, clocks=True)
        medians = {name: statistics.median(took[WARM_UP:]) for name, took in clocked["parts"][0].items()}
        rest = statistics.median(_all([clocked], "around")) - usual["around"]
        rest -= sum(medians.get(name, 0.0) for name in NO_OWN)
        layers = statistics.median(_all(told[True], "layers")) - usual["layers"]
        figures[f"{1000 * seconds:.0f}_ms_keeps_{keeps}"] = {
            "own_median_ms": milliseconds(statistics.median(own)),
            "own_p99_ms": milliseconds(p99(own)),
            "rest_median_ms": milliseconds(rest),
            "layers_more_ms": milliseconds(layers),
            "parts_ms": {name: milliseconds(took) for name, took in sorted(medians.items())},
            "calls": len(own),
        }
    return figures


def _all(told: list[dict[str, Any]], name: str) -> list[float]:
    return [took for one in told for took in one[name][WARM_UP:]]


def _run(
    comfy: Comfy, keeps: str, seconds: float, watched: bool, calls: int, clocks: bool = False
) -> dict[str, Any]:
    graph = {
        "model": graphs.node("TestDeepModel", seconds=seconds, keeps=keeps, number=next(NUMBERS)),
        "attach": graphs.node("MidrunAttach", model=["model", 0]),
        "loop": graphs.node(
            "TestDeepLoop", model=["attach" if watched else "model", 0], calls=calls, clocks=clocks
        ),
    }
    if not watched:
        del graph["attach"]
    ended = comfy.wait_ended(comfy.queue(graph), 600, every_s=0.5)
    require("loop" in ended["outputs"], f"TestDeepLoop failed: {ended['status']}")
    return ended["outputs"]["loop"]


MEASUREMENTS = {"loop_cost": loop_cost}
