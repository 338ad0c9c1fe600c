"""A picture of all that patches could remember in, and what is different in a later one.

It holds no copies: it tells a value that was replaced by its identity, and a tensor that was written into by
its version, or by a checksum where it has none (as in inference mode). ComfyUI's worker thread.
"""

from __future__ import annotations

import operator
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy
import torch

from .kinds import PartKind, kind_of
from .places import led_to, slots_of, wrapped_in
from .still import Still, can_tell

MOST_PLACES = 50_000
MOST_CHANGES = 2  # after which it is no use to ask first whether there are any
UNSTEADY = (PartKind.TENSOR, PartKind.ARRAY, PartKind.RANDOM, PartKind.WRAPPING)  # what is in it may change
COLUMNS = 4096
_factors = torch.randint(1, 2**31, (COLUMNS,), generator=torch.Generator().manual_seed(1), dtype=torch.int64)


class TooMuch(Exception):
    """More is reachable than can be looked at."""


@dataclass
class Place:
    """Something that holds values, at its address. slots: what it held

    steady: whoever finds the same object again knows that it holds the very same, unchanged
    """

    address: str
    what: Any
    slots: dict[Any, Any]
    steady: bool = False


@dataclass
class Snapshot:
    """places: by identity; at: by address; opaque: address -> what cannot be seen into"""

    places: dict[int, Place] = field(default_factory=dict)
    at: dict[str, Any] = field(default_factory=dict)
    addresses: dict[int, str] = field(default_factory=dict)  # of everything that was met and is not plain
    tensors: dict[int, Any] = field(default_factory=dict)  # arrays and generators, too
    marks: dict[int, Any] = field(default_factory=dict)  # of what is in them
    opaque: dict[str, Any] = field(default_factory=dict)

    def take_in(self, other: Snapshot) -> Snapshot:
        """What another shows that this one does not is in it from here on, and is answered."""
        new = Snapshot()
        for name in ("places", "addresses", "tensors", "marks", "opaque", "at"):
            mine, more = getattr(self, name), getattr(other, name)
            setattr(new, name, {key: value for key, value in more.items() if key not in mine})
            mine |= getattr(new, name)
        return new

    def forget(self, value: Any) -> None:
        """That it was met: it may leave the memory."""
        address = self.addresses.pop(id(value), None)
        if address is not None:
            del self.at[address]
        self.tensors.pop(id(value), None)


def is_same(then: Any, before: Snapshot, now: Any, after: Snapshot) -> bool:
    """Whether what a slot held in one picture is what it holds in the next, and was not written into."""
    kind = kind_of(now)
    if then is now and kind is not PartKind.WRAPPING:
        return before.marks.get(id(now)) == after.marks.get(id(now))
    if type(then) is not type(now):
        return False
    if kind is PartKind.PLAIN:
        return bool(then == now) or (then != then and now != now)
    if kind is PartKind.WRAPPING and not isinstance(now, frozenset):
        parts = [one for _, one in wrapped_in(now)]
        earlier = [one for _, one in wrapped_in(then)]
        return len(parts) == len(earlier) and all(
            is_same(one, before, other, after) for one, other in zip(earlier, parts, strict=True)
        )
    return then is now


class Looking:
    """Takes pictures of the same roots, again and again."""

    def __init__(self, roots: dict[str, Any]) -> None:
        self._roots = dict(roots)
        self._modules: dict[int, tuple[list[Any], Place, list[tuple[str, Any]]]] = {}
        self._newest: Snapshot | None = None
        self._still: Still | None = None  # whether that is how it is now
        self._changes = 0

    def add(self, roots: dict[str, Any]) -> Snapshot:
        """More roots. A picture of what they lead to."""
        self._roots |= roots
        self._newest = self._still = None
        return self._look(roots)

    def look(self, content: bool = True) -> Snapshot:
        """Raises TooMuch. content: with marks of the tensors' contents

        Where no place has changed, it is that of the time before with its very places.
        """
        newest = self._newest
        if newest is not None and self._still is not None and self._still.holds():
            picture = replace(newest, marks={})
        else:
            self._changes += self._still is not None
            picture = self._newest = self._look(self._roots)
            places = picture.places.values()
            worth_it = self._changes < MOST_CHANGES and all(can_tell(place.what) for place in places)
            self._still = Still((place.what, place.slots) for place in places) if worth_it else None
        if content:
            picture.marks = marks_of(picture.tensors)
        return picture

    def _look(self, roots: dict[str, Any]) -> Snapshot:
        picture = Snapshot()
        todo: list[tuple[str, Any]] = list(reversed(roots.items()))
        while todo:
            address, value = todo.pop()
            if id(value) in picture.addresses:
                continue
            kind = kind_of(value)
            if kind is PartKind.PLAIN:
                continue
            picture.addresses[id(value)] = address
            picture.at[address] = value
            if kind is PartKind.WRAPPING:
                todo += [(address + name, one) for name, one in wrapped_in(value)]
            elif kind is PartKind.PLACE:
                self._place(picture, address, value, todo)
            elif kind in (PartKind.TENSOR, PartKind.RANDOM) or (
                kind is PartKind.ARRAY and not value.dtype.hasobject
            ):
                picture.tensors[id(value)] = value
            elif kind in (PartKind.OPAQUE, PartKind.ARRAY):
                picture.opaque[address] = value
            if len(picture.at) > MOST_PLACES:
                raise TooMuch(f"more than {MOST_PLACES} objects are reachable from {address}")
        return picture

    def _place(self, picture: Snapshot, address: str, value: Any, todo: list[tuple[str, Any]]) -> None:
        if isinstance(value, torch.nn.Module):
            place, inner = self._of_module(address, value)
            todo += inner
        else:
            place = Place(address, value, slots_of(value))
            todo += [(f"{address}{_name(slot)}", one) for slot, one in place.slots.items() if _leads_on(one)]
            todo += [(address + name, one) for name, one in led_to(value)]
        picture.places[id(value)] = place

    def _of_module(self, address: str, module: torch.nn.Module) -> tuple[Place, list[tuple[str, Any]]]:
        """Of a module that holds the very same as when it was looked at last, what was found then."""
        now = list(vars(module).values())
        known = self._modules.get(id(module))
        if known is not None and known[1].address == address and _are_the_same(known[0], now):
            return known[1], known[2]
        slots = slots_of(module)
        inner = [(f"{address}.{name}", one) for name, one in slots.items() if _leads_on(one)]
        inner += [(address + name, one) for name, one in led_to(module)]
        steady = not any(kind_of(one) in UNSTEADY for one in slots.values())
        self._modules[id(module)] = now, Place(address, module, slots, steady), inner
        return self._modules[id(module)][1:]


