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
from typing import Any, cast

import torch
import torchsde

MOST_BYTES = 64 << 20  # 250 draws for 1024x1024 pixels; a video has less to gain: its steps take far longer
NAME = "noise_sampler"  # of k-diffusion's samplers

Ends = tuple[float, float]
Kept = dict[Ends, torch.Tensor]
Key = tuple[Hashable, int]  # a sampling call and one of its trees, which are as many as its seeds


class Draws:
    """Of all sampling calls, on the host. Those of the call that drew longest ago make way for others'."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def serve(self, call: Hashable, inner: FrameType | None) -> None:
        """Keep what the sampler draws that called `inner`, and answer it from what was kept of `call`.

        Trees that draw on a device are left alone: to wait for what they drew takes longer than to draw.
        """
        batch: Any = getattr(_noise_sampler(inner), "tree", None)
        trees = getattr(batch, "trees", None)
        if isinstance(trees, tuple) and all(map(_is_on_the_host, trees)):
            batch.trees = tuple(KeptTree(tree, self, (call, at)) for at, tree in enumerate(trees))

    def of(self, key: Key) -> Kept:
        with self._lock:
            return self._kept.get(key, {})

    def anew(self, key: Key) -> Kept:
        """In the place of what another tree drew."""
        with self._lock:
            self._drop(key)
            return {}

    def add(self, key: Key, kept: Kept, ends: Ends, noise: torch.Tensor) -> None:
        """To `kept` of that key. Where there is no room the first draws stay: a replay begins with them."""
        with self._lock:
            if noise.nbytes > self._most_bytes or self._kept.setdefault(key, kept) is not kept:
                return
            self._kept.move_to_end(key)
            while self._bytes + noise.nbytes > self._most_bytes:
                oldest = next(iter(self._kept))
                if oldest[0] == key[0]:
                    return
                self._drop(oldest)
            kept[ends] = noise
            self._bytes += noise.nbytes

    def _drop(self, key: Key) -> None:
        gone = self._kept.pop(key, {})
        self._bytes -= sum(noise.nbytes for noise in gone.values())
        gone.clear()  # a tree in use may hold it still


class KeptTree:
    """The tree of one attempt at sampling. Its first draw proves that it is the one whose draws were kept."""

    def __init__(self, tree: torchsde.BrownianTree, draws: Draws, key: Key) -> None:
        self._tree = tree
        self._draws = draws
        self._key = key
        self._kept = draws.of(key)
        self._proven = False

    def __call__(self, start: Any, end: Any = None, **more: Any) -> Any:
        """The increment from `start` to `end`, in the shape of the tree's tensors."""
        if end is None or more:
            return self._tree(start, end, **more)
        ends = float(start), float(end)
        known = self._kept.get(ends)
        if known is not None and self._proven:
            return known
        noise = cast(torch.Tensor, self._tree(start, end))  # a tuple only where more is asked for
        if not self._proven:
            if known is None or not torch.equal(known, noise):
                self._kept, known = self._draws.anew(self._key), None
            self._proven = bool(noise.any())  # zeros, from a sigma to itself, prove nothing
        if known is None:
            self._draws.add(self._key, self._kept, ends, noise)
        return noise


def _is_on_the_host(tree: object) -> bool:
    return isinstance(tree, torchsde.BrownianTree) and tree.device.type == "cpu"


def _noise_sampler(frame: FrameType | None) -> object:
    """Of the innermost sampler around `frame`. It has no name outside of the function that made it."""
    while frame is not None:
        if NAME in frame.f_code.co_varnames:
            return frame.f_locals.get(NAME)
        frame = frame.f_back
    return None
