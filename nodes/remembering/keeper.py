"""What the patches of one attempt at a sampling call remember: found, kept after each evaluation, given back.

The state after an evaluation is all that differs from what the call began with, which is the state after 0.
ComfyUI's worker thread.
"""

from __future__ import annotations

import copy
import json
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy
import torch

from ...state.recording.items import Damaged, Remembered
from ...state.recording.recording import Recording
from .encoding import Encoder, Unkeepable
from .giving_back import LOST, NOTHING, give_back, put_back
from .kinds import PartKind, kind_of
from .left_over import left_over
from .parts import Kept, OnHost, Writing, is_worn, worn
from .picture import Looking, Snapshot, is_same, leads_on
from .roots import Roots

Changes = dict[str, dict[str, Any]]  # address -> slot -> value
Write = Callable[[], object]
Later = Callable[[Write], object]


def at_once(write: Write) -> None:
    write()


class Keeper:
    """Of one attempt. Raises TooMuch where there is more than can be looked at.

    limit: bytes that may be on record. opaque: why, where it is not all to be seen or to be kept
    later: has what was kept put on record, in order; nothing is read before that is done
    """

    def __init__(
        self,
        recording: Recording,
        roots: Roots,
        device: torch.device,
        limit: int,
        later: Later = at_once,
    ) -> None:
        self.recording, self.limit, self._later = recording, limit, later
        self.names = roots.names
        self._conds, self._device = roots.conds, device
        self._looking = Looking(roots.places)
        self._began = self._looking.first
        self._room = limit  # for copies of what there was
        self._copies = self._copied(self._began)
        self._now = self._began
        self._noticed = False
        self._unsteady = _unsteady(self._began)
        self._kept: dict[int, Kept] = {}
        self._before: Changes = {}  # of all slots that ever changed, how the call began
        self.opaque: list[str] = []
        self._own: dict[str, torch.Tensor] = {}  # tensors of the beginning that are on record
        self._known: set[int] = set()  # the places of these
        self._first: int | None = None  # the evaluation after which something was not as it began
        self._at = 0
        self._size = 0
        self._only_newest = False
        self._take_up()
        if self._began.opaque and not self.opaque:
            self.opaque = [f"{type(one).__name__} at {at}" for at, one in self._began.opaque.items()]
            self._remember_beginning()

    @property
    def remembers(self) -> bool:
        """Whether the patches are known to remember something."""
        return bool(self._before or self.opaque)

    def stale(self) -> list[str]:
        """What cannot be seen into and other attempts' evaluations went through: it is not as it began."""
        now = self._looking.look(content=False).opaque
        return [f"{type(one).__name__} at {at}" for at, one in now.items() if is_worn(one)]

    def join(self, roots: Roots) -> None:
        """More of them, of which nothing was asked yet. Raises TooMuch."""
        began = self._looking.add(roots.places)
        self.names = tuple(dict.fromkeys([*self.names, *roots.names]))
        self._copies |= self._copied(began)
        self._unsteady |= _unsteady(began)
        self._know(self._before)
        if began.opaque and not self.opaque:
            self.opaque = [f"{type(one).__name__} at {at}" for at, one in began.opaque.items()]
            self._remember_beginning()

    # -- keeping ---------------------------------------------------------------------------------------

    def glance(self) -> None:
        """The device may be at work still; `notices` follows, and nothing changes until then."""
        self._looking.glance()

    def notices(self) -> bool:
        """Look once. Whether there is anything to keep or to tell."""
        self._now = self._looking.look()
        worn(self._now.opaque)
        self._noticed = True
        return self.remembers or bool(self._now.changed) or self._now.marks != self._began.marks

    def keep(self, evaluations: int) -> None:
        """Put on record what the patches remember now, if anything changed since the call began."""
        is_new = self._noticed or self.notices()
        now, self._noticed = self._now, False
        if not is_new:
            return
        writing = Writing(evaluations)
        self._at = evaluations
        changes = self._changes(now, writing)
        if not self._before:
            return
        size = sum(tensor.nbytes for tensor in writing.tensors.values())
        if self._size + size > self.limit:
            self._only_newest = True
        if self._only_newest:
            self._kept.clear()  # the newest is to be whole
            writing = Writing(evaluations)
            changes = self._changes(now, writing)
        self._size += size
        told = {"changes": changes, "size": self._size}
        self._later(partial(self.recording.remember, Remembered(evaluations, told, writing.tensors)))
        if self._only_newest:
            self._later(partial(self._forget_before, evaluations - 1))

    def _forget_before(self, evaluations: int) -> None:
        for number in self.recording.memories():
            if 0 < number < evaluations:
                self.recording.forget(number)

    def _changes(self, now: Snapshot, writing: Writing) -> Changes:
        encoder = Encoder(self._began, lambda key, tensor: self._name(key, tensor, now, writing), self._conds)
        changes: Changes = {}
        grown = False
        for key in {*now.changed, *self._unsteady, *self._known}:
            began, place = self._began.places[key], now.places[key]
            changed = self._before.get(began.address)
            if changed is None and (left := left_over(began, place, self._began, now)) is not None:
                changed = self._before[began.address] = self._beside(left)
                self._known.add(key)
                grown = True
            for slot in [*began.slots, *(one for one in place.slots if one not in began.slots)]:
                then, new = began.slots.get(slot, NOTHING), place.slots.get(slot, NOTHING)
                same = then is not NOTHING and is_same(then, self._began, new, now)
                if same and changed is None:
                    continue
                name = json.dumps(encoder.slot(slot))
                known = changed is not None and name in changed
                if same and not known:
                    continue
                if changed is not None and not known:
                    changed[name] = self._told(then, self._beginning)
                    grown = True
                    self._release(began, slot, then)
                told = self._told(new, encoder)
                changes.setdefault(began.address, {})[name] = told
                if told == LOST and not self.opaque:
                    self.opaque.append(f"{type(new).__name__} at {began.address}")
                    grown = True
        if grown:
            self._remember_beginning(self._later)
        return changes

    def _beside(self, slots: dict[Any, Any]) -> dict[str, Any]:
        """What was left over, as it is told."""
        encoder = self._beginning
        told = {json.dumps(encoder.slot(slot)): self._told(one, encoder) for slot, one in slots.items()}
        return {name: one for name, one in told.items() if one != LOST}

    def _know(self, addresses: Iterable[str]) -> None:
        """What is there changed in an earlier attempt."""
        found = (id(self._began.at[address]) for address in addresses if address in self._began.at)
        self._known.update(key for key in found if key in self._began.places)

    def _name(self, key: int, tensor: torch.Tensor, now: Snapshot, writing: Writing) -> str:
        """Of a tensor on the host: that under which it is on record, or a new one."""
        source, mark = now.tensors.get(key, tensor), now.marks.get(key, NOTHING)
        kept = self._kept.get(key)
        if kept is not None and kept.of() is source and kept.mark == mark:
            return kept.name
        name = writing.add(tensor.detach().to("cpu", copy=True))
        self._kept[key] = Kept(weakref.ref(source), mark, name)
        return name

    @property
    def _beginning(self) -> Encoder:
        """Of what a slot held when the call began."""

        def keep(key: int, tensor: torch.Tensor) -> str:
            content = self._copies.get(key, tensor)
            if isinstance(content, numpy.ndarray):
                content = torch.from_numpy(content.reshape(-1).view(numpy.uint8))
            name = f"0.{len(self._own)}"
            self._own[name] = content.detach().to("cpu", copy=True)
            return name

        return Encoder(self._began, keep, self._conds)

    def _told(self, value: Any, encoder: Encoder) -> list[Any] | None:
        """A slot's value; None where there is no such slot, LOST where it cannot be told."""
        try:
            return None if value is NOTHING else encoder.value(value)
        except Unkeepable:
            return LOST

    def _release(self, began: Any, slot: Any, then: Any) -> None:
        """A tensor that was replaced may leave the device."""
        if isinstance(then, torch.Tensor) and id(then) in self._copies:
            began.slots[slot] = OnHost(self._copies[id(then)], then.device)
            self._looking.forget(then)

    def _remember_beginning(self, later: Later = at_once) -> None:
        if self._first is None and self._before:
            self._first = self._at
        told = {
            "names": list(self.names),
            "opaque": self.opaque,
            "first": self._first,
            "before": self._before,
        }
        later(partial(self.recording.remember, Remembered(0, copy.deepcopy(told), dict(self._own))))

    def _copied(self, began: Snapshot) -> dict[int, Any]:
        """Of what could be written into, as far as there is room."""
        copies: dict[int, Any] = {}
        for key, value in began.tensors.items():
            if isinstance(value, (torch.Tensor, numpy.ndarray)) and value.nbytes <= self._room:
                self._room -= value.nbytes
                array = isinstance(value, numpy.ndarray)
                copies[key] = value.copy() if array else value.detach().to("cpu", copy=True)
        return copies

    # -- giving back -----------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """What an earlier attempt has on record."""
        known = self.recording.memories()
        if 0 not in known:
            return
        if not len(self.recording) and not self.recording.rewound:
            self.recording.forget(0)  # of an attempt from which nothing came
            return
        try:
            beginning = self.recording.remembered(0)
        except (Damaged, KeyError):
            return
        told = copy.deepcopy(beginning.told)
        self._before, self.opaque, self._own = told["before"], told["opaque"], dict(beginning.tensors)
        self._first = told["first"]
        self._know(self._before)
        try:
            self._size = self.recording.remembered(known[-1]).told.get("size", 0)
        except (Damaged, KeyError):
            self._only_newest = True  # nobody knows how much there is

    def give_back(self, evaluations: int, only: str = "") -> None:
        """Make it what it was after so many. Raises Unkeepable or Damaged; then nothing is changed.

        only: the network that it is given back to
        """
        give_back(self.recording, self._began, self._conds, self._device, evaluations, only)

    def put_back(self) -> list[str]:
        """Make it what it was when the attempt began. The addresses of what could not be put back."""
        return put_back(self._began, self._copies)


def _unsteady(picture: Snapshot) -> set[int]:
    """The places that hold something into which may be written."""
    places = picture.places.items()
    return {key for key, place in places if any(map(_may_be_written_into, place.slots.values()))}


def _may_be_written_into(value: Any) -> bool:
    kind = kind_of(value)
    if kind is PartKind.WRAPPING:
        return leads_on(value)
    return kind in (PartKind.TENSOR, PartKind.ARRAY, PartKind.RANDOM)
