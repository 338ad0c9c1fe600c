"""Batches of images, latents or masks, as they come on ComfyUI's wires: how many there are, and some of them.

A value is a tensor ([B, H, W, C] for images, [B, H, W] for masks) or a latent: a dictionary with `samples`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...state.choice import Kind


def kind_of(value: Any) -> Kind:
    """Raises TypeError for what cannot be chosen from."""
    if isinstance(value, dict) and "samples" in value:
        return Kind.LATENT
    if isinstance(value, torch.Tensor) and value.ndim == 4:
        return Kind.IMAGE
    if isinstance(value, torch.Tensor) and value.ndim in (2, 3):
        return Kind.MASK
    raise TypeError(f"Midrun Choose takes images, latents or masks, not a {type(value).__name__}.")


def count(value: Any) -> int:
    """How many there are in the batch."""
    if kind_of(value) is Kind.LATENT:
        return int(value["samples"].size()[0])
    return 1 if value.ndim == 2 else len(value)


def some(value: Any, indexes: Sequence[int]) -> Any:
    """Those of the batch, from 0, as a batch of the same kind."""
    chosen = list(indexes)
    if kind_of(value) is not Kind.LATENT:
        return (value[None] if value.ndim == 2 else value)[chosen]
    made = dict(value, samples=value["samples"][chosen])
    mask = value.get("noise_mask")
    if isinstance(mask, torch.Tensor) and len(mask) > 1:
        made["noise_mask"] = mask[[index % len(mask) for index in chosen]]
    numbers = value.get("batch_index")
    if isinstance(numbers, list) and len(numbers) == count(value):
        made["batch_index"] = [numbers[index] for index in chosen]
    return made
