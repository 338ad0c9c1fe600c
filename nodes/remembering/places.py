"""What the places hold in which patches keep what they remember: dictionaries, lists, attributes, closures.

A place has slots. Those of a list, a set or a deque are one: all that it holds. ComfyUI's worker thread.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Set
from typing import Any

import torch

from .kinds import HARMLESS, OWN, PartKind, is_declared_harmless, kind_of

WHOLE, CELL = "", "value"  # the one slot of a list and the like, and of a closure's cell
ORDERED = (list, set, deque)
MANAGERS = ("comfy.model_management", "comfy.model_patcher", "comfy.ops", "comfy.pinned_memory")
MANAGERS += ("comfy.model_prefetch", "comfy.memory_management", "comfy.quant_ops")
MANAGED = ("_", "comfy_", "weight_", "bias_")  # what begins so and is set by its name, with setattr
OF_EVERY_MODULE = frozenset(vars(torch.nn.Module())) - {"_forward_hooks", "_forward_pre_hooks"}


class Part:
    """Some of the items of a dictionary, as a place of their own: `only` these, or all without those."""

    def __init__(
        self, values: dict[str, Any], only: Set[str] | None = None, without: Set[str] = frozenset()
    ) -> None:
        self.values, self.only, self.without = values, only, without

    def slots(self) -> dict[str, Any]:
        if self.only is not None:
            return {name: self.values[name] for name in sorted(self.only & self.values.keys())}
        return {name: value for name, value in self.values.items() if name not in self.without}


def slots_of(place: Any) -> dict[Any, Any]:
    """What it holds now, by slot."""
    if isinstance(place, Part):
        return place.slots()
    if isinstance(place, types.CellType):
        try:
            return {CELL: place.cell_contents}
        except ValueError:
            return {}
    if isinstance(place, torch.nn.Module):
        managed = managed_names()
        return {name: value for name, value in vars(place).items() if name not in managed}
    slots: dict[Any, Any] = {}
    if isinstance(place, dict):
        slots = dict(place)
    elif isinstance(place, ORDERED):
        slots = {WHOLE: tuple(place)}
    attributes = attributes_of(place)
    return slots if not attributes else slots | {("", name): value for name, value in attributes.items()}


def attributes_of(place: Any) -> dict[str, Any]:
    """In its `__dict__` and in its slots."""
    found = dict(getattr(place, "__dict__", ()))
    for kind in type(place).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in ("__dict__", "__weakref__") and hasattr(place, name):
                found[name] = getattr(place, name)
    return found


def _is_in_its_dict(place: Any, name: str) -> bool:
    """And not in one of its slots."""
    if not isinstance(getattr(place, "__dict__", None), dict):
        return False
    return not any(
        isinstance(vars(kind).get(name), types.MemberDescriptorType) for kind in type(place).__mro__
    )


def put(place: Any, slot: Any, value: Any) -> None:
    if isinstance(place, Part):
        place.values[slot] = value
    elif isinstance(place, types.CellType):
        place.cell_contents = value
    elif isinstance(slot, tuple) and len(slot) == 2 and slot[0] == "":
        if _is_in_its_dict(place, slot[1]):
            place.__dict__[slot[1]] = value  # a property may have the same name, as in numpy.poly1d
        else:
            object.__setattr__(place, slot[1], value)
    elif isinstance(place, torch.nn.Module):
        place.__dict__[str(slot)] = value
    elif isinstance(place, dict):
        place[slot] = value
    else:
        place.clear()
        place.update(value) if isinstance(place, set) else place.extend(value)


def drop(place: Any, slot: Any) -> None:
    """Nothing, where there is no such slot."""
    if isinstance(place, Part):
        place.values.pop(slot, None)
    elif isinstance(place, types.CellType):
        del place.cell_contents
    elif isinstance(slot, tuple) and len(slot) == 2 and slot[0] == "":
        if _is_in_its_dict(place, slot[1]):
            place.__dict__.pop(slot[1], None)
        elif slot[1] in attributes_of(place):
            object.__delattr__(place, slot[1])
    elif isinstance(place, torch.nn.Module):
        place.__dict__.pop(str(slot), None)
    elif isinstance(place, dict):
        place.pop(slot, None)


def led_to(place: Any) -> Iterator[tuple[str, Any]]:
    """What belongs to a place without being in a slot: what a function reaches, the modules in a module."""
    if isinstance(place, types.FunctionType):
        if is_of_others(place):
            for name, cell in zip(place.__code__.co_freevars, place.__closure__ or (), strict=True):
                yield f".{name}", cell
            yield ".defaults", place.__defaults__
            yield ".kwdefaults", place.__kwdefaults__
            yield from _globals_of(place)
    elif isinstance(place, torch.nn.Module):
        for name, module in place._modules.items():
            yield f".{name}", module


def wrapped_in(value: Any) -> Iterable[tuple[str, Any]]:
    """What a value holds for good."""
    if isinstance(value, types.MethodType):
        return ((".self", value.__self__), (".function", value.__func__))
    if isinstance(value, functools.partial):
        return ((".function", value.func), (".arguments", value.args), (".keywords", value.keywords))
    return ((f"[{index}]", part) for index, part in enumerate(value))


def is_of_others(function: types.FunctionType) -> bool:
    module = function.__module__ or ""
    harmless = module.partition(".")[0] in HARMLESS - {"comfy"} or module.startswith(OWN + ".")
    return not harmless and not is_declared_harmless(function)


def _globals_of(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Those that its module sets while it works, the functions that it calls, those of modules it calls."""
    if (function.__module__ or "").partition(".")[0] in HARMLESS:
        return
    names = _names(function.__code__)
    values = function.__globals__
    module = values.get("__name__", "")
    yield f"<{module}>", _of_module(module)
    for name in sorted(names & values.keys()):
        value = values[name]
        if isinstance(value, types.FunctionType):
            yield f"<{value.__module__}.{value.__qualname__}>", value
        elif isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] not in HARMLESS:
            yield f"<{value.__name__}>", _of_module(value.__name__)
        elif kind_of(value) in (PartKind.PLACE, PartKind.TENSOR) and _holds_tensors(value):
            yield f"<{module}.{name}>", value


