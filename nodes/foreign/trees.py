"""What a network answers, as named tensors on the host and plain JSON, and back. Plain torch; any thread.

Nothing is unpickled: classes are looked up among those that are loaded, and have to be dataclasses or named
tuples.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch

from ...state.recording.tensor_file import raw
from ...state.recording.tree import Tree
from ..engine.copies import Copies

PLAIN = (type(None), bool, int, float, str)
DICTS: dict[str, type] = {"dict": dict, "OrderedDict": OrderedDict}


class Unrecordable(TypeError):
    """An answer of a kind that cannot be kept or made again; the message names it. given: the answer"""

    given: Any = None


def tree_of(value: Any) -> Tree:
    """Copies of all tensors. Raises Unrecordable."""
    return _Packing().tree(value)


def value_of(tree: Tree, device: torch.device) -> Any:
    """The answer again, what was on a device on this one. Raises Unrecordable."""
    made: dict[str, torch.Tensor] = {}

    def tensor(name: str, aside: bool) -> torch.Tensor:
        if name not in made:
            made[name] = tree.tensors[name].to(device if aside else "cpu", copy=True)
        return made[name]

    return _unpacked(tree.skeleton, tensor)


def digest_of(tree: Tree) -> str:
    """Equal for equal trees: of the tensors the types, shapes and bits."""
    digest = hashlib.blake2b(json.dumps(tree.skeleton).encode(), digest_size=16)
    for name, tensor in tree.tensors.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(raw(tensor.contiguous()).numpy().data)
    return digest.hexdigest()


def difference(one: Tree | None, other: Tree) -> float:
    """The greatest between numbers of the same place; infinite where they are not alike."""
    if one is None or one.skeleton != other.skeleton or one.tensors.keys() != other.tensors.keys():
        return math.inf
    most = 0.0
    for name, tensor in one.tensors.items():
        beside = other.tensors[name]
        if tensor.shape != beside.shape:
            return math.inf
        if tensor.numel() and not torch.equal(tensor, beside):
            most = max(most, float((tensor.to(torch.complex128) - beside.to(torch.complex128)).abs().max()))
    return most


def question_of(asked: tuple[Any, Any]) -> Tree:
    """The sample and the time step, of which an unknown kind counts by its name."""
    return _Packing(lambda value: {"kind": type(value).__qualname__}).tree(asked)


def time_in(question: Tree) -> Tree:
    """The time step of what `question_of` made."""
    _, told = question.skeleton["tuple"]
    if "value" in told:
        return Tree(told, {})
    if "tensor" in told:
        return Tree(told, {told["tensor"]: question.tensors[told["tensor"]]})
    names = re.findall(r'{"tensor": "(\d+)"', json.dumps(told))
    return Tree(told, {name: question.tensors[name] for name in names})


def sample_in(question: Tree) -> torch.Tensor | None:
    """The sample of what `question_of` made, where it is one tensor."""
    told, _ = question.skeleton["tuple"]
    return question.tensors.get(told.get("tensor"))


def number_in(time: Tree) -> torch.Tensor | None:
    """The time step as a tensor; None where it is of several, or of another kind."""
    value = time.skeleton.get("value")
    if isinstance(value, (int, float)):
        return torch.tensor([value], dtype=torch.float64)
    return time.tensors.get(time.skeleton.get("tensor"))


def moment_of(time: Tree) -> Hashable:
    """Equal for equal time steps."""
    told = [(one.dtype, one.shape, _content(one)) for one in time.tensors.values()]
    return (None if "tensor" in time.skeleton else json.dumps(time.skeleton), *told)


def _content(tensor: torch.Tensor) -> Hashable:
    if tensor.numel() == 1:  # the usual: to ask for its number is quicker
        return tensor.item()
    return raw(tensor.contiguous()).numpy().tobytes()


def first_device(*values: Any) -> torch.device | None:
    """Of the first tensor in them that is not on the CPU."""
    waiting = list(values)
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, torch.Tensor) and value.device.type != "cpu":
            return value.device
        if isinstance(value, (list, tuple)):
            waiting = [*value, *waiting]
        elif isinstance(value, dict):
            waiting = [*value.values(), *waiting]
    return None


def _refuse(value: Any) -> Any:
    raise Unrecordable(f"{type(value).__module__}.{type(value).__qualname__}")


class _Packing:
    def __init__(self, other: Callable[[Any], Any] = _refuse) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._names: dict[
            int, tuple[str, torch.Tensor]
        ] = {}  # the tensor is kept, so that its id stays its own
        self._other = other
        self._copies = Copies()

    def tree(self, value: Any) -> Tree:
        """Waits for the device once, however many tensors there are."""
        skeleton = self.pack(value)
        self._copies.wait()
        return Tree(skeleton, self.tensors)

    def pack(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, torch.Tensor):
            return {"tensor": self._name(value), "aside": value.device.type != "cpu"}
        if kind in PLAIN:
            return {"value": value}
        if kind in (list, tuple):
            return {kind.__name__: [self.pack(one) for one in value]}
        if kind in DICTS.values() and all(type(key) in PLAIN for key in value):
            return {kind.__name__: [[key, self.pack(one)] for key, one in value.items()]}
        if (fields := _fields(value)) is not None and _is_to_be_found(kind):
            named = [[name, self.pack(one)] for name, one in fields.items()]
            return {"class": [kind.__module__, kind.__qualname__], "fields": named}
        return self._other(value)

    def _name(self, tensor: torch.Tensor) -> str:
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise Unrecordable(f"a tensor with the layout {tensor.layout}")
        known = self._names.get(id(tensor))
        if known is None:
            known = self._names[id(tensor)] = str(len(self._names)), tensor
            self.tensors[known[0]] = self._copies.of(tensor)
        return known[0]


def _fields(value: Any) -> dict[str, Any] | None:
    """Of a dataclass or a named tuple that holds nothing else."""
    if isinstance(value, tuple):
        names = getattr(type(value), "_fields", None)
        return None if names is None else dict(zip(names, value, strict=True))
    if not dataclasses.is_dataclass(value):
        return None
    fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    whole = all(field.init for field in dataclasses.fields(value))
    return fields if whole and vars(value).keys() <= fields.keys() else None


def _is_to_be_found(kind: type) -> bool:
    return _found(kind.__module__, kind.__qualname__) is kind


def _found(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _unpacked(skeleton: dict[str, Any], tensor: Callable[[str, bool], torch.Tensor]) -> Any:
    def again(one: Any) -> Any:
        return _unpacked(one, tensor)

    if "tensor" in skeleton:
        return tensor(skeleton["tensor"], skeleton["aside"])
    if "value" in skeleton:
        return skeleton["value"]
    if "class" in skeleton:
        kind = _found(*skeleton["class"])
        if not isinstance(kind, type) or not (dataclasses.is_dataclass(kind) or issubclass(kind, tuple)):
            raise Unrecordable(".".join(skeleton["class"]))
        return kind(**{name: again(one) for name, one in skeleton["fields"]})
    ((kind, parts),) = skeleton.items()
    if kind in DICTS:
        return DICTS[kind]((key, again(one)) for key, one in parts)
    return [again(one) for one in parts] if kind == "list" else tuple(again(one) for one in parts)
