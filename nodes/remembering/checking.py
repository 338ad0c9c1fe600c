"""Whether the model answers as it did when it was recorded: when that is asked, and how it is told.

By the user's setting, or because a job came in a bundle from somewhere else. ComfyUI's worker thread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...state.job.job import Job
from ...state.job.warnings import NOT_AS_RECORDED, OTHERWISE_HERE
from ...state.surroundings import Checked


@dataclass(frozen=True)
class Otherwise:
    """By how much an answer differs from the recorded one, at most; largest: of the recorded one's values.

    Infinite where nobody knows any more what was asked; largest: None where nobody looked.
    """

    difference: float
    largest: float | None = None


class Checking:
    """Of one sampling call. always: the user wishes it at each resume"""

    def __init__(self, job: Job, always: bool) -> None:
        self._job, self._always = job, always
        self.wanted = False  # for a job that was computed elsewhere, and nobody looked yet

    def begin(self) -> None:
        imported = self._job.view().imported
        self.wanted = imported is not None and imported.wants_check

    @property
    def verifies(self) -> bool:
        """Whether the newest evaluation of all, if it is of this call, is to be asked once more."""
        return self._always or (self.wanted and not self._job.call.replays())

    @property
    def may_compare(self) -> bool:
        """Where the model was edited, it is to answer otherwise than is on record."""
        return self._always or not self._edited

    def tell(self, end: int, otherwise: Otherwise | None, recomputed: bool = False) -> None:
        """By how much the newest of `end` evaluations is answered otherwise; None: it was not asked.

        recomputed: because of what patches remember, so that it is told only if somebody wants to know
        """
        if otherwise is not None:
            self.warn(end, otherwise)
        if self.wanted or (otherwise is not None and not recomputed):
            checked = Checked(end)
            if otherwise is not None and math.isfinite(otherwise.difference) and self.may_compare:
                checked = Checked(end, otherwise.difference, otherwise.largest)
            self._job.call.tell_checked(checked)
        self.wanted = False

    def pass_by(self, end: int) -> None:
        """All is replayed, and none was asked again."""
        if self.wanted and not self._job.call.replays():
            self.tell(end, None)

    def warn(self, end: int, otherwise: Otherwise) -> None:
        """If it is answered otherwise although nobody edited the model."""
        if otherwise.difference == 0.0 or self._edited:
            return
        difference = f"{otherwise.difference:.3g}"
        if self.wanted:
            largest = "not known" if otherwise.largest is None else f"{otherwise.largest:.3g}"
            self._job.warn(OTHERWISE_HERE, end, difference, largest)
        else:
            self._job.warn(NOT_AS_RECORDED, difference)

    @property
    def _edited(self) -> bool:
        return bool(self._job.worker.taken())
