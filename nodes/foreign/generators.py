"""All global generators that a loop may draw from: torch's, python's and numpy's. ComfyUI's worker thread."""

from __future__ import annotations

import ctypes
import random
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy
import torch

from ...state.recording.items import RngState
from ..engine.tape import capture_rng, restore_rng

MERSENNE = "MT19937"  # numpy's legacy generator, unless somebody put another in its place
WORDS = 624  # of 32 bits, followed by the place among them


@dataclass(frozen=True)
class Seen:
    """The generators at one moment, as their libraries tell it."""

    torchs: RngState
    pythons: Any
    numpys: Any


class _Numpys:
    """numpy's. To tell it takes longer than all others together, so numpy is asked where its words changed.

    Where a second number of a pair is left to be given, that can be given without another word.
    """

    def __init__(self) -> None:
        self._words: bytes | None = None
        self._told: Any = None

    def see(self) -> Any:
        words = _words_of_numpy()
        if words is None or words != self._words or self._told[3]:
            told: Any = numpy.random.get_state()
            self._told = told
            known = words is not None and told[1].tobytes() + told[2].to_bytes(4, sys.byteorder) == words
            self._words = words if known else None
        return self._told

    def forget(self) -> None:
        self._words = None


_numpys = _Numpys()


def _words_of_numpy() -> bytes | None:
    """As they are in its memory; None where that is not known."""
    ask = getattr(numpy.random, "get_bit_generator", None)
    generator = None if ask is None else ask()
    if type(generator) is not numpy.random.MT19937:
        return None
    return ctypes.string_at(generator.ctypes.state_address, 4 * WORDS + 4)


def see(device: torch.device) -> Seen:
    """Those of the CPU, of `device`, of `random` and of `numpy.random`."""
    return Seen(capture_rng(device), random.getstate(), _numpys.see())


def is_same(one: Seen, other: Seen) -> bool:
    device = one.torchs.device, other.torchs.device
    if _bits(one.torchs.cpu) != _bits(other.torchs.cpu) or one.pythons != other.pythons:
        return False
    if device[0] is not None and device[1] is not None and not torch.equal(device[0], device[1]):
        return False
    if one.numpys is other.numpys:
        return True
    numbers = one.numpys[0] == other.numpys[0] and one.numpys[2:] == other.numpys[2:]
    return numbers and one.numpys[1].tobytes() == other.numpys[1].tobytes()


def _bits(state: torch.Tensor) -> bytes:
    return state.numpy().tobytes()  # to compare that is quicker than torch.equal


def state_of(seen: Seen) -> RngState:
    """As it is recorded."""
    version, words, spare = seen.pythons
    others = {
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python.spare": torch.tensor([] if spare is None else [spare], dtype=torch.float64),
    }
    kind, keys, place, has_spare, second = seen.numpys
    if kind == MERSENNE:
        numbers = [*keys.tolist(), place, has_spare]
        others["numpy"] = torch.tensor(numbers, dtype=torch.int64)
        others["numpy.spare"] = torch.tensor([second], dtype=torch.float64)
    return replace(seen.torchs, others=others)


def capture(device: torch.device) -> RngState:
    return state_of(see(device))


def restore(state: RngState, device: torch.device) -> None:
    restore_rng(state, device)
    others = {name: tensor.tolist() for name, tensor in state.others.items()}
    if "python" in others:
        version, *words = others["python"]
        random.setstate((version, tuple(words), next(iter(others["python.spare"]), None)))
    if "numpy" in others:
        *keys, place, has_spare = others["numpy"]
        words = numpy.array(keys, dtype=numpy.uint32)
        _numpys.forget()
        numpy.random.set_state((MERSENNE, words, place, has_spare, others["numpy.spare"][0]))
