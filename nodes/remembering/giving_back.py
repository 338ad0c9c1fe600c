"""Making what is remembered what it was: after so many evaluations, or when the attempt began.

ComfyUI's worker thread.
"""

from __future__ import annotations

import json
import re
from typing import Any

import torch

from ...state.recording.items import Damaged, Remembered
from ...state.recording.recording import Recording
from .decoding import Decoder
from .encoding import Unkeepable
from .kinds import PartKind, kind_of
from .parts import OnHost
from .picture import Snapshot, fill, marks_of, set_generator
from .places import drop, put, slots_of
from .roots import NETWORK

NOTHING = object()  # where there is no such slot
LOST = ["lost"]  # a value that cannot be told


class _Items:
    """What was remembered, by the number of evaluations."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._read: dict[int, Remembered] = {}

    def at(self, number: int) -> Remembered:
        """Raises Damaged."""
        if number not in self._read:
            try:
                self._read[number] = self._recording.remembered(number)
            except KeyError as error:
                raise Damaged(f"what was remembered after {number} evaluations is gone") from error
        return self._read[number]

    def tensor(self, name: str) -> torch.Tensor:
        """Raises Damaged."""
        found = self.at(int(name.partition(".")[0])).tensors.get(name)
        if found is None:
            raise Damaged(f"the tensor {name} is gone")
        return found


def give_back(
    recording: Recording,
    present: Snapshot,
    conds: dict[Any, str],
    device: torch.device,
    evaluations: int,
    only: str = "",
) -> None:
    """As it was after so many. Raises Unkeepable or Damaged; then nothing is changed.

    present: what there is now; conds: name of each by its uuid; device: of the model
    only: the network to which it is given back, else to all that were asked
    """
    items = _Items(recording)
    decoder = Decoder(present, items.tensor, conds, device)
    todo = []
    for (address, name), told in _wanted(items, evaluations).items():
        network = _network_of(address)
        if told == LOST or (network and network not in present.at) or (only and network != only):
            continue
        try:
            place, slot = decoder.make_at(address), decoder.slot(json.loads(name))
            todo.append((place, slot, NOTHING if told is None else decoder.value(told)))
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # of a class that is odd
            raise Unkeepable(f"what was at {address} ({type(error).__name__}: {error})") from error
    for place, slot, value in todo:
        drop(place, slot) if value is NOTHING else put(place, slot, value)


def _wanted(items: _Items, evaluations: int) -> dict[tuple[str, str], Any]:
    """(address, slot) -> value, as they are told.

    What changed comes first, in the order in which it was written down: it names things by what came before.
    """
    before = items.at(0).told["before"]
    as_it_began = evaluations < (items.at(0).told["first"] or 1)
    wanted: dict[tuple[str, str], Any] = {}
    for told in ({} if as_it_began else items.at(evaluations).told["changes"], before):
        for address, slots in told.items():
            for name, value in slots.items():
                wanted.setdefault((address, name), value)
    return wanted


def _network_of(address: str) -> str:
    """Its address, where it is of a node with a loop of its own; else nothing."""
    found = re.match(rf"{NETWORK}\d+", address)
    return "" if found is None else found.group()


def put_back(began: Snapshot, copies: dict[int, Any]) -> list[str]:
    """As it was when the attempt began. The addresses of what could not be put back.

    copies: by identity, of what could be written into
    """
    for place in began.places.values():
        now = slots_of(place.what)
        for slot in [*place.slots, *(one for one in now if one not in place.slots)]:
            then = place.slots.get(slot, NOTHING)
            if then is now.get(slot, NOTHING) or _both_equal(then, now.get(slot, NOTHING)):
                continue
            if isinstance(then, OnHost):
                put(place.what, slot, then.content.to(then.device, copy=True))
            else:
                drop(place.what, slot) if then is NOTHING else put(place.what, slot, then)
    return _write_back(began, copies)


def _write_back(began: Snapshot, copies: dict[int, Any]) -> list[str]:
    marks, lost = marks_of(began.tensors), []
    for key, value in began.tensors.items():
        if marks.get(key) == began.marks.get(key):
            continue
        if kind_of(value) is PartKind.RANDOM:
            set_generator(value, began.marks[key])
        elif key in copies:
            fill(value, copies[key])
        else:
            lost.append(began.addresses[key])
    return lost


def _both_equal(then: Any, now: Any) -> bool:
    """Of the one slot of a list, which is a tuple that is made anew at each look."""
    if not (isinstance(then, tuple) and isinstance(now, tuple)) or len(then) != len(now):
        return False
    return all(one is other for one, other in zip(then, now, strict=True))
