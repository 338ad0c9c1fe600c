"""What patches remember as plain JSON and tensors. No code is stored, and none of a patch is called.

A value is a list whose first item says what it is. What was there when the call began is named by its
address, what was made since is written out. Raises Unkeepable for what is neither. ComfyUI's worker thread.
"""

from __future__ import annotations

import functools
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from enum import Enum
from typing import Any
from uuid import UUID

import numpy
import torch

from .kinds import PartKind, kind_of
from .picture import Snapshot, state_of_generator
from .places import ORDERED, attributes_of, slots_of, wrapped_in

Told = list[Any]
AS_IT_IS = (type(None), bool, float, str)
PLAIN_PLACES = (dict, list, set, deque, OrderedDict, defaultdict, types.SimpleNamespace)
BUILT_IN = {one.__name__: one for one in PLAIN_PLACES}


class Unkeepable(Exception):
    """Something that patches remember cannot be written down; the message says what."""


class Encoder:
    """keep: gives a tensor on the host its name; conds: name of each cond by its uuid"""

    def __init__(
        self, began: Snapshot, keep: Callable[[int, torch.Tensor], str], conds: dict[Any, str]
    ) -> None:
        self._began = began
        self._keep = keep
        self._conds = conds
        self._made: dict[int, int] = {}
        self._alive: list[Any] = []

    def value(self, value: Any) -> Told:
        kind = kind_of(value)
        if kind is PartKind.PLAIN:
            return self._plain(value)
        if kind in (PartKind.TENSOR, PartKind.ARRAY):
            return self._tensor(value)
        address = self._began.addresses.get(id(value))
        if kind is PartKind.RANDOM:
            return ["random", _class(type(value)), state_of_generator(value), address]
        if kind is PartKind.WRAPPING and not isinstance(value, types.MethodType):
            return self._wrapping(value)
        if address is not None:
            return ["at", address]
        if isinstance(value, types.MethodType):
            return self._wrapping(value)
        if kind is PartKind.PLACE and not isinstance(value, types.CellType):
            return self._place(value)
        return _found_by_name(value)

    def slot(self, slot: Any) -> Told:
        """A key of a dictionary, or ("", name) for an attribute."""
        if isinstance(slot, tuple) and len(slot) == 2 and slot[0] == "":
            return ["attribute", slot[1]]
        return self.value(slot)

    def _plain(self, value: Any) -> Told:
        if type(value) in AS_IT_IS:
            return ["p", value]
        if type(value) is int:
            near = self._began.addresses.get(value) if value > 2**20 else None
            return ["p", value] if near is None else ["id", near]
        if isinstance(value, UUID):
            return ["cond", self._conds[value]] if value in self._conds else ["uuid", value.hex]
        if isinstance(value, Enum):
            return ["enum", _class(type(value)), value.name]
        if isinstance(value, torch.dtype):
            return ["dtype", str(value).removeprefix("torch.")]
        if isinstance(value, torch.device):
            return ["device", value.type]
        if isinstance(value, torch.Size):
            return ["size", list(value)]
        if isinstance(value, numpy.generic):
            return ["number", value.dtype.str, value.tobytes().hex()]
        if isinstance(value, bytes):
            return ["bytes", value.hex()]
        if isinstance(value, (slice, range)):
            return [type(value).__name__, [self.value(one) for one in (value.start, value.stop, value.step)]]
        if isinstance(value, complex):
            return ["complex", value.real, value.imag]
        raise Unkeepable(f"a {type(value).__name__}")

    def _tensor(self, value: Any) -> Told:
        if isinstance(value, numpy.ndarray):
            if value.dtype.hasobject:
                raise Unkeepable("an array of objects")
            flat = torch.from_numpy(numpy.ascontiguousarray(value).reshape(-1).view(numpy.uint8).copy())
            return ["array", self._keep(id(value), flat), value.dtype.str, list(value.shape)]
        if type(value) not in (torch.Tensor, torch.nn.Buffer) or value.layout is not torch.strided:
            raise Unkeepable(f"a {type(value).__name__} of layout {value.layout}")
        return ["t", self._keep(id(value), value), value.device.type, self._began.addresses.get(id(value))]

    def _wrapping(self, value: Any) -> Told:
        if isinstance(value, types.MethodType):
            return ["method", self.value(value.__self__), value.__func__.__name__]
        parts = [self.value(one) for _, one in wrapped_in(value)]
        if isinstance(value, functools.partial):
            return ["partial", *parts]
        if isinstance(value, frozenset):
            return ["frozenset", parts]
        return ["tuple", None if type(value) is tuple else _class(type(value)), parts]

    def _place(self, value: Any) -> Told:
        if id(value) in self._made:
            return ["made", self._made[id(value)]]
        if isinstance(value, (types.FunctionType, torch.nn.Module)):
            return _found_by_name(value)
        number = self._made[id(value)] = len(self._made)
        self._alive.append(value)
        kind = type(value)
        name = kind.__name__ if BUILT_IN.get(kind.__name__) is kind else _class(kind)
        told: Told = ["new", number, name]
        if isinstance(value, defaultdict):
            told.append(self.value(value.default_factory))
        else:
            told.append(value.maxlen if isinstance(value, deque) else None)
        if isinstance(value, ORDERED):
            whole = [self.value(one) for one in value]
            held = {("", name): one for name, one in attributes_of(value).items()}
            return [*told, whole, [[self.slot(slot), self.value(one)] for slot, one in held.items()]]
        return [*told, None, [[self.slot(slot), self.value(one)] for slot, one in slots_of(value).items()]]


def _class(kind: type) -> list[str]:
    return [kind.__module__, kind.__qualname__]


def _found_by_name(value: Any) -> Told:
    """A class, a module or a function of a module."""
    if isinstance(value, types.ModuleType):
        return ["module", value.__name__]
    module, path = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(module, str) and isinstance(path, str) and named([module, path]) is value:
        return ["named", [module, path]]
    raise Unkeepable(f"a {type(value).__name__} that was made while sampling")


def named(told: list[str]) -> Any:
    """What is called that in a module that is loaded; None where there is no such thing."""
    found: Any = sys.modules.get(told[0])
    for name in told[1].split("."):
        found = getattr(found, name, None)
    return found
