"""What a node with a loop of its own tells of its steps, where it tells ComfyUI. ComfyUI's worker thread.

Its preview callback and its model are looked up among what runs: neither ComfyUI nor the pack is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import comfy.latent_formats
import comfy.model_patcher
import torch

from ..comfyui.latents import describe
from ..engine.run_watch import executes
from ..engine.tape import host_copy


def estimate() -> torch.Tensor | None:
    """The `x0` of the preview callback that moves the progress bar, on the host; None without one."""
    for frame in _frames():
        if frame.f_code.co_name == "callback" and "x0" in frame.f_code.co_varnames:
            x0 = frame.f_locals.get("x0")
            return host_copy(x0) if isinstance(x0, torch.Tensor) and x0.dim() > 3 else None
    return None


def latent_format() -> dict[str, Any]:
    """Of the model that the node which runs has at hand, as plain JSON; empty where it has none."""
    for frame in _frames():
        for value in list(frame.f_locals.values()):
            if isinstance(value, comfy.model_patcher.ModelPatcher):
                found = getattr(value.model, "latent_format", None)
                found = found() if isinstance(found, type) else found
                if isinstance(found, comfy.latent_formats.LatentFormat):
                    return describe(found, None)
    return {}


def _frames() -> Iterator[FrameType]:
    """Of the node that runs, from the innermost."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not executes(frame):
        yield frame
        frame = frame.f_back