def _holds_tensors(value: Any) -> bool:
    """A variable of a whole module is shared by everybody: only what holds tensors is taken to be memory."""
    if isinstance(value, dict):
        return any(isinstance(one, torch.Tensor) for one in list(value.values()))
    return isinstance(value, (torch.Tensor, *ORDERED)) and any(isinstance(one, torch.Tensor) for one in value)


@functools.lru_cache(maxsize=1024)
def _of_module(name: str) -> Part | None:
    """The variables that its functions set with a `global` statement."""
    module = sys.modules.get(name)
    if module is None:
        return None
    functions = [one for one in vars(module).values() if isinstance(one, types.FunctionType)]
    names = (stored_globals(one.__code__) for one in functions if one.__module__ == name)
    return Part(vars(module), frozenset().union(*names))


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> frozenset[str]:
    inner = (_names(one) for one in code.co_consts if isinstance(one, types.CodeType))
    return frozenset(code.co_names).union(*inner)


@functools.lru_cache(maxsize=4096)
def stored_globals(code: types.CodeType) -> frozenset[str]:
    """The variables that it, or a function within it, sets with a `global` statement."""
    inner = (stored_globals(one) for one in code.co_consts if isinstance(one, types.CodeType))
    own = {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_GLOBAL"}
    return frozenset(own).union(*inner)


@functools.lru_cache(maxsize=1)
def managed_names() -> frozenset[str]:
    """Attributes of modules that are torch's, or that ComfyUI sets to manage weights: no patch's memory."""
    names = set(OF_EVERY_MODULE)
    for module in (sys.modules.get(name) for name in MANAGERS):
        for code in _codes(vars(module).values() if module is not None else ()):
            names |= {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_ATTR"}
            names |= {one for one in code.co_consts if isinstance(one, str) and one.startswith(MANAGED)}
    return frozenset(names)


def _codes(values: Iterable[Any]) -> Iterator[types.CodeType]:
    for value in values:
        value = getattr(value, "__func__", value)
        if isinstance(value, types.FunctionType):
            yield from _nested(value.__code__)
        elif isinstance(value, type):
            yield from _codes(one for one in vars(value).values() if not isinstance(one, type))


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _nested(one)
