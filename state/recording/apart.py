"""How far two recordings are apart, step by step. Reads the disk, one step of each at a time; any thread."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .items import Damaged
from .recording import Recording


@dataclass(frozen=True)
class Apart:
    """Two recordings after that step. difference: see `difference`; None where it is no number"""

    step: int
    difference: float | None


class OtherShape(ValueError):
    """Latents of different sizes have no difference."""


def apart(one: Recording, other: Recording) -> list[Apart]:
    """After each step whose `denoised` both have. Raises OtherShape."""
    found = []
    for number in sorted(set(one.steps()) & set(other.steps())):
        here, there = _denoised(one, number), _denoised(other, number)
        if here is not None and there is not None:
            found.append(Apart(number, difference(here, there)))
    return found


def difference(one: torch.Tensor, other: torch.Tensor) -> float | None:
    """The norm of their difference in parts of the larger norm; 0 only for what is identical."""
    if one.shape != other.shape:
        raise OtherShape(f"{tuple(one.shape)} and {tuple(other.shape)}")
    if torch.equal(one, other):
        return 0.0
    here, there = one.to(torch.float64), other.to(torch.float64)
    largest = max(float(torch.linalg.vector_norm(here)), float(torch.linalg.vector_norm(there)))
    told = float(torch.linalg.vector_norm(here - there)) / largest if largest else math.nan
    return told if math.isfinite(told) else None


def _denoised(recording: Recording, number: int) -> torch.Tensor | None:
    try:
        return recording.step(number).denoised
    except (Damaged, KeyError, IndexError):
        return None
