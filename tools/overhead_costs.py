"""What `python dev.py bench` measures of watched sampling against stock, in turns in one process."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from operator import truediv
from typing import Any

import graphs
from graphs import Graph
from harness import Comfy
from measurements import RARELY_S, Figures, milliseconds, p99, require

LARGEST = 5  # parts of the own time that are shown


@dataclass(frozen=True)
class Load:
    """So many pairs of sampling calls, at `seconds` an evaluation."""

    seconds: float
    steps: int
    pairs: int


QUICK_LOADS = (Load(0.0, 100, 5), Load(0.02, 20, 7), Load(0.1, 10, 5), Load(0.5, 4, 2))
FULL_LOADS = (Load(0.0, 100, 15), Load(0.02, 20, 15), Load(0.1, 20, 15), Load(0.5, 5, 15))


def overhead(comfy: Comfy, quick: bool) -> Figures:
    """Watched sampling against stock, in turns in one process; euler, 4x64x64 latent.

    own: seconds between two evaluations, watched, less the median of stock. stock_p99: the same of stock.
    """
    figures = {}
    for load in QUICK_LOADS if quick else FULL_LOADS:
        told = sample_in_turns(comfy, load)
        usual = statistics.median(told["gaps_stock"])
        own = [gap - usual for gap in told["gaps_watched"]]
        line = {"own_median_ms": milliseconds(statistics.median(own)), "own_p99_ms": milliseconds(p99(own))}
        line |= {"stock_p99_ms": milliseconds(p99(told["gaps_stock"]) - usual), "evaluations": len(own)}
        line["parts_ms"] = _largest(told["parts"][0])
        if load.seconds:  # the ratio to nothing says nothing
            line |= ratios(told) | {"pairs": load.pairs}
        figures[f"{1000 * load.seconds:.0f}_ms_a_step"] = line
    return figures


def _largest(parts: dict[str, list[float]]) -> dict[str, float]:
    """The five that take the most between two evaluations, in the median, and what all take together."""
    medians = {name: milliseconds(statistics.median(seconds)) for name, seconds in parts.items()}
    ordered = sorted(medians.items(), key=lambda part: -part[1])
    together = statistics.median(map(sum, zip(*parts.values(), strict=True)))
    return dict(ordered[:LARGEST]) | {"all parts": milliseconds(together)}


def sample_in_turns(comfy: Comfy, load: Load, **more: float) -> dict[str, Any]:
    """What TestBench tells."""
    graph = graphs.base(watched=False, key=f"bench-{load.seconds}")
    kept = {name: graph[name] for name in ("model", "probe", "positive", "negative")}
    kept["attach"] = graphs.node("MidrunAttach", model=["model", 0])
    links = {"model": ["model", 0], "watched": ["attach", 0]}
    links |= {"positive": ["positive", 0], "negative": ["negative", 0]}
    kept["bench"] = graphs.node(
        "TestBench", seconds=load.seconds, steps=load.steps, pairs=load.pairs, **links, **more
    )
    return _bench(comfy, kept, 600)


def architecture_in_turns(
    comfy: Comfy, made: dict[str, Any], timeout_s: float = 600, **load: float
) -> dict[str, Any]:
    """What TestBench tells of a model that TestArchitecture makes. load: seconds, steps, pairs, giving_s"""
    graph = {"model": graphs.node("TestArchitecture", **made)}
    graph["attach"] = graphs.node("MidrunAttach", model=["model", 0])
    links: dict[str, Any] = {"model": ["model", 0], "watched": ["attach", 0], "latent": ["model", 3]}
    links |= {"positive": ["model", 1], "negative": ["model", 2]}
    graph["bench"] = graphs.node("TestBench", **load, **links)
    return _bench(comfy, graph, timeout_s)


def _bench(comfy: Comfy, graph: Graph, timeout_s: float) -> dict[str, Any]:
    ended = comfy.wait_ended(comfy.queue(graph), timeout_s, every_s=RARELY_S)
    require("bench" in ended["outputs"], f"TestBench failed: {ended['status']}\n{comfy.tail()}")
    return ended["outputs"]["bench"]


def ratios(told: dict[str, Any]) -> dict[str, float]:
    """The medians of the ratios within the pairs that TestBench tells of."""
    names = {"watched_to_stock": "watched", "stock_to_stock": "again"}
    each = {name: map(truediv, told[turn], told["stock"]) for name, turn in names.items()}
    return {name: round(statistics.median(values), 4) for name, values in each.items()}


MEASUREMENTS = {"overhead": overhead}
