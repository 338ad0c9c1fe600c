"""What encoding.py wrote down, as values of the present run. ComfyUI's worker thread.

A class is looked up among what is loaded, and its instances are made without calling anything of it. What is
made may hold any function that is loaded: a recording that somebody else wrote must not get here.
"""

from __future__ import annotations

import functools
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy
import torch

from .encoding import BUILT_IN, Told, Unkeepable, named
from .picture import Snapshot, set_generator
from .places import put


class Decoder:
    """present: what there is now; tensor: one by its name

    conds: name of each by its uuid; device: of the model
    """

    def __init__(
        self,
        present: Snapshot,
        tensor: Callable[[str], torch.Tensor],
        conds: dict[Any, str],
        device: torch.device,
    ) -> None:
        self._present = present
        self._tensor = tensor
        self._conds = {name: uuid for uuid, name in conds.items()}
        self._device = device
        self._made: dict[int, Any] = {}
        self._given: dict[str, torch.Tensor] = {}

    def slot(self, told: Told) -> Any:
        return ("", told[1]) if told[0] == "attribute" else self.value(told)

    def value(self, told: Told) -> Any:
        """Raises Unkeepable where it needs something that is not there now."""
        what, *rest = told
        if what == "p":
            return rest[0]
        simple = SIMPLE.get(what)
        if simple is not None:
            return simple(*rest)
        make = getattr(self, f"make_{what}", None)
        if make is None:
            raise Unkeepable(f"a {what}, which this version does not know")
        return make(*rest)

    def make_at(self, address: str) -> Any:
        if address not in self._present.at:
            raise Unkeepable(f"what was at {address}, where there is nothing now")
        return self._present.at[address]

    def make_id(self, address: str) -> int:
        return id(self.make_at(address))

    def make_t(self, name: str, device: str, address: str | None) -> torch.Tensor:
        """One that was there when the call began is written into: others may hold it."""
        if name not in self._given:
            where = torch.device("cpu") if device == "cpu" else self._device
            found, content = self._present.at.get(address or ""), self._tensor(name)
            if isinstance(found, torch.Tensor) and _fits(found, content, where):
                found.copy_(content)
                self._given[name] = found
            else:
                self._given[name] = content.to(where, copy=True)
        return self._given[name]

    def make_array(self, name: str, dtype: str, shape: list[int]) -> numpy.ndarray:
        return self._tensor(name).numpy().view(numpy.dtype(dtype)).reshape(shape).copy()

    def make_cond(self, name: str) -> Any:
        return self._conds.get(name, name)  # one that was taken out of the workflow is nobody's any more

    def make_device(self, kind: str) -> torch.device:
        return torch.device("cpu") if kind == "cpu" else self._device

    def make_slice(self, parts: list[Told]) -> slice:
        return slice(*(self.value(one) for one in parts))

    def make_range(self, parts: list[Told]) -> range:
        return range(*(self.value(one) for one in parts))

    def make_random(self, kind: list[str], state: Any, address: str | None) -> Any:
        made = self._present.at.get(address or "")
        if made is None:
            found = _class(kind)
            made = found(numpy.random.PCG64()) if issubclass(found, numpy.random.Generator) else found()
        set_generator(made, state)
        return made

    def make_method(self, of: Told, name: str) -> Any:
        return getattr(self.value(of), name)

    def make_partial(self, function: Told, arguments: Told, keywords: Told) -> Any:
        return functools.partial(self.value(function), *self.value(arguments), **self.value(keywords))

    def make_frozenset(self, parts: list[Told]) -> frozenset[Any]:
        return frozenset(self.value(one) for one in parts)

    def make_tuple(self, kind: list[str] | None, parts: list[Told]) -> tuple[Any, ...]:
        found = tuple if kind is None else _class(kind)
        return tuple.__new__(found, (self.value(one) for one in parts))

    def make_made(self, number: int) -> Any:
        return self._made[number]

    def make_new(
        self, number: int, kind: Any, more: Any, whole: list[Told] | None, slots: list[list[Told]]
    ) -> Any:
        made = self._made[number] = self._empty(kind, more)
        if whole:
            put(made, "", [self.value(one) for one in whole])
        for slot, value in slots:
            put(made, self.slot(slot), self.value(value))
        return made

    def _empty(self, kind: Any, more: Any) -> Any:
        found = BUILT_IN[kind] if isinstance(kind, str) else _class(kind)
        if issubclass(found, defaultdict):
            return found.__new__(found) if found is not defaultdict else defaultdict(self.value(more))
        if issubclass(found, deque):
            made = found.__new__(found)
            deque.__init__(made, (), more)
            return made
        bases: tuple[Any, ...] = (OrderedDict, dict, list, set, types.SimpleNamespace)
        for base in bases:
            if issubclass(found, base):
                return base.__new__(found)
        try:
            return object.__new__(found)
        except TypeError as error:
            raise Unkeepable(f"a {found.__name__}: {error}") from error


def _class(told: list[str]) -> Any:
    found = named(told)
    if not isinstance(found, type):
        raise Unkeepable(f"a {told[1]} of {told[0]}, which is not loaded")
    return found


def _named(told: list[str]) -> Any:
    found = named(told)
    if found is None:
        raise Unkeepable(f"{told[1]} of {told[0]}, which is not loaded")
    return found


def _module(name: str) -> Any:
    if name not in sys.modules:
        raise Unkeepable(f"the module {name}, which is not loaded")
    return sys.modules[name]


def _number(dtype: str, content: str) -> Any:
    return numpy.frombuffer(bytes.fromhex(content), numpy.dtype(dtype))[0]


SIMPLE: dict[str, Callable[..., Any]] = {
    "uuid": lambda told: UUID(hex=told),
    "enum": lambda kind, name: _class(kind)[name],
    "dtype": lambda name: getattr(torch, name),
    "size": torch.Size,
    "number": _number,
    "bytes": bytes.fromhex,
    "complex": complex,
    "named": _named,
    "module": lambda name: _module(name),
}


def _fits(found: torch.Tensor, content: torch.Tensor, where: torch.device) -> bool:
    alike = found.shape == content.shape and found.dtype is content.dtype
    return alike and found.device.type == where.type
