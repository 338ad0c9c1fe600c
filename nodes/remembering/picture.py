"""A picture of all that patches could remember in, and what is different in a later one.

It holds no copies: it tells a value that was replaced by its identity, and a tensor that was written into by
its version, or by a checksum where it has none (as in inference mode). ComfyUI's worker thread.
"""

from __future__ import annotations

import zlib
from collections import ChainMap
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy
import torch

from .kinds import PartKind, kind_of
from .places import led_to, slots_of, wrapped_in
from .still import Still

MOST_PLACES = 50_000
COLUMNS = 4096
_factors = torch.randint(1, 2**31, (COLUMNS,), generator=torch.Generator().manual_seed(1), dtype=torch.int64)


class TooMuch(Exception):
    """More is reachable than can be looked at."""


@dataclass
class Place:
    """Something that holds values, at its address. slots: what it held"""

    address: str
    what: Any
    slots: dict[Any, Any]


@dataclass
class Snapshot:
    """places: by identity; at: by address; opaque: address -> what cannot be seen into

    changed: the identities of places that held something else in the first picture; of that, where
    something changed, a later one shows the places, and what is new at an address
    """

    places: MutableMapping[int, Place] = field(default_factory=dict)
    at: dict[str, Any] = field(default_factory=dict)
    addresses: MutableMapping[int, str] = field(default_factory=dict)  # of all that is not plain
    tensors: dict[int, Any] = field(default_factory=dict)  # arrays and generators, too
    marks: dict[int, Any] = field(default_factory=dict)  # of what is in them
    opaque: dict[str, Any] = field(default_factory=dict)
    changed: tuple[int, ...] = ()

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
    """Takes pictures of the same roots, again and again: of what is not as it was in the first one."""

    def __init__(self, roots: dict[str, Any]) -> None:
        """Raises TooMuch."""
        self.first = Snapshot()
        _walk(self.first, list(roots.items()))
        self.first.marks = marks_of(self.first.tensors)
        self._still = _still(self.first)
        self._seen: set[int] | None = None

    def add(self, roots: dict[str, Any]) -> Snapshot:
        """More roots: what they lead to is in the first picture, too, and answered. Raises TooMuch."""
        more = Snapshot()
        _walk(more, list(roots.items()))
        more.marks = marks_of(more.tensors)
        more = self.first.take_in(more)
        self._still = _still(self.first)
        return more

    def forget(self, value: Any) -> None:
        """Something of the first picture, which may leave the memory."""
        self.first.forget(value)
        self._still.forget(value)

    def glance(self) -> None:
        """Find what changed, for the look that follows. The device may be at work meanwhile."""
        self._seen = self._still.changed()

    def look(self, content: bool = True) -> Snapshot:
        """Raises TooMuch. What nothing leads to any more is still shown.

        content: with marks of the tensors' contents
        """
        first, todo = self.first, self._still.leads_to()
        seen, self._seen = self._still.changed() if self._seen is None else self._seen, None
        changed = {key: self._again(first.places[key], todo) for key in seen}
        todo = [(address, one) for address, one in todo if id(one) not in first.addresses]
        if changed or todo:
            picture = Snapshot(
                places=ChainMap(changed, first.places),
                addresses=ChainMap({}, first.addresses),
                tensors=dict(first.tensors),
                opaque=dict(first.opaque),
                changed=tuple(changed),
            )
            _walk(picture, todo, MOST_PLACES - len(first.at))
        else:
            picture = replace(first, marks={})
        if content:
            picture.marks = marks_of(picture.tensors)
        return picture

    def _again(self, place: Place, todo: list[tuple[str, Any]]) -> Place:
        found, inner = _place(place.address, place.what)
        todo += inner
        return found


def _still(picture: Snapshot) -> Still:
    return Still((key, place.address, place.what, place.slots) for key, place in picture.places.items())


def _walk(picture: Snapshot, todo: list[tuple[str, Any]], most: int = MOST_PLACES) -> None:
    """Take up all that these lead to. Raises TooMuch where that is more than `most` objects."""
    todo.reverse()
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
            picture.places[id(value)], inner = _place(address, value)
            todo += inner
        elif kind in (PartKind.TENSOR, PartKind.RANDOM) or (
            kind is PartKind.ARRAY and not value.dtype.hasobject
        ):
            picture.tensors[id(value)] = value
        elif kind in (PartKind.OPAQUE, PartKind.ARRAY):
            picture.opaque[address] = value
        if len(picture.at) > most:
            raise TooMuch(f"more than {MOST_PLACES} objects are reachable from {address}")


def _place(address: str, value: Any) -> tuple[Place, list[tuple[str, Any]]]:
    """It, and what it leads to."""
    slots = slots_of(value)
    inner = [(f"{address}{_name(slot, value)}", one) for slot, one in slots.items() if leads_on(one)]
    inner += [(address + name, one) for name, one in led_to(value)]
    return Place(address, value, slots), inner


def leads_on(value: Any) -> bool:
    """Whether it is, or holds for good, something that may be other than it was, though it is the same."""
    kind = kind_of(value)
    if kind is PartKind.WRAPPING and isinstance(value, (tuple, frozenset)):
        return any(leads_on(one) for one in value)
    return kind is not PartKind.PLAIN


def _name(slot: Any, of: Any) -> str:
    if isinstance(of, torch.nn.Module):
        return f".{slot}"
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
