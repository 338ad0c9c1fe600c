"""Inputs that the frontend folds away until somebody wants them."""

from __future__ import annotations

from comfy_api.v0_0_2 import io


def folded(one: io.Input) -> io.Input:
    """The same input, marked as advanced. Not by its argument, which ComfyUI 0.3.75 does not have."""
    one.extra_dict = one.extra_dict | {"advanced": True}
    return one
