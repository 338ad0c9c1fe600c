"""What `python dev.py bench` measures, on a real ComfyUI over HTTP. Each function is one table of figures.

The server takes the time where it can (TestBench, TestProbe's `began`), since asking it often takes CPU from
what is measured. On Linux time.monotonic() is one clock for all processes of a machine, so a moment taken
here is comparable with one taken there.
"""

from __future__ import annotations

import math
import random
import statistics
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import graphs
from graphs import Graph
from harness import Comfy

Figures = dict[str, Any]
RARELY_S = 0.5  # between two looks at what is being measured
OTHERS = 7  # clients that ask while another pauses and resumes
RANDOM = random.Random(17)


class Wrong(Exception):
    """What was measured did not do what it should; shown as a sentence."""


def require(holds: bool, told: str) -> None:
    if not holds:
        raise Wrong(told)


def p99(values: Iterable[float]) -> float:
    """By nearest rank: of fewer than 100 values the greatest."""
    ordered = sorted(values)
    return ordered[math.ceil(0.99 * len(ordered)) - 1]


def milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)


def spread(seconds: list[float]) -> Figures:
    figures = {"median": statistics.median(seconds), "p99": p99(seconds), "max": max(seconds)}
    shown = {f"{name}_ms": milliseconds(value) for name, value in figures.items()}
    return shown | {"tries": len(seconds)}


def quarters(ratios: list[float]) -> Figures:
    lower, _, upper = statistics.quantiles(ratios, n=4)
    shown = {"median": statistics.median(ratios), "quarter": lower, "three_quarters": upper}
    return {name: round(value, 4) for name, value in shown.items()}


def prompt_seconds(comfy: Comfy, graph: Graph, client_id: str | None = None) -> float:
    """From ComfyUI's own start of the prompt to its own end of it, by the moments of history's messages."""
    ended = comfy.wait_ended(comfy.queue(graph, client_id=client_id), 600, every_s=RARELY_S)
    told = {kind: about for kind, about in ended["status"]["messages"]}
    require("execution_success" in told, f"A prompt failed: {told}")
    return (told["execution_success"]["timestamp"] - told["execution_start"]["timestamp"]) / 1000


# -- resuming ------------------------------------------------------------------------------------------

RESUME_AT = 20


def resume_cost(comfy: Comfy, quick: bool) -> Figures:
    """From POST resume at step 20 of 30 to the next live evaluation, to computing 20 steps."""
    figures = {}
    for policy, name in (("hold", "held"), ("park", "parked")):
        for sampler, step_s in (("euler", 0.1), ("dpmpp_2m_sde", 0.1), ("dpmpp_2m_sde", 0.5)):
            case = f"{name}_{sampler}_{step_s * 1000:.0f}ms"
            keys = [f"resume-{case}-{number}" for number in range(2 if quick else 7)]
            tries = [_resume(comfy, key, sampler, policy, step_s) for key in keys]
            ratios = [resuming / computing for computing, resuming in tries]
            figures[case] = {
                "ratio_median": round(statistics.median(ratios), 4),
                "ratio_max": round(max(ratios), 4),
                "resuming_median_ms": milliseconds(statistics.median(resuming for _, resuming in tries)),
                "computing_median_ms": milliseconds(statistics.median(computing for computing, _ in tries)),
                "tries": len(tries),
            }
    return figures


def _resume(comfy: Comfy, key: str, sampler: str, policy: str, step_s: float) -> tuple[float, float]:
    """Seconds of computing RESUME_AT steps, and of coming back to the step after them."""
    given = {"queue_policy": policy, "latent": {"size": 64}}
    given["probe"] = {"seconds": step_s, "hollow": True}
    gate = RESUME_AT + 1
    job_id = comfy.queue(graphs.base(sampler, steps=30, key=key, gates=str(gate), **given))
    comfy.until(lambda: comfy.probe(key)["at_gate"] == gate, f"{key} to reach step {gate}", every_s=RARELY_S)
    _pause(comfy, job_id)
    if policy == "park":
        _until_free(comfy)
    sent = time.monotonic()
    _resume_request(comfy, job_id)
    time.sleep(RARELY_S)
    comfy.until(lambda: comfy.probe(key)["calls"] > gate, f"{key} to go on", every_s=RARELY_S)
    began = comfy.probe(key)["began"]
    _abort(comfy, job_id)
    return began[RESUME_AT] - began[0], began[gate] - sent


# -- latencies -----------------------------------------------------------------------------------------


