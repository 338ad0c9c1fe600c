"""`python dev.py bench --gpu`: what Midrun costs on a GPU, with models of real sizes and random weights.

Without a CUDA device the same runs tiny on the test pack's own device: that proves that it works, and its
figures say nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphs import Graph
from harness import Comfy
from measurements import Figures, Wrong, milliseconds, require
from overhead_costs import architecture_in_turns, ratios
from rig import Rig, device_here

WAITING = "waiting for the device"
STEPS, STOP = 30, 20
RARELY_S = 0.5
MOST_S = 7200.0
FEW_STEPS = 4  # of tiny ones
__all__ = ["MEASUREMENTS", "device_here"]


@dataclass(frozen=True)
class Load:
    """A model, the shape of its latent, the same of the tiny one."""

    architecture: str
    shape: str
    tiny: str
    steps: int
    most: int = 15  # pairs


LOADS = {
    "sdxl_512": Load("sdxl", "1,4,64,64", "1,4,8,8", 20),
    "sdxl_1024": Load("sdxl", "1,4,128,128", "1,4,8,8", 20),
    "sd15_512": Load("sd15", "1,4,64,64", "1,4,8,8", 40),
    "wan_720p": Load("wan", "1,16,21,90,160", "1,16,2,8,8", 2, 3),  # a step of it takes a card many seconds
}


def rig_of(comfy: Comfy) -> Rig:
    return Rig(comfy, comfy.device, "real" if comfy.device == "cuda" else "tiny")


def gpu(comfy: Comfy, quick: bool) -> Figures:
    """The machine that the figures are of."""
    told = rig_of(comfy).told()
    names = ("type", "card", "cards", "total", "torch", "cuda", "hip", "python", "vram", "dynamic_vram")
    return {"device": {name: told[name] for name in names if told.get(name) is not None}}


def gpu_overhead(comfy: Comfy, quick: bool) -> Figures:
    """Watched sampling against stock in turns: the median of the ratios of the pairs; at most 1.01 is wanted.

    own_ms: what Midrun takes on the sampling thread between two evaluations, without waiting for the device;
    under 0.2 is wanted. step_ms: of stock
    """
    rig = rig_of(comfy)
    pairs = (3 if quick else 15) if rig.size == "real" else 1
    return {name: _overhead(rig, name, load, min(pairs, load.most)) for name, load in LOADS.items()}


def _overhead(rig: Rig, name: str, load: Load, pairs: int) -> Figures:
    shape, steps = (load.shape, load.steps) if rig.size == "real" else (load.tiny, FEW_STEPS)
    seed = list(LOADS).index(name)  # nothing is to come from ComfyUI's cache
    given = {"architecture": load.architecture, "size": rig.size, "dtype": "", "seed": seed, "stays": False}
    turns = {"seconds": 0.0, "steps": steps, "pairs": pairs}
    told = architecture_in_turns(rig.comfy, given | {"shape": shape}, MOST_S, **turns)
    parts = told["parts"][0]
    waiting = parts.pop(WAITING, [])
    own = [sum(values) for values in zip(*parts.values(), strict=True)]
    return {
        **ratios(told),
        "own_ms": milliseconds(statistics.median(own)),
        "waiting_ms": milliseconds(statistics.median(waiting or [0.0])),
        "step_ms": milliseconds(statistics.median(told["stock"]) / steps),
        "pairs": pairs,
    }


def gpu_resume(comfy: Comfy, quick: bool) -> Figures:
    """Resume at 20 of 30 against computing 20 steps; less than 0.01 is wanted, without loading the model.

    loading: what ComfyUI takes from a prompt to its first evaluation, with the model in the host's memory
    """
    rig, figures = rig_of(comfy), {}
    for architecture in ("sd15", "sdxl") if rig.size == "real" else ("flux",):
        for policy in ("hold", "park"):
            keys = [f"resume-{architecture}-{policy}-{number}" for number in range(2 if quick else 7)]
            tries = [_resume(rig, architecture, policy, key) for key in keys]
            computing, resuming, loading = (statistics.median(column) for column in zip(*tries, strict=True))
            figures[f"{architecture}_{policy}"] = {
                "ratio_without_loading": round(max(0.0, resuming - loading) / computing, 4),
                "resuming_ms": milliseconds(resuming),
                "loading_ms": milliseconds(loading),
                "computing_ms": milliseconds(computing),
                "tries": len(tries),
            }
    return figures


def _resume(rig: Rig, architecture: str, policy: str, key: str) -> tuple[float, float, float]:
    """Seconds of computing 20 steps, of coming back to the one after them, and of loading the model."""
    comfy, gate = rig.comfy, STOP + 1
    make: Callable[..., Graph] = lambda *args: rig.graph(  # noqa: E731
        *args, architecture=architecture, steps=STEPS, scheduler="simple", counts=False
    )
    comfy.wait_ended(comfy.queue(make(False, key + "-warm")), 3600, every_s=RARELY_S)
    _unload(rig)
    sent = time.monotonic()
    comfy.wait_ended(comfy.queue(make(False, key + "-loaded")), 3600, every_s=RARELY_S)
    loading = comfy.probe(key + "-loaded")["began"][0] - sent
    job_id = comfy.queue(make(True, key, f"{gate},{gate + 1}", policy))
    comfy.until(lambda: comfy.probe(key)["at_gate"] == gate, f"{key} to reach its gate", 3600, RARELY_S)
    _pause(comfy, job_id)
    if policy == "park":
        comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the queue to be empty")
    sent = time.monotonic()
    require(comfy.verb(job_id, "resume")[0] == 202, "a resume was refused")
    comfy.until(lambda: comfy.probe(key)["at_gate"] == gate + 1, f"{key} to go on", 600, RARELY_S)
    began = comfy.probe(key)["began"]
    comfy.verb(job_id, "abort")
    comfy.wait_for(job_id, "aborted")
    return began[STOP] - began[0], began[gate] - sent, loading


def _unload(rig: Rig) -> None:
    """From the device; ComfyUI's cache keeps the model, as it does while a job is paused."""

    def is_empty() -> bool:
        rig.comfy.post("/free", {"unload_models": True})
        return not rig.comfy.probe()["loaded_models"]

    rig.comfy.until(is_empty, "ComfyUI to unload its models", every_s=RARELY_S)


