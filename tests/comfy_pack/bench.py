"""A node that samples stock and watched in turns, in one process, and reports what each took."""

import time

import comfy.patcher_extension
import nodes
import torch


class TestBench:
    """`watched` is `model` behind a Midrun Attach. Evaluations take `seconds` and compute nothing.

    Answers (ui): stock, again, watched: seconds a sampling call; gaps: seconds between the end
    of one evaluation's inside and the beginning of the next's, a list for stock and one for watched.
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
            }
        }

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "measure"
    CATEGORY = "_for_testing"

    def measure(self, model, watched, seconds, steps, pairs, positive, negative):
        latent = {"samples": torch.zeros((1, 4, 64, 64))}
        told = {"stock": [], "again": [], "watched": [], "gaps_stock": [], "gaps_watched": []}
        moments = []

        def inside(executor, x, *args, **kwargs):
            moments.append(time.perf_counter())
            time.sleep(seconds)
            answer = x * 0.9
            moments.append(time.perf_counter())
            return answer

        def sample(model, name):
            model = model.clone()
            model.add_wrapper(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, inside)
            moments.clear()
            began = time.perf_counter()
            nodes.common_ksampler(model, 1, steps, 1.0, "euler", "normal", positive, negative, latent)
            told[name].append(time.perf_counter() - began)
            gaps = [later - earlier for earlier, later in zip(moments[1::2], moments[2::2], strict=False)]
            told["gaps_watched" if name == "watched" else "gaps_stock"] += gaps

        sample(model, "stock")
        sample(watched, "watched")
        for values in told.values():
            values.clear()
        for _ in range(pairs):
            for chosen, name in ((model, "stock"), (watched, "watched"), (model, "again")):
                sample(chosen, name)
        return {"ui": {name: values for name, values in told.items()}}


NODES = (TestBench,)
