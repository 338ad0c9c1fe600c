"""Which places of a picture do not hold the very same any more. ComfyUI's worker thread.

A network has thousands of places, and most networks remember nothing: to compare identities takes a tenth of
the time that another picture takes. Marks of what is in tensors are not looked at here.
"""

from __future__ import annotations

import operator
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from itertools import compress, count, repeat
from typing import Any

import torch

from .places import Part, is_of_others, led_to, slots_of

MISSING = object()
PLAIN = (int, float, str, bytes)
HOOKS = ("_forward_hooks", "_forward_pre_hooks")  # of each module; nobody puts another dictionary there


class Still:
    """Of places that hold things in dictionaries, by their items; of all others, by their slots."""

    def __init__(self, places: Iterable[tuple[int, str, Any, dict[Any, Any]]]) -> None:
        """Of each the identity, the address, it itself, and what it held."""
        self._dicts: list[dict[Any, Any]] = []
        self._sizes: list[int] = []
        self._of_dicts: list[int] = []  # the place that has it
        self._empty: list[dict[Any, Any]] = []  # most are: the hooks of each module
        self._of_empty: list[int] = []
        self._holders: list[dict[Any, Any]] = []  # as often as each has items
        self._names: list[Any] = []
        self._values: list[Any] = []
        self._of_values: list[int] = []
        self._others: list[tuple[int, Any, dict[Any, Any]]] = []
        self._functions: list[tuple[str, Any]] = []
        for key, address, what, slots in places:
            if isinstance(what, types.FunctionType) and is_of_others(what):
                self._functions.append((address, what))
            found = _dicts_of(what)
            if found is None:
                self._others.append((key, what, slots))
                continue
            items, attributes = found
            hooks = HOOKS if isinstance(what, torch.nn.Module) else ()
            named = {slot[1]: value for slot, value in slots.items() if _is_attribute(slot)}
            own = {slot: one for slot, one in slots.items() if not (_is_attribute(slot) or slot in hooks)}
            self._add(key, items, own)
            self._add(key, attributes, named)

    def _add(self, key: int, holder: dict[Any, Any] | None, held: dict[Any, Any]) -> None:
        if holder is None:
            return
        if not holder:
            self._empty.append(holder)
            self._of_empty.append(key)
            return
        self._dicts.append(holder)
        self._sizes.append(len(holder))
        self._of_dicts.append(key)
        self._holders += repeat(holder, len(held))
        self._names += held
        self._values += held.values()
        self._of_values += repeat(key, len(held))

    def changed(self) -> set[int]:
        """The identities of the places that hold something else."""
        found = set(compress(self._of_empty, self._empty)) if any(self._empty) else set[int]()
        sizes = list(map(len, self._dicts))
        if sizes != self._sizes:
            found.update(compress(self._of_dicts, map(operator.ne, sizes, self._sizes)))
        then, now = self._values, list(map(dict.get, self._holders, self._names, repeat(MISSING)))
        for place in compress(count(), map(operator.is_not, now, then)):
            if not _is_equal(then[place], now[place]):
                found.add(self._of_values[place])
        others = (key for key, what, slots in self._others if not _is_the_same(slots, slots_of(what)))
        return found.union(others)

    def leads_to(self) -> list[tuple[str, Any]]:
        """What the variables around functions of others hold by now: they may come to more."""
        return [(address + name, one) for address, what in self._functions for name, one in led_to(what)]

    def forget(self, value: Any) -> None:
        """It may leave the memory: whatever held it counts as changed."""
        self._values = [MISSING if one is value else one for one in self._values]


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
    if isinstance(what, dict) and not _tells_its_size(type(what)):
        return None
    attributes = getattr(what, "__dict__", None)
    return (what, attributes) if isinstance(what, dict) else (None, attributes)


def _tells_its_size(kind: type[dict[Any, Any]]) -> bool:
    """As every dictionary does, and not in a way of its own."""
    return kind.__len__ is dict.__len__ and not hasattr(kind, "__bool__")


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
