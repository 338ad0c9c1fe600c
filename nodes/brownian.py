"""Brownian noise that a sampler drew before need not be drawn again while it is replayed.

The SDE samplers take their noise from Brownian trees, which is most of what replaying them costs: 56 random
tensors a step of dpmpp_2m_sde. A torchsde.BrownianTree answers by its own parameters and the two ends alone,
whatever was asked before, so that an answer which was kept is what would be drawn. One that was not kept, as
after a restart, is drawn. ComfyUI's worker thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from types import FrameType

import torch
import torchsde

MOST_BYTES = 64 << 20  # 250 draws for 1024x1024 pixels; a video has less to gain: its steps take far longer
NAME = "noise_sampler"  # of k-diffusion's samplers

Ends = tuple[float, float]


class Draws:
    """Of all sampling calls, on the host. Those of the call that drew longest ago make way."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, dict[Ends, torch.Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    def serve(self, call: Hashable, inner: FrameType | None) -> None:
        """Keep what the sampler draws that called `inner`, and answer it from what was kept of `call`."""
        batch = getattr(_noise_sampler(inner), "tree", None)
        trees = getattr(batch, "trees", ())
        if trees and all(isinstance(tree, torchsde.BrownianTree) for tree in trees):
            batch.trees = tuple(KeptTree(tree, self, (call, at)) for at, tree in enumerate(trees))

    def get(self, key: Hashable, ends: Ends) -> torch.Tensor | None:
        return self._kept.get(key, {}).get(ends)

    def add(self, key: Hashable, ends: Ends, noise: torch.Tensor) -> None:
        with self._lock:
            self._kept.setdefault(key, {})[ends] = noise
            self._kept.move_to_end(key)
            self._bytes += noise.nbytes
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._kept)))

    def drop(self, key: Hashable) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        self._bytes -= sum(noise.nbytes for noise in self._kept.pop(key, {}).values())


class KeptTree:
    """The tree of one attempt at sampling. Its first draw proves that it is the one whose draws were kept."""

    def __init__(self, tree: torchsde.BrownianTree, draws: Draws, key: Hashable) -> None:
        self._tree = tree
        self._draws = draws
        self._key = key
        self._proven = False

    def __call__(self, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
        """The increment from `start` to `end`, in the shape of the tree's tensors."""
        ends = float(start), float(end)
        known = self._draws.get(self._key, ends)
        if known is not None and self._proven:
            return known
        noise = self._tree(start, end)
        if noise.device.type != "cpu":  # waiting for a device costs more than drawing
            return noise
        if not self._proven:
            if known is None or not torch.equal(known, noise):
                self._draws.drop(self._key)
                known = None
            self._proven = bool(noise.any())  # zeros, from a sigma to itself, prove nothing
        if known is None:
            self._draws.add(self._key, ends, noise)
        return noise


def _noise_sampler(frame: FrameType | None) -> object:
    """Of the innermost sampler around `frame`. It has no name outside of the function that made it."""
    while frame is not None:
        if NAME in frame.f_code.co_varnames:
            return frame.f_locals.get(NAME)
        frame = frame.f_back
    return None
