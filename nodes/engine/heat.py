"""How far two answers of a model are apart, as a map of the latent's places. Plain torch."""

from __future__ import annotations

import math

import torch

from ...state.lens import Heat


class NoMap(ValueError):
    """There is none; the message says why."""


def heat_of(apart: torch.Tensor) -> Heat:
    """apart: [B, C, H, W], [B, C, T, H, W] of a video, whose middle frame is taken, or [B, C, W] of sound.

    A batch becomes a grid, as in previews. Raises NoMap.
    """
    if apart.ndim == 5:
        apart = apart[:, :, apart.shape[2] // 2]
    elif apart.ndim == 3:
        apart = apart[:, :, None]
    if apart.ndim != 4 or not apart.numel():
        raise NoMap("the model's latent is no picture.")
    if not bool(torch.isfinite(apart).all()):
        raise NoMap("an answer of the model is not a number (NaN or infinite).")
    summed = apart.sum(dim=1)
    maximum, mean = float(summed.max()), float(summed.mean())
    shown = _grid(summed / maximum if maximum > 0 else summed)
    values = (shown * 255).round().to(torch.uint8)
    return Heat(values.shape[1], values.shape[0], bytes(values.flatten().tolist()), maximum, mean)


def _grid(images: torch.Tensor) -> torch.Tensor:
    """[B, H, W] -> [H, W], row by row, in a square or nearly so."""
    count, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    whole = images.new_zeros(rows * height, columns * width)
    for number, image in enumerate(images):
        top, left = number // columns * height, number % columns * width
        whole[top : top + height, left : left + width] = image
    return whole
