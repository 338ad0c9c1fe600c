"""What the keeper deals in: tensors on record, an item that is put together, things that are worn."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import torch

MOST_WORN = 256
_worn: OrderedDict[int, Any] = OrderedDict()  # by identity


@dataclass
class OnHost:
    """Stands for a tensor of the beginning that was replaced."""

    content: torch.Tensor
    device: torch.device


@dataclass
class Kept:
    """A tensor that is on record already, as long as it is not written into."""

    of: weakref.ref[Any]
    mark: Any
    name: str


@dataclass
class Writing:
    """What is put together for one item of the recording."""

    evaluations: int
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    count: int = 0

    def add(self, tensor: torch.Tensor) -> str:
        name = f"{self.evaluations}.{self.count}"
        self.count += 1
        self.tensors[name] = tensor
        return name


def worn(opaque: dict[str, Any]) -> None:
    """An evaluation went through these, into which nobody can see."""
    for one in opaque.values():
        _worn[id(one)] = one
    while len(_worn) > MOST_WORN:
        _worn.popitem(last=False)


def is_worn(one: Any) -> bool:
    return _worn.get(id(one)) is one
