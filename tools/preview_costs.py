"""What `python dev.py bench` measures of previews: how old they are, and what they cost the sampling.

On a CPU a decoder competes with the model for the same cores, which it does not on a GPU.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import graphs
from harness import Comfy
from measurements import Figures, milliseconds, p99, require, spread

STEP_S = 0.1
RATIOS = (("none", "again"), ("auto", "auto"), ("midrun", "taesd"), ("comfyui", "stock"))
METHODS: dict[str, dict[str, Any]] = {
    "latent2rgb": {"method": "latent2rgb"},
    "auto": {"method": "auto"},
    "taesd": {"method": "taesd"},
    "taesd_every_step": {"method": "taesd", "every": 1},
}


def preview_age(comfy: Comfy, quick: bool) -> Figures:
    """Of 512x512 at 100 ms a step, over HTTP: the newest picture's age, and a step just done, on demand.

    age: seconds since the end of the step that the newest picture shows, at moments while the job runs
    on_demand: from the end of a step until its picture is read, where it is asked for at once
    """
    comfy.post("/midrun_test/decoder?name=taesd_decoder&what=image")
    figures = {}
    for name, preview in METHODS.items():
        ages, on_demand = _ages(comfy, name, preview, 10.0 if quick else 40.0)
        figures[f"{name}_age"] = spread(ages)
        figures[f"{name}_on_demand"] = spread(on_demand)
        require(max(ages + on_demand) < 5.0, f"A preview by {name} was {max(ages + on_demand):.1f} s old.")
    return figures


def _ages(
    comfy: Comfy, name: str, preview: dict[str, Any], seconds: float
) -> tuple[list[float], list[float]]:
    key = f"age-{name}"
    options = {"latent": {"size": 64}, "probe": {"seconds": STEP_S, "hollow": True}, "preview": preview}
    job_id = comfy.queue(graphs.base(key=key, steps=2000, **options))
    path = f"/midrun/jobs/{job_id}/preview"
    comfy.until(lambda: comfy.fetch(path)[0] == 200, "a first preview", every_s=0.05)
    newest: list[tuple[int, float]] = []
    asked: list[tuple[int, float]] = []
    end = time.monotonic() + seconds / 2
    while time.monotonic() < end:
        newest.append((int(comfy.fetch(path)[1]["Midrun-Step"]), time.monotonic()))
        time.sleep(0.3)
    while time.monotonic() < end + seconds / 2:
        step = comfy.job(job_id)["step"]
        require(comfy.fetch(f"{path}?step={step}")[0] == 200, f"Step {step} is not to be had.")
        asked.append((step, time.monotonic()))
        time.sleep(0.3)
    began = comfy.probe(key)["began"]
    comfy.post(f"/midrun/jobs/{job_id}/abort")
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the queue worker to be free")
    return _since(began, newest), _since(began, asked)


def _since(began: list[float], moments: list[tuple[int, float]]) -> list[float]:
    """Seconds from the end of each step, which is when the evaluation after it began."""
    return [max(0.0, read - began[step]) for step, read in moments if step < len(began)]


def preview_cost(comfy: Comfy, quick: bool) -> Figures:
    """Sampling with automatic previews against sampling without, in turns in one process; 512x512, euler.

    own: what previews add between two evaluations of the sampling thread
    """
    comfy.post("/midrun_test/decoder?name=taesd_decoder&what=image")
    figures = {}
    for seconds, steps in ((0.1, 30), (0.5, 10)):
        told = _sample_in_turns(comfy, seconds, steps, 3 if quick else 9, ("none", "again", "auto"))
        usual = statistics.median(told["gaps_none"])
        own = [gap - usual for gap in told["gaps_auto"]]
        line = {f"{name}_to_none": _ratio(told[turn], told["none"]) for name, turn in RATIOS[:2]}
        line |= {"own_median_ms": milliseconds(statistics.median(own)), "own_p99_ms": milliseconds(p99(own))}
        figures[f"{1000 * seconds:.0f}_ms_a_step"] = line | {"pairs": len(told["none"])}
    return figures


def preview_taesd(comfy: Comfy, quick: bool) -> Figures:
    """A preview by TAESD at every step: beside the sampler (midrun) and before its next one (comfyui)."""
    comfy.post("/midrun_test/decoder?name=taesd_decoder&what=image")
    figures = {}
    for seconds, steps in ((0.1, 10), (0.5, 4)):
        told = _sample_in_turns(comfy, seconds, steps, 1 if quick else 5, ("none", "taesd", "stock"))
        line = {f"{name}_to_none": _ratio(told[turn], told["none"]) for name, turn in RATIOS[2:]}
        slower = line["midrun_to_none"] > line["comfyui_to_none"]
        require(not slower, f"TAESD beside the sampler costs more than before it: {line}")
        figures[f"{1000 * seconds:.0f}_ms_a_step"] = line | {"pairs": len(told["none"])}
    return figures


def _sample_in_turns(
    comfy: Comfy, seconds: float, steps: int, pairs: int, turns: tuple[str, ...]
) -> dict[str, list[float]]:
    graph = graphs.base(watched=False, key=f"preview-cost-{seconds}")
    kept = {name: graph[name] for name in ("model", "positive", "negative")}
    for name, every in (("none", 0), ("auto", 0), ("taesd", 1)):
        options = {"preview_method": name, "preview_every": every}
        kept[name] = graphs.node("MidrunAttach", model=["model", 0], **options)
    links = {name: [name, 0] for name in ("model", "none", "auto", "taesd", "positive", "negative")}
    numbers = {"seconds": seconds, "steps": steps, "pairs": pairs, "turns": ",".join(turns)}
    kept["bench"] = graphs.node("TestPreviewBench", **numbers, **links)
    ended = comfy.wait_ended(comfy.queue(kept), 1800, every_s=0.5)
    require("bench" in ended["outputs"], f"TestPreviewBench failed: {ended['status']}")
    return ended["outputs"]["bench"]


def _ratio(some: list[float], others: list[float]) -> float:
    return round(statistics.median(one / other for one, other in zip(some, others, strict=True)), 4)


MEASUREMENTS = {work.__name__: work for work in (preview_age, preview_cost, preview_taesd)}