def pause_latency(comfy: Comfy, quick: bool) -> Figures:
    """From POST pause to the state paused, models unloaded, from a random moment of a step's first second."""
    figures = {}
    for seconds, few in ((0.1, 10), (1.0, 6), (10.0, 10), (60.0, 10)):
        key = f"latency-{seconds}"
        job_id = _sampling(comfy, key, seconds)
        took = []
        for _ in range(few if quick else 50):
            time.sleep(RANDOM.uniform(0, min(1.0, seconds)))
            asked = time.monotonic()
            _pause(comfy, job_id)
            took.append(time.monotonic() - asked)
            before = comfy.probe(key)["calls"]  # paused: none begins until the resume
            _resume_request(comfy, job_id)
            _until_begun(comfy, key, before + 1)
        _abort(comfy, job_id)
        figures[f"{seconds:g}_s_a_step"] = spread(took)
    return figures


def end_latency(comfy: Comfy, quick: bool) -> Figures:
    """From ComfyUI's Cancel, or Midrun's abort, at 60 s a step, to a free queue worker."""
    figures = {}
    for how in ("cancel", "abort"):
        took = []
        for number in range(5 if quick else 50):
            job_id = _sampling(comfy, f"end-{how}-{number}", 60.0)
            time.sleep(RANDOM.uniform(0, 1))
            asked = time.monotonic()
            if how == "cancel":
                comfy.post("/interrupt", {"prompt_id": job_id})
            else:
                comfy.post(f"/midrun/jobs/{job_id}/abort")
            _until_free(comfy)
            took.append(time.monotonic() - asked)
            comfy.wait_for(job_id, "aborted")
        figures[how] = spread(took)
    return figures


def route_latency(comfy: Comfy, quick: bool) -> Figures:
    """POST pause of a running job, and its resume, while seven other clients ask for jobs without a rest."""
    job_id = _sampling(comfy, "routes", 0.05, steps=5000)
    over = threading.Event()
    with ThreadPoolExecutor(OTHERS) as pool:
        others = [pool.submit(_ask_on, comfy, job_id, over) for _ in range(OTHERS)]
        try:
            pauses, resumes = _pause_and_resume(comfy, job_id, 20 if quick else 200)
        finally:
            over.set()
        asked = [took for other in others for took in other.result()]  # raises what a client met
    _abort(comfy, job_id)
    return {"pause": spread(pauses), "resume": spread(resumes), "get_job": spread(asked)}


def _ask_on(comfy: Comfy, job_id: str, over: threading.Event) -> list[float]:
    took = []
    while not over.is_set():
        asked = time.monotonic()
        comfy.job(job_id)
        took.append(time.monotonic() - asked)
    return took


def _pause_and_resume(comfy: Comfy, job_id: str, tries: int) -> tuple[list[float], list[float]]:
    """Seconds that the requests themselves took."""
    pauses, resumes = [], []
    for _ in range(tries):
        state = comfy.job(job_id)["state"]
        require(state == "running", f"Job {job_id} should run before it is paused, but is {state}.")
        asked = time.monotonic()
        status, job = comfy.verb(job_id, "pause")
        pauses.append(time.monotonic() - asked)
        require(status in (200, 202), f"Job {job_id} was not paused: {status} {job}")
        _pause(comfy, job_id)
        asked = time.monotonic()
        _resume_request(comfy, job_id)
        resumes.append(time.monotonic() - asked)
        time.sleep(RANDOM.uniform(0, 0.1))
    return pauses, resumes


# -- one job -------------------------------------------------------------------------------------------


def _sampling(comfy: Comfy, key: str, seconds: float, steps: int = 2000) -> str:
    """A job that holds when paused, just inside its second evaluation or, when slow, its first."""
    graph = graphs.base(steps=steps, key=key, queue_policy="hold", probe={"seconds": seconds})
    job_id = comfy.queue(graph)
    _until_begun(comfy, key, 1 if seconds >= 10 else 2)
    return job_id


def _until_begun(comfy: Comfy, key: str, evaluation: int) -> None:
    comfy.until(lambda: comfy.probe(key)["calls"] >= evaluation, f"evaluation {evaluation} of {key}")


def _until_free(comfy: Comfy) -> None:
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the queue worker to be free")


def _pause(comfy: Comfy, job_id: str) -> None:
    status, job = comfy.verb(job_id, "pause", query="?wait=30")
    require(status == 200 and job["gpu_released"], f"Job {job_id} did not pause: {status} {job}")


def _resume_request(comfy: Comfy, job_id: str) -> None:
    status, job = comfy.verb(job_id, "resume")
    require(status == 202, f"Job {job_id} did not resume: {status} {job}")


def _abort(comfy: Comfy, job_id: str) -> None:
    comfy.post(f"/midrun/jobs/{job_id}/abort")
    _until_free(comfy)


MEASUREMENTS = {work.__name__: work for work in (resume_cost, pause_latency, end_latency, route_latency)}
