"""What one sampling call does about what the model's patches remember. ComfyUI's worker thread.

Where no patch could remember anything, it does nothing: the model is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ...state.exactness import INEXACT, Exactness
from ...state.job.job import Job
from ...state.job.warnings import MEMORY_LOST, NOT_AS_RECORDED, OTHERWISE_HERE, REMEMBERS
from ...state.recording.items import Damaged
from ...state.recording.recording import Recording
from ...state.recording.remembered import start_of, would_be
from ...state.surroundings import Checked
from .encoding import Unkeepable
from .keeper import Keeper
from .picture import TooMuch
from .roots import roots_of


@dataclass(frozen=True)
class Otherwise:
    """By how much an answer differs from the recorded one, at most; largest: of the recorded one's values.

    Infinite where nobody knows any more what was asked.
    """

    difference: float
    largest: float = 0.0


Again = Callable[[int], Otherwise]  # asks the model what is on record once more


@dataclass(frozen=True)
class Wishes:
    """What the user wishes. limit: bytes on record of one sampling call

    quick: rather inexact than to ask the model again; verify: ask it once more, and compare
    """

    limit: int = 2 * 1000**3
    quick: bool = False
    verify: bool = False


def wishes_of(settings: dict[str, Any]) -> Wishes:
    """The user's."""
    size = settings.get("Midrun.MemorySize")
    limit = Wishes.limit
    if isinstance(size, (int, float)) and not isinstance(size, bool) and size >= 0:
        limit = int(size * 1000**3)
    quick, verify = (settings.get(f"Midrun.{name}") is True for name in ("QuickResume", "VerifyResumes"))
    return Wishes(limit, quick, verify)


class Session:
    """Of one sampling call, through all its attempts."""

    def __init__(self, job: Job, recording: Recording, wishes: Wishes, device: torch.device) -> None:
        self._job, self._recording, self._wishes, self._device = job, recording, wishes, device
        self._keeper: Keeper | None = None
        self._is_ready = False
        self._to_check = False

    def begin(self, options: dict[str, Any], guider: Any, own_key: str, own_post_cfg: list[Any]) -> None:
        """An attempt comes to its first evaluation."""
        roots = roots_of(options, guider, own_key, own_post_cfg)
        self._is_ready, self._keeper = False, None
        imported = self._job.view().imported
        self._to_check = imported is not None and imported.wants_check
        if roots is None:
            return
        try:
            self._keeper = Keeper(self._recording, roots, self._device, self._wishes.limit)
        except TooMuch as much:
            self._lose(roots.names, str(much))
            return
        self._tell()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do for any evaluation of this attempt."""
        return self._keeper is None and not self._to_check

    @property
    def _verifies(self) -> bool:
        """Whether the newest evaluation of all, if it is of this call, is to be asked once more."""
        return self._wishes.verify or (self._to_check and not self._job.call.replays())

    def replayed(self) -> None:
        """All that is on record was replayed: what the patches remember is as it was then.

        For whoever comes after this call, too, where nothing of it is live.
        """
        if self._keeper is not None and not self._verifies:
            end = len(self._recording)
            if start_of(self._recording)[0] == end:
                self._is_ready = self._give_back(end)

    def before_live(self, again: Again) -> None:
        """An evaluation that is not on record is about to be asked."""
        if self.idle or self._is_ready:
            return
        end = len(self._recording)
        start, names = (end, "") if self._keeper is None else start_of(self._recording)
        if self._wishes.quick and start < end:
            self._give_back((self._recording.memories() or [0])[-1])
            self._is_ready = True
            self._checked(end, None)
            return
        if self._verifies and start == end > 0 and self._may_compare() and self._give_back(end - 1):
            self._checked(end, again(end - 1))
        if not self._give_back(start) and start:
            start = 0
            self._give_back(start)
        if start < end:
            self._job.note("recomputes", {"evaluations": end - start, "because": names})
            others = [self._again(again, index, index == start) for index in range(start, end)]
            self._checked(end, max(others, key=lambda one: one.difference), recomputed=True)
        self._checked(end, None)
        self._is_ready = True

    def answered(self, evaluations: int) -> None:
        """So many are answered; the newest is about to be recorded."""
        if self._keeper is None:
            return
        try:
            self._keeper.keep(evaluations)
        except TooMuch as much:
            keeper, self._keeper = self._keeper, None
            self._lose(keeper.names, str(much))

    def recorded(self) -> None:
        """It is on record."""
        if self._keeper is not None:
            self._tell()

    def left(self) -> None:
        """The sampler was left before its end: nothing half-made stays behind."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None and (lost := keeper.put_back()):
            self._lose(keeper.names, f"{', '.join(lost)} was written into")

    # -- inside ----------------------------------------------------------------------------------------

    def _give_back(self, evaluations: int) -> bool:
        """Whether it is what it was after so many."""
        if self._keeper is None or 0 not in self._recording.memories():
            return True
        try:
            self._keeper.give_back(evaluations)
        except (Unkeepable, Damaged) as lost:
            if not self._job.worker.taken():  # an edit may have taken the patch away
                self._lose(self._keeper.names, str(lost))
            return False
        return True

    def _again(self, again: Again, index: int, is_first: bool) -> Otherwise:
        otherwise = again(index)
        if is_first and self._keeper is not None and (stale := self._keeper.stale()):
            self._lose(self._keeper.names, f"{', '.join(stale)} cannot be made anew in this run of ComfyUI")
        return otherwise

    def _may_compare(self) -> bool:
        """Where the model was edited, it is to answer otherwise than is on record."""
        return self._wishes.verify or not self._job.worker.taken()

    def _checked(self, end: int, otherwise: Otherwise | None, recomputed: bool = False) -> None:
        """Tell by how much the model answers otherwise than is on record; None: it was not asked.

        recomputed: because of what patches remember, so that it is told only if somebody wants to know
        """
        edited = self._job.worker.taken()
        if otherwise is not None and otherwise.difference > 0.0 and not edited:
            self._warn(end, otherwise)
        if self._to_check or (otherwise is not None and not recomputed):
            known = otherwise is not None and math.isfinite(otherwise.difference)
            if otherwise is not None and known and (self._wishes.verify or not edited):
                checked = Checked(end, otherwise.difference, otherwise.largest)
            else:
                checked = Checked(end)
            self._job.call.tell_checked(checked)
        self._to_check = False

    def _warn(self, end: int, otherwise: Otherwise) -> None:
        difference = f"{otherwise.difference:.3g}"
        if self._to_check:
            self._job.warn(OTHERWISE_HERE, end, difference, f"{otherwise.largest:.3g}")
        else:
            self._job.warn(NOT_AS_RECORDED, difference)

    def _lose(self, names: tuple[str, ...], because: str) -> None:
        self._job.warn(MEMORY_LOST, ", ".join(names), because)
        self._job.call.tell_exactness(Exactness(INEXACT, because=", ".join(names)))

    def _tell(self) -> None:
        """What a resume from here will be like."""
        keeper = self._keeper
        if keeper is None or not keeper.remembers:
            return
        names = ", ".join(keeper.names)
        if not keeper.opaque:
            self._job.call.tell_exactness(Exactness(because=names))
            return
        again, seconds = len(self._recording), self._job.call.evaluation_s
        self._job.call.tell_exactness(would_be(again, names, self._wishes.quick, seconds))
        self._job.warn(REMEMBERS, names, keeper.opaque[0])