def gpu_pause(comfy: Comfy, quick: bool) -> Figures:
    """From POST pause, within an evaluation, to freed memory; less than 2 s is wanted. Flux in fp8: 12 GB."""
    rig = rig_of(comfy)
    architecture, dtype = ("flux", "fp8") if rig.size == "real" else ("flux", "fp32")
    took, freed = [], []
    for number in range(2 if quick else 10):
        key = f"freed-{number}"
        given: dict[str, Any] = {"architecture": architecture, "dtype": dtype, "inside": True, "seed": number}
        job_id = comfy.queue(rig.graph(True, key, "3", "hold", scheduler="simple", counts=False, **given))
        comfy.until(lambda key=key: comfy.probe(key)["at_gate"] == 3, "the gate", 3600, RARELY_S)
        before, asked = rig.told()["allocated"], time.monotonic()
        _pause(comfy, job_id)
        took.append(time.monotonic() - asked)
        freed.append(before - rig.told()["allocated"])
        comfy.verb(job_id, "abort")
        comfy.wait_for(job_id, "aborted")
    seconds = {"median_ms": milliseconds(statistics.median(took)), "max_ms": milliseconds(max(took))}
    return {"pause": seconds | {"freed_gb": round(statistics.median(freed) / 1024**3, 2), "tries": len(took)}}


def _pause(comfy: Comfy, job_id: str) -> None:
    status, job = comfy.verb(job_id, "pause", query="?wait=30")
    if (status, job["state"], job["gpu_released"]) != (200, "paused", True):
        raise Wrong(f"A job was not paused: {job}")


MEASUREMENTS = {"gpu": gpu, "gpu_overhead": gpu_overhead, "gpu_resume": gpu_resume, "gpu_pause": gpu_pause}
