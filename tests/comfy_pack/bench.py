"""What takes the time inside the server: a node that samples stock and watched in turns, and a clock around
what sampling waits for."""

import random
import sys
import time
from contextlib import nullcontext

import comfy.patcher_extension
import latent_preview
import nodes
import torch
from aiohttp import web
from comfy_execution.utils import get_executing_context
from server import PromptServer

from .behind import Clocked
from .own_time import OwnTime

midrun_remembers = False  # clocks: what is measured is a model without a patch
ORDER_SEED = 17
WARM_UP_STEPS = 3
PART_CALLS = 3


class TestBench:
    """`watched` is `model` behind a Midrun Attach. Evaluations take `seconds` and compute nothing, of a
    4x64x64 latent; with a `latent` the model itself answers. With `giving_s` it is a device that works behind
    which takes `seconds`, and to give it an evaluation takes so long; or as long as the model takes.

    A pair is one call each of stock, watched and again (stock once more), in random order. Answers (ui):
    stock, watched, again: seconds a sampling call, by pair; gaps_stock, gaps_watched: seconds between the end
    of one evaluation's inside and the beginning of the next's; parts: of further watched calls, what each
    part of Midrun took between two evaluations, by its name.
    """

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "watched": ("MODEL",),
                "seconds": ("FLOAT", {"default": 0.0}),
                "steps": ("INT", {"default": 10}),
                "pairs": ("INT", {"default": 15}),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
            },
            "optional": {"latent": ("LATENT",), "giving_s": ("FLOAT", {"default": 0.0})},
        }

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "measure"
    CATEGORY = "_for_testing"

    def measure(self, model, watched, seconds, steps, pairs, positive, negative, latent=None, giving_s=0.0):
        device = Clocked(giving_s) if giving_s else None
        given = seconds, steps, positive, negative, latent, device
        told = {"stock": [], "again": [], "watched": [], "gaps_stock": [], "gaps_watched": []}
        turns = [(model, "stock"), (watched, "watched"), (model, "again")]
        with nullcontext() if device is None else device.in_midrun():
            for chosen, _ in turns:
                _sample(chosen, seconds, WARM_UP_STEPS, *given[2:])
            order = random.Random(ORDER_SEED)
            for _ in range(pairs):
                order.shuffle(turns)  # a fixed order would give each the cache that the same other one left
                for chosen, name in turns:
                    _rest()
                    took, gaps = _sample(chosen, *given)
                    told[name].append(took)
                    told["gaps_watched" if name == "watched" else "gaps_stock"] += gaps
            return {"ui": told | {"parts": [_parts(watched, *given)]}}


def _rest():
    """Until nothing is left to do of the call before: Midrun's threads would slow this one down."""
    runtime = next(kept for name, kept in sys.modules.copy().items() if name.endswith("engine.runtime"))
    runtime.current.later.flush(10.0)
    runtime.current.recordings.flush(10.0)


def _parts(model, *given):
    """What each took between two evaluations, from the second step on."""
    told = []
    prepare = latent_preview.prepare_callback
    for _ in range(PART_CALLS):
        with OwnTime() as own:
            # What ComfyUI's own callback takes is none of Midrun's time.
            latent_preview.prepare_callback = lambda *args, own=own: own.clock(prepare(*args), None)
            try:
                _sample(model, *given, own)
            finally:
                latent_preview.prepare_callback = prepare
        told += own.told[1:]
    names = {name for one in told for name in one}
    return {name: [one.get(name, 0.0) for one in told] for name in names}


def _sample(model, seconds, steps, positive, negative, latent, device, own=None):
    """Seconds of one sampling call, and of the gaps between its evaluations."""
    moments = []

    def inside(executor, x, *args, **kwargs):
        moments.append(time.perf_counter())
        if own is not None:
            own.evaluated()
        if latent is not None and device is not None:
            answer = device.compute(lambda small: executor(small, *args, **kwargs), x)
        elif latent is not None:
            answer = executor(x, *args, **kwargs)
        else:
            time.sleep(seconds) if device is None else device.evaluate(seconds)
            answer = x * 0.9
        moments.append(time.perf_counter())
        return answer

    if own is not None:
        inside = own.clock(inside, None)

    model = model.clone()
    model.add_wrapper(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, inside)
    cfg, scheduler, given = 1.0, "normal", {"samples": torch.zeros((1, 4, 64, 64))}
    if latent is not None:
        cfg, scheduler, given = 4.0, "simple", latent
    began = time.perf_counter()
    nodes.common_ksampler(model, 1, steps, cfg, "euler", scheduler, positive, negative, given)
    if device is not None:
        device.wait()
    took = time.perf_counter() - began
    return took, [later - earlier for earlier, later in zip(moments[1::2], moments[2::2], strict=False)]


class DiskClock:
    """Times what a sampling thread spends in handing things to Midrun's writer, waiting included."""

    def __init__(self):
        self.told = {"seconds": 0.0, "longest": 0.0, "calls": 0}

    def around(self, submit):
        def timed(writer, work, size=0, flush=None):
            began = time.perf_counter()
            try:
                return submit(writer, work, size, flush)
            finally:
                if get_executing_context() is not None:  # not a listener on the event loop
                    took = time.perf_counter() - began
                    self.told["seconds"] += took
                    self.told["longest"] = max(self.told["longest"], took)
                    self.told["calls"] += 1

        return timed


CLOCKS = []


@PromptServer.instance.routes.post("/midrun_test/disk_clock")
async def disk_clock(request):
    """Begins at the first call; answers what was measured since."""
    if not CLOCKS:
        CLOCKS.append(DiskClock())
        module = next(
            module for name, module in sys.modules.copy().items() if name.endswith(".state.recording.writer")
        )
        module.Writer.submit = CLOCKS[0].around(module.Writer.submit)
    return web.json_response(CLOCKS[0].told)


NODES = (TestBench,)
