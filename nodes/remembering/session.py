"""What one sampling call does about what the model's patches remember. ComfyUI's worker thread.

Where no patch could remember anything, it does nothing: the model is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ...state.exactness import INEXACT, Exactness
from ...state.job.job import Job
from ...state.job.warnings import MEMORY_LOST, REMEMBERS
from ...state.recording.items import Damaged
from ...state.recording.recording import Recording
from ...state.recording.remembered import start_of, would_be
from .checking import Checking, Otherwise
from .encoding import Unkeepable
from .keeper import Keeper, Later, at_once
from .picture import TooMuch
from .roots import Roots

Again = Callable[[int], Otherwise]  # asks the model what is on record once more


@dataclass(frozen=True)
class Wishes:
    """What the user wishes. limit: bytes on record of a job

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

    def __init__(
        self,
        job: Job,
        recording: Recording,
        wishes: Wishes,
        of_others: Callable[[], int],
        device: torch.device,
        later: Later = at_once,
    ) -> None:
        """of_others: bytes of what the job's other calls have on record; later: as the Keeper's"""
        self._job, self._recording, self._wishes, self._device = job, recording, wishes, device
        self._of_others, self._later = of_others, later
        self._keeper: Keeper | None = None
        self._roots: Roots | None = None
        self._is_ready = False
        self._start: int | None = None  # from which evaluation on a loop of others asks again
        self._checking = Checking(job, wishes.verify)

    def begin(self, roots: Roots | None) -> None:
        """An attempt comes to its first evaluation. None: nothing could remember anything."""
        self._is_ready, self._keeper, self._roots, self._start = False, None, roots, None
        self._checking.begin()
        if roots is None:
            return
        try:
            limit = max(0, self._wishes.limit - self._of_others())
            self._keeper = Keeper(self._recording, roots, self._device, limit, self._later)
        except TooMuch as much:
            self._lose(roots.names, str(much))
            return
        self._tell()

    def join(self, roots: Roots) -> None:
        """A network that was not asked before is about to be, and all is on record that was kept."""
        if self._roots is None:
            self.begin(roots)
            return
        self._roots = self._roots.and_those(roots)
        if self._keeper is None:
            return
        try:
            self._keeper.join(roots)
        except TooMuch as much:
            self._give_up(str(much))
            return
        for network in roots.places:
            self._give_back(0, network)

    def begin_again(self) -> None:
        """The attempt was left within an evaluation, and goes on with that one."""
        self.begin(self._roots)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do for any evaluation of this attempt."""
        return self._keeper is None and not self._checking.wanted

    @property
    def remembers(self) -> bool:
        """Whether something is known to be remembered."""
        return self._keeper is not None and self._keeper.remembers

    def replayed(self) -> None:
        """All that is on record was replayed: what the patches remember is as it was then.

        For whoever comes after this call, too, where nothing of it is live.
        """
        if self._keeper is not None and (not self._checking.verifies or self._start is not None):
            end = len(self._recording)
            if start_of(self._recording)[0] == end:
                self._is_ready = self._give_back(end)
            elif self._start is not None:
                if self._start == end:  # the quick way
                    self._give_back((self._recording.memories() or [0])[-1])
                self._is_ready = True
        if self._start is not None:
            self._checking.pass_by(len(self._recording))

    def replayed_to(self, evaluations: int) -> None:
        """A loop that nobody but itself can make ask has so many, and is about to go on."""
        if evaluations == len(self._recording):
            self.replayed()
        elif evaluations == self._start:
            self._begin_again_at(evaluations)

    def asks_again(self, index: int) -> bool:
        """Whether evaluation `index`, from 0, that such a loop has replayed, is to be asked again as well.

        What is remembered is as it was before that one.
        """
        if self._keeper is None or self._is_ready:
            return False
        if self._start is None:
            self._start = self._first_again()
            if self._start == 0:
                self._begin_again_at(0)
        return not self._is_ready and index >= self._start

    def asked_again(self, index: int, difference: float) -> None:
        """What it answered, and by how much that is not what is on record."""
        end, otherwise = len(self._recording), Otherwise(difference)
        if index == self._start and start_of(self._recording)[0] < end:
            self._tell_stale()
        if index < end - 1:
            self._checking.warn(end, otherwise)
        else:
            self._checking.tell(end, otherwise, recomputed=start_of(self._recording)[0] < end)

    def before_live(self, again: Again) -> None:
        """An evaluation that is not on record is about to be asked."""
        if self.idle or self._is_ready:
            return
        end = len(self._recording)
        start, names = (end, "") if self._keeper is None else start_of(self._recording)
        if self._start is not None and start < end:  # it was asked again, as far as it could be
            self._is_ready = True
            return
        if self._wishes.quick and start < end:
            self._give_back((self._recording.memories() or [0])[-1])
            self._is_ready = True
            self._checking.tell(end, None)
            return
        if (
            self._checking.verifies
            and start == end > 0
            and self._checking.may_compare
            and self._give_back(end - 1)
        ):
            self._checking.tell(end, again(end - 1))
        if not self._give_back(start) and start:
            start = 0
            self._give_back(start)
        if start < end:
            self._job.note("recomputes", {"evaluations": end - start, "because": names})
            others = [self._again(again, index, index == start) for index in range(start, end)]
            self._checking.tell(end, max(others, key=lambda one: one.difference), recomputed=True)
        self._checking.tell(end, None)
        self._is_ready = True

    def glance(self) -> None:
        """An evaluation was asked, and the device may be at work still. `notices` follows at once."""
        if self._keeper is not None:
            self._keeper.glance()

    def notices(self) -> bool:
        """Whether there is something to keep, now that another evaluation was answered."""
        try:
            return self._keeper is not None and self._keeper.notices()
        except TooMuch as much:
            self._give_up(str(much))
            return False

    def answered(self, evaluations: int) -> None:
        """So many are answered; the newest is about to be recorded."""
        if self._keeper is None:
            return
        try:
            self._keeper.keep(evaluations)
        except TooMuch as much:
            self._give_up(str(much))

    def recorded(self) -> None:
        """It is on record."""
        if self._keeper is not None:
            self._tell()

    def left(self) -> None:
        """The sampler was left before its end: nothing half-made stays behind."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None and (lost := keeper.put_back()):
            self._lose(keeper.names, f"{', '.join(lost)} was written into")

    def let_be(self) -> None:
        """The sampler goes on, but nobody watches it any more."""
        self._keeper = None

    # -- inside ----------------------------------------------------------------------------------------

    def _first_again(self) -> int:
        """As many as are on record, where none is to be asked again."""
        end = len(self._recording)
        start, _ = start_of(self._recording)
        if start == end:
            return end - (self._checking.verifies and self._checking.may_compare)
        return end if self._wishes.quick else start

    def _begin_again_at(self, evaluations: int) -> None:
        if not self._give_back(evaluations):
            self._is_ready = True
            return
        start, names = start_of(self._recording)
        if start < len(self._recording):
            told = {"evaluations": len(self._recording) - start, "because": names}
            self._job.note("recomputes", told)

    def _give_up(self, because: str) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            self._lose(keeper.names, because)

    def _give_back(self, evaluations: int, only: str = "") -> bool:
        """Whether it is what it was after so many."""
        if self._keeper is None or 0 not in self._recording.memories():
            return True
        try:
            self._keeper.give_back(evaluations, only)
        except (Unkeepable, Damaged) as lost:
            if not self._job.worker.taken():  # an edit may have taken the patch away
                self._lose(self._keeper.names, str(lost))
            return False
        return True

    def _again(self, again: Again, index: int, is_first: bool) -> Otherwise:
        otherwise = again(index)
        if is_first:
            self._tell_stale()
        return otherwise

    def _tell_stale(self) -> None:
        if self._keeper is not None and (stale := self._keeper.stale()):
            self._lose(self._keeper.names, f"{', '.join(stale)} cannot be made anew in this run of ComfyUI")

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
