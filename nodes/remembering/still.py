"""Whether everything in a picture still holds the very same. ComfyUI's worker thread.

A network has thousands of places, and most networks remember nothing: to compare identities takes a tenth of
the time that another picture takes. Marks of what is in tensors are not looked at here.
"""

from __future__ import annotations

import operator
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from itertools import compress, repeat
from typing import Any

import torch

from .places import Part, is_of_others, slots_of

MISSING = object()
PLAIN = (int, float, str, bytes)


class Still:
    """Of the places that hold things in dictionaries, by their items; of all others, by their slots."""

    def __init__(self, held: Iterable[tuple[Any, dict[Any, Any]]]) -> None:
        """held: of each place, what it held"""
        self._dicts: list[dict[Any, Any]] = []
        self._sizes: list[int] = []
        self._holders: list[dict[Any, Any]] = []  # as often as each has items
        self._names: list[Any] = []
        self._values: list[Any] = []
        self._others: list[tuple[Any, dict[Any, Any]]] = []
        for what, slots in held:
            found = _dicts_of(what)
            if found is None:
                self._others.append((what, slots))
                continue
            items, attributes = found
            own = {slot: value for slot, value in slots.items() if not _is_attribute(slot)}
            self._add(items, own)
            self._add(attributes, {slot[1]: slots[slot] for slot in slots.keys() - own.keys()})

    def _add(self, holder: dict[Any, Any] | None, held: dict[Any, Any]) -> None:
        if holder is not None:
            self._dicts.append(holder)
            self._sizes.append(dict.__len__(holder))
            self._holders += repeat(holder, len(held))
            self._names += held
            self._values += held.values()

    def holds(self) -> bool:
        if list(map(dict.__len__, self._dicts)) != self._sizes:
            return False
        now = list(map(dict.get, self._holders, self._names, repeat(MISSING)))
        others = compress(zip(self._values, now, strict=True), map(operator.is_not, now, self._values))
        if not all(_is_equal(value, other) for value, other in others):
            return False
        return all(_is_the_same(slots, slots_of(what)) for what, slots in self._others)


def can_tell(what: Any) -> bool:
    """Whether its slots lead to all that it reaches: the variables around a function may come to."""
    return not (isinstance(what, types.FunctionType) and is_of_others(what))


def _dicts_of(what: Any) -> tuple[dict[Any, Any] | None, dict[Any, Any] | None] | None:
    """The one with its items and the one with its attributes; None where it holds more than these."""
    if isinstance(what, torch.nn.Module):
        return vars(what), None
    if type(what) in (dict, OrderedDict, defaultdict):
        return what, None
    if isinstance(what, (Part, types.FunctionType, types.CellType, list, set, deque)):
        return None
    if any(kind.__dict__.get("__slots__") for kind in type(what).__mro__):
        return None
    attributes = getattr(what, "__dict__", None)
    return (what, attributes) if isinstance(what, dict) else (None, attributes)


def _is_attribute(slot: Any) -> bool:
    return isinstance(slot, tuple) and len(slot) == 2 and slot[0] == ""


def _is_equal(value: Any, other: Any) -> bool:
    """Many set a number or a shape anew each time that is the same as ever."""
    if type(value) is not type(other):
        return False
    if isinstance(value, tuple):
        return len(value) == len(other) and all(map(_is_equal, value, other))
    return isinstance(value, PLAIN) and value == other


def _is_the_same(then: dict[Any, Any], now: dict[Any, Any]) -> bool:
    """The one slot of a list is a tuple that is made anew at each look."""
    if then.keys() != now.keys():
        return False
    return all(value is now[slot] or _has_the_same(value, now[slot]) for slot, value in then.items())


def _has_the_same(then: Any, now: Any) -> bool:
    if not (type(then) is type(now) is tuple) or len(then) != len(now):
        return False
    return all(map(operator.is_, then, now))
