"""Nodes that do not answer the same each time they are asked, as wildcards, GPUs and deleted files do."""

from collections import defaultdict

import torch

from .probes import OPENED


class TestFickle:
    """Stands for a file that is there when a prompt is queued and gone later: `broken` under `key`. `raises`
    under it makes the node fail."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"samples": ("LATENT",), "key": ("STRING", {"default": ""})}}

    @classmethod
    def VALIDATE_INPUTS(cls, key):
        return "the file is gone" if "broken" in OPENED[key] else True

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "work"
    CATEGORY = "_for_testing"

    def work(self, samples, key):
        if "raises" in OPENED[key]:
            raise RuntimeError("simulated failure of a node before the sampler")
        return (samples,)


class Seed(int):
    """A number of a pack's own type: not one that Midrun keeps."""


class TestVarying:
    """Executed anew in every run. `nudged`, `wide` and, after that, `narrow` under `key` change the latent,
    `other` the conditioning, `reseeded` the seed."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "samples": ("LATENT",),
                "conditioning": ("CONDITIONING",),
                "seed": ("INT", {"default": 0}),
                "key": ("STRING", {"default": ""}),
            }
        }

    @classmethod
    def IS_CHANGED(cls, **inputs):
        return float("nan")

    RETURN_TYPES = ("LATENT", "CONDITIONING", "INT")
    FUNCTION = "vary"
    CATEGORY = "_for_testing"

    def vary(self, samples, conditioning, seed, key):
        latent = samples["samples"].clone()
        if "nudged" in OPENED[key]:
            latent += 1e-3
        if "wide" in OPENED[key] and "narrow" not in OPENED[key]:
            latent = torch.cat([latent, latent], dim=-1)
        if "other" in OPENED[key]:
            conditioning = [[tensor + 1.0, dict(more)] for tensor, more in conditioning]
        return ({"samples": latent}, conditioning, Seed(seed + ("reseeded" in OPENED[key])))


class TestDice:
    """A wildcard: another number each time it is executed, and a latent that nobody can keep."""

    ROLLS = defaultdict(int)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"key": ("STRING", {"default": ""})}}

    @classmethod
    def IS_CHANGED(cls, key):
        return float("nan")

    RETURN_TYPES = ("INT", "CONDITIONING")
    FUNCTION = "roll"
    CATEGORY = "_for_testing"

    def roll(self, key):
        self.ROLLS[key] += 1
        number = 100 + self.ROLLS[key]
        generator = torch.Generator().manual_seed(number)
        return (number, [[torch.randn(1, 4, 64, generator=generator), {}]])


NODES = (TestFickle, TestVarying, TestDice)