def _are_the_same(then: list[Any], now: list[Any]) -> bool:
    return len(then) == len(now) and all(map(operator.is_, then, now))


def _leads_on(value: Any) -> bool:
    kind = kind_of(value)
    if kind is PartKind.WRAPPING and isinstance(value, (tuple, frozenset)):
        return any(_leads_on(one) for one in value)
    return kind is not PartKind.PLAIN


def _name(slot: Any) -> str:
    return f".{slot[1]}" if isinstance(slot, tuple) and len(slot) == 2 and slot[0] == "" else f"[{slot!r}]"


def marks_of(tensors: dict[int, Any]) -> dict[int, Any]:
    """What tells, for each, whether it was written into. All at once, as a GPU is waited for."""
    marks: dict[int, Any] = {}
    sums: dict[torch.device, list[tuple[int, torch.Tensor]]] = {}
    for key, tensor in tensors.items():
        if isinstance(tensor, numpy.ndarray):
            marks[key] = zlib.crc32(numpy.ascontiguousarray(tensor).tobytes()) if tensor.size else 0
        elif not isinstance(tensor, torch.Tensor):
            marks[key] = state_of_generator(tensor)
        elif not tensor.is_inference():
            marks[key] = tensor._version
        elif (total := checksum(tensor)) is not None:
            sums.setdefault(tensor.device, []).append((key, total))
    for found in sums.values():
        told = torch.stack([total for _, total in found]).tolist()
        marks |= {key: tuple(total) for (key, _), total in zip(found, told, strict=True)}
    return marks


def checksum(tensor: torch.Tensor) -> torch.Tensor | None:
    """[3], int64, on its device: it differs where the bytes do, save by a rare chance. None for an odd kind.

    Sums by row and by column, each with a factor of its own, so that moving values about is seen as well.
    """
    if tensor.numel() == 0 or tensor.layout is not torch.strided:
        return None
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    words = flat[: flat.numel() // 4 * 4].view(torch.int32)
    rest = flat[flat.numel() // 4 * 4 :].to(torch.int64)
    whole = words[: words.numel() // COLUMNS * COLUMNS].reshape(-1, COLUMNS)
    last = words[words.numel() // COLUMNS * COLUMNS :].to(torch.int64)
    factors = _factors.to(tensor.device)
    rows = whole.sum(dim=1, dtype=torch.int64)
    numbers = torch.arange(1, len(rows) + 1, device=tensor.device)
    columns = whole.sum(dim=0, dtype=torch.int64)
    tail = (last * factors[: len(last)]).sum() + (rest * factors[: len(rest)]).sum()
    return torch.stack([(columns * factors).sum(), (rows * (numbers * 2654435761 % 2**31)).sum(), tail])


def state_of_generator(generator: Any) -> Any:
    """Plain, or a tensor: what puts a generator of random numbers back to where it is."""
    if isinstance(generator, torch.Generator):
        return generator.get_state().tolist()
    if isinstance(generator, numpy.random.Generator):
        return generator.bit_generator.state
    version, words, following = generator.getstate()
    return [version, list(words), following]


def set_generator(generator: Any, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(torch.tensor(state, dtype=torch.uint8))
    elif isinstance(generator, numpy.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.setstate((state[0], tuple(state[1]), state[2]))


def fill(tensor: Any, content: Any) -> None:
    """Write that content into it, in place."""
    if isinstance(tensor, numpy.ndarray):
        tensor[...] = content
    else:
        tensor.copy_(content)
