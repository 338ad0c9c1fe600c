"""All global generators that a loop may draw from: torch's, python's and numpy's. ComfyUI's worker thread."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy
import torch

from ...state.recording.recording import RngState
from ..engine.tape import capture_rng, restore_rng

MERSENNE = "MT19937"  # numpy's legacy generator, unless somebody put another in its place


def capture(device: torch.device) -> RngState:
    """Of the CPU, of `device`, of `random` and of `numpy.random`."""
    version, words, spare = random.getstate()
    others = {
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python.spare": torch.tensor([] if spare is None else [spare], dtype=torch.float64),
    }
    kind, keys, place, has_spare, second = numpy.random.get_state()
    if kind == MERSENNE:
        numbers = [*keys.tolist(), place, has_spare]
        others["numpy"] = torch.tensor(numbers, dtype=torch.int64)
        others["numpy.spare"] = torch.tensor([second], dtype=torch.float64)
    return replace(capture_rng(device), others=others)


def restore(state: RngState, device: torch.device) -> None:
    restore_rng(state, device)
    others = {name: tensor.tolist() for name, tensor in state.others.items()}
    if "python" in others:
        version, *words = others["python"]
        random.setstate((version, tuple(words), next(iter(others["python.spare"]), None)))
    if "numpy" in others:
        *keys, place, has_spare = others["numpy"]
        words = numpy.array(keys, dtype=numpy.uint32)
        numpy.random.set_state((MERSENNE, words, place, has_spare, others["numpy.spare"][0]))


def is_same(one: RngState, other: RngState) -> bool:
    def all_of(state: RngState) -> dict[str, Any]:
        found = {"cpu": state.cpu, "device": state.device} | state.others
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    first, second = all_of(one), all_of(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
