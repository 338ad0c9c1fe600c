"""What a node with a loop of its own tells of its steps, in its own ways. ComfyUI's worker thread.

Its preview callback, model, pipeline and scheduler are looked up among what runs: neither ComfyUI nor the
pack is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import comfy.latent_formats
import comfy.model_patcher
import torch

from ..comfyui.latents import describe, format_of_vae
from ..engine.run_watch import executes
from .schedulers import is_scheduler
from .whereabouts import LEAVES

MOST = 100  # entries of a dict in which something is looked for


def told_x0() -> torch.Tensor | None:
    """The `x0` of the preview callback that moves the progress bar; None without one."""
    for frame in _frames():
        if frame.f_code.co_name == "callback" and "x0" in frame.f_code.co_varnames:
            x0 = frame.f_locals.get("x0")
            return x0 if isinstance(x0, torch.Tensor) and x0.dim() > 3 else None
    return None


def schedulers() -> Iterator[list[Any]]:
    """Of diffusers, from the innermost frame: what it has at hand, by itself or in what it has."""
    for frame in _frames():
        found = {id(one): one for one in _at_hand(frame, "scheduler") if is_scheduler(one)}
        if found:
            yield list(found.values())


def latent_format() -> dict[str, Any]:
    """Of the model that the node which runs has at hand, as plain JSON; empty where it has none."""
    for frame in _frames():
        for value in list(frame.f_locals.values()):
            if isinstance(value, comfy.model_patcher.ModelPatcher):
                found = getattr(value.model, "latent_format", None)
                found = found() if isinstance(found, type) else found
                if isinstance(found, comfy.latent_formats.LatentFormat):
                    return describe(found, None)
        for vae in _at_hand(frame, "vae"):
            if (found := format_of_vae(vae)) is not None:
                return describe(found, None)
    return {}


def _at_hand(frame: FrameType, name: str) -> Iterator[Any]:
    """What the function has: itself, and of that name in its objects and dicts, and in those of its dicts."""
    for value in list(frame.f_locals.values()):
        yield from _named(value, name)
        if type(value) is dict and len(value) < MOST:
            for one in list(value.values()):
                yield from _named(one, name)


def _named(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, LEAVES):
        return
    yield value
    parts = value if type(value) is dict else getattr(value, "__dict__", {})
    if name in parts:
        yield parts[name]


def _frames() -> Iterator[FrameType]:
    """Of the node that runs, from the innermost."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not executes(frame):
        yield frame
        frame = frame.f_back
