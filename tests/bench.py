"""`python dev.py bench`: what Midrun costs and how fast it answers, as ratios, since machines are noisy."""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import graphs
from harness import Comfy

Figures = dict[str, Any]


def spread(seconds: list[float]) -> Figures:
    """Milliseconds."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    figures = {"median": statistics.median(ordered), "p99": p99, "max": ordered[-1]}
    return {"tries": len(ordered)} | {f"{name}_ms": round(1000 * value, 3) for name, value in figures.items()}


def overhead(comfy: Comfy, quick: bool) -> Figures:
    """Watched sampling against stock, in turns in one process; 4x64x64 latent, euler."""
    figures: Figures = {}
    for seconds, steps, pairs in (
        (0.0, 100, 5),
        (0.02, 20, 7),
        (0.1, 10, 3 if quick else 15),
        (0.5, 4, 2 if quick else 5),
    ):
        graph = graphs.base(watched=False, key=f"bench-{seconds}")
        kept = {name: graph[name] for name in ("model", "probe", "positive", "negative")}
        kept["attach"] = graphs.node("MidrunAttach", model=["model", 0])
        given = {"seconds": seconds, "steps": steps, "pairs": pairs}
        links = {"model": ["model", 0], "watched": ["attach", 0], "positive": ["positive", 0]}
        kept["bench"] = graphs.node("TestBench", **given, **links, negative=["negative", 0])
        told = comfy.wait_ended(comfy.queue(kept), 600)["outputs"]["bench"]
        if not seconds:
            own = statistics.median(told["gaps_watched"]) - statistics.median(told["gaps_stock"])
            figures["own_ms_an_evaluation"] = round(1000 * own, 3)
            figures["own_p99_ms_an_evaluation"] = spread(told["gaps_watched"])["p99_ms"]
            continue
        ratios = [watched / stock for watched, stock in zip(told["watched"], told["stock"], strict=True)]
        same = [again / stock for again, stock in zip(told["again"], told["stock"], strict=True)]
        name = f"{1000 * seconds:.0f}_ms_a_step"
        figures[f"watched_to_stock_at_{name}"] = round(statistics.median(ratios), 4)
        figures[f"stock_to_stock_at_{name}"] = round(statistics.median(same), 4)
    return figures


def running(comfy: Comfy, key: str, seconds: float, steps: int = 400) -> str:
    """A held job that takes so long a step, inside its second evaluation or, when slow, its first."""
    job_id = comfy.queue(graphs.base(steps=steps, key=key, queue_policy="hold", probe={"seconds": seconds}))
    calls = 1 if seconds >= 10 else 2
    comfy.until(lambda: comfy.probe(key)["calls"] >= calls, "the job to sample")
    return job_id


def pause_latency(comfy: Comfy, quick: bool) -> Figures:
    """From POST pause to the state paused, models unloaded."""
    figures = {}
    for seconds, tries in ((0.1, 20), (1.0, 8), (10.0, 10), (60.0, 5 if quick else 50)):
        key = f"latency-{seconds}"
        job_id = running(comfy, key, seconds)
        took = []
        for _ in range(tries):
            before = comfy.probe(key)["calls"]
            time.sleep(random.uniform(0, min(1.0, seconds)))
            began = time.perf_counter()
            job = comfy.verb(job_id, "pause", query="?wait=30")[1]
            took.append(time.perf_counter() - began)
            assert job["state"] == "paused", job
            comfy.verb(job_id, "resume")
            comfy.until(
                lambda key=key, before=before: comfy.probe(key)["calls"] > before, "the next evaluation"
            )
        comfy.verb(job_id, "abort")
        figures[f"{seconds:g}_s_a_step"] = spread(took)
    return figures


def end_latency(comfy: Comfy, quick: bool) -> Figures:
    """From ComfyUI's Cancel, or Midrun's abort, to a free queue worker, at 60 s a step."""
    figures = {}
    for how in ("cancel", "abort"):
        took = []
        for number in range(3 if quick else 50):
            job_id = running(comfy, f"end-{how}-{number}", 60.0)
            time.sleep(random.uniform(0, 0.3))
            began = time.perf_counter()
            if how == "cancel":
                comfy.post("/interrupt", {"prompt_id": job_id})
            else:
                comfy.verb(job_id, "abort")
            comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")
            took.append(time.perf_counter() - began)
        figures[how] = spread(took)
    return figures


def resume_cost(comfy: Comfy, quick: bool) -> Figures:
    """From resume at step 20 of 30 to the next live evaluation, against the time those 20 steps took."""
    ratios = []
    for number in range(2 if quick else 7):
        key = f"resume-{number}"
        began = time.perf_counter()
        graph = graphs.base(steps=30, key=key, gates="21", queue_policy="hold", probe={"seconds": 0.1})
        job_id = comfy.queue(graph)
        comfy.wait_at_gate(key, 21)
        computing = time.perf_counter() - began
        comfy.verb(job_id, "pause", query="?wait=30")
        calls = comfy.probe(key)["calls"]
        began = time.perf_counter()
        comfy.verb(job_id, "resume")
        while comfy.probe(key)["calls"] == calls:
            pass
        ratios.append((time.perf_counter() - began) / computing)
        comfy.verb(job_id, "abort")
    return {"to_computing_20_steps": round(statistics.median(ratios), 4), "tries": len(ratios)}


def route_latency(comfy: Comfy, quick: bool) -> Figures:
    """POST pause (of a paused job) and GET job while a job runs and eight clients ask."""
    job_id = running(comfy, "routes", 0.05, steps=2000)
    paused: dict[str, list[float]] = {"GET": [], "pause": []}

    def client() -> None:
        for _ in range(20 if quick else 100):
            for name in paused:
                began = time.perf_counter()
                comfy.verb(job_id, "pause") if name == "pause" else comfy.job(job_id)
                paused[name].append(time.perf_counter() - began)
            comfy.verb(job_id, "resume")

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    comfy.verb(job_id, "abort")
    return {name: spread(took) for name, took in paused.items()}


MEASUREMENTS = {
    work.__name__: work for work in (overhead, resume_cost, pause_latency, end_latency, route_latency)
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--quick", action="store_true", help="fewer tries")
    parser.add_argument("--only", default=",".join(MEASUREMENTS), help="some of " + ", ".join(MEASUREMENTS))
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if not set(chosen) <= set(MEASUREMENTS):
        parser.error(f"--only takes some of {', '.join(MEASUREMENTS)}")
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="midrun-bench-") as base:
        comfy = Comfy(Path(base)).start()
        try:
            for name in chosen:
                figures[name] = MEASUREMENTS[name](comfy, arguments.quick)
                if not arguments.json:
                    print(f"{name}: {(MEASUREMENTS[name].__doc__ or '').splitlines()[0]}")
                    for key, value in figures[name].items():
                        shown = (
                            "  ".join(f"{k} {v}" for k, v in value.items())
                            if isinstance(value, dict)
                            else value
                        )
                        print(f"    {key:36} {shown}", flush=True)
        finally:
            comfy.stop()
    if arguments.json:
        print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
