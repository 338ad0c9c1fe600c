"""What previews cost: a node that samples with and without them in turns, with a model that computes."""

import random
import sys
import time

import comfy.patcher_extension
import nodes
import torch
from comfy.cli_args import LatentPreviewMethod, args

ORDER_SEED = 19
WORKS = {}  # seconds -> a computation that takes so long
SIZE = 64  # latent pixels: a picture of 512


class TestPreviewBench:
    """`none`, `auto` and `taesd` are `model` behind a Midrun Attach by that method; taesd at each step.

    An evaluation computes what takes `seconds` when nothing else runs. A pair is one call of each of `turns`,
    in random order: none, again (none once more), auto, taesd, stock (ComfyUI's own TAESD previews).
    Answers (ui): seconds a sampling call, by pair; gaps_*: seconds between two evaluations.
    """

    @classmethod
    def INPUT_TYPES(cls):
        models = {name: ("MODEL",) for name in ("model", "none", "auto", "taesd")}
        more = {"positive": ("CONDITIONING",), "negative": ("CONDITIONING",)}
        numbers = {"seconds": ("FLOAT", {"default": 0.1}), "steps": ("INT",), "pairs": ("INT",)}
        more["turns"] = ("STRING", {"default": "none,again,auto,taesd,stock"})
        return {"required": {**models, **numbers, **more}}

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "measure"
    CATEGORY = "_for_testing"

    def measure(self, model, none, auto, taesd, seconds, steps, pairs, positive, negative, turns):
        work = _work(seconds)
        models = {"none": none, "again": none, "auto": auto, "taesd": taesd, "stock": model}
        turns = [(models[name], name) for name in turns.split(",")]
        told = {name: [] for _, name in turns} | {f"gaps_{name}": [] for _, name in turns}
        order = random.Random(ORDER_SEED)
        for pair in range(-1, pairs):
            order.shuffle(turns)
            for chosen, name in turns:
                took, gaps = _sample(chosen, name, work, 2 if pair < 0 else steps, positive, negative)
                _until_idle()
                if pair >= 0:
                    told[name].append(took)
                    told[f"gaps_{name}"] += gaps
        return {"ui": told}


midrun_remembers = False  # what works here stands for a model without a patch


class TestWork:
    """A model whose evaluations compute on all threads of torch, for `seconds` when nothing else runs."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "seconds": ("FLOAT", {"default": 0.1})}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "attach"
    CATEGORY = "_for_testing"

    def attach(self, model, seconds):
        if seconds not in WORKS:  # as much in every prompt
            WORKS[seconds] = _work(seconds, 1024)

        def inside(executor, x, *rest, **more):
            WORKS[seconds]()
            return x * 0.9

        model = model.clone()
        model.add_wrapper(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, inside)
        return (model,)


def _work(seconds, size=256):
    """A computation that takes so long."""
    matrix = torch.randn((size, size))

    def multiply(times):
        began = time.perf_counter()
        for _ in range(times):
            torch.mm(matrix, matrix)
        return time.perf_counter() - began

    tries = max(2, 200 * 256**3 // size**3)
    multiply(tries // 4)
    times = max(1, int(tries * seconds / min(multiply(tries) for _ in range(9))))
    return lambda: multiply(times)


def _sample(model, name, work, steps, positive, negative):
    moments = []

    def inside(executor, x, *rest, **more):
        moments.append(time.perf_counter())
        work()
        answer = x * 0.9
        moments.append(time.perf_counter())
        return answer

    model = model.clone()
    model.add_wrapper(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, inside)
    latent = {"samples": torch.zeros((1, 4, SIZE, SIZE))}
    before = args.preview_method
    args.preview_method = LatentPreviewMethod.TAESD if name == "stock" else LatentPreviewMethod.NoPreviews
    try:
        began = time.perf_counter()
        nodes.common_ksampler(model, 1, steps, 1.0, "euler", "normal", positive, negative, latent)
        took = time.perf_counter() - began
    finally:
        args.preview_method = before
    return took, [later - earlier for earlier, later in zip(moments[1::2], moments[2::2], strict=False)]


def _until_idle():
    """What is still being decoded is not to slow down the next call."""
    runtime = next(kept for name, kept in sys.modules.copy().items() if name.endswith("engine.runtime"))
    runtime.current.previews.thread.submit(lambda: None).result()


NODES = (TestPreviewBench, TestWork)
