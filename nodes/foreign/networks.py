"""Which call of a torch module is an evaluation: of a network that is asked at a time step. Any thread."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch

TIMES = ("timestep", "timesteps", "t", "sigma", "timestep_ratio")  # what a forward calls its noise level
PARTS = 8  # a network has more submodules, the embedding of a time step has fewer
Slots = tuple[tuple[str, int], tuple[str, int]] | None  # of the sample and of the time: name and place
_slots: WeakKeyDictionary[type, Slots] = WeakKeyDictionary()
_networks: WeakSet[torch.nn.Module] = WeakSet()  # that were found


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether torch traces what it calls, into which nothing may be put."""
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None


def has_compiled_parts(module: torch.nn.Module) -> bool:
    return any(is_compiled(part) for part in module.modules())


def uncompiled(module: torch.nn.Module) -> torch.nn.Module:
    """The network in one that torch.compile made."""
    return module._modules.get("_orig_mod") or module


def is_network(module: torch.nn.Module) -> bool:
    """Whether it is made to be asked at a time step, and is more than a part of such a network."""
    module = uncompiled(module)
    if module in _networks:
        return True
    if _slots_of(type(module)) is None:
        return False
    found = sum(1 for _ in islice(module.modules(), PARTS + 2)) > PARTS + 1
    if found:
        _networks.add(module)
    return found


def asked(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, Any] | None:
    """The sample and the time step that a network is asked with; None where it is asked at no time step."""
    slots = _slots_of(type(uncompiled(module)))
    if slots is None:
        return None
    sample, time = (kwargs.get(name, args[place] if place < len(args) else None) for name, place in slots)
    return None if time is None else (sample, time)


def _slots_of(kind: type) -> Slots:
    try:
        return _slots[kind]
    except KeyError:
        found = _slots[kind] = _look(kind)
        return found


def _look(kind: type) -> Slots:
    try:
        names = list(inspect.signature(getattr(kind, "forward")).parameters)[1:]  # noqa: B009
    except (TypeError, ValueError, AttributeError):  # as of what was written in C++
        return None
    times = [name for name in names if name in TIMES]
    samples = [name for name in names if name not in TIMES]
    if not times or not samples:
        return None
    return (samples[0], names.index(samples[0])), (times[0], names.index(times[0]))
