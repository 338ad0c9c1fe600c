"""Whether everything in a picture still holds the very same. ComfyUI's worker thread.

A network has thousands of places, and most networks remember nothing: to compare identities takes a tenth of
the time that another picture takes. Marks of what is in tensors are not looked at here.
"""

from __future__ import annotations

import operator
import types
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from itertools import repeat
from typing import Any

import torch

from .places import Part, is_of_others, slots_of

MISSING = object()


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
            found = _dict_of(what)
            if found is None:
                self._others.append((what, slots))
                continue
            self._dicts.append(found)
            self._sizes.append(len(found))
            self._holders += repeat(found, len(slots))
            self._names += (slot[1] if _is_attribute(slot) else slot for slot in slots)
            self._values += slots.values()

    def holds(self) -> bool:
        if list(map(len, self._dicts)) != self._sizes:
            return False
        now = map(dict.get, self._holders, self._names, repeat(MISSING))
        if not all(map(operator.is_, now, self._values)):
            return False
        return all(_is_the_same(slots, slots_of(what)) for what, slots in self._others)


def can_tell(what: Any) -> bool:
    """Whether its slots lead to all that it reaches: the variables around a function may come to."""
    return not (isinstance(what, types.FunctionType) and is_of_others(what))


def _dict_of(what: Any) -> dict[Any, Any] | None:
    """The one in which it holds everything; None where there is more than that."""
    if isinstance(what, torch.nn.Module):
        return vars(what)
    if type(what) in (dict, OrderedDict, defaultdict):
        return what
    if isinstance(what, (Part, types.FunctionType, types.CellType)) or hasattr(what, "__len__"):
        return None
    if any(kind.__dict__.get("__slots__") for kind in type(what).__mro__):
        return None
    return getattr(what, "__dict__", None)


def _is_attribute(slot: Any) -> bool:
    return isinstance(slot, tuple) and len(slot) == 2 and slot[0] == ""


def _is_the_same(then: dict[Any, Any], now: dict[Any, Any]) -> bool:
    """The one slot of a list is a tuple that is made anew at each look."""
    if then.keys() != now.keys():
        return False
    return all(value is now[slot] or _has_the_same(value, now[slot]) for slot, value in then.items())


def _has_the_same(then: Any, now: Any) -> bool:
    if not (type(then) is type(now) is tuple) or len(then) != len(now):
        return False
    return all(map(operator.is_, then, now))
