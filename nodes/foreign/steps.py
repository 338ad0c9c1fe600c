"""Where the steps of a loop end that tells nobody. Plain values; ComfyUI's worker thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

QUICK_S = 0.1  # steps that follow each other faster than that are not all told by ComfyUI's progress bar


@dataclass
class Steps:
    """Of one run of a node. A step ends before the first evaluation that is of the next one.

    known: evaluations after which a step ended -> its number, as far as they are on record
    """

    known: dict[int, int]
    clock: Callable[[], float] = time.monotonic
    number: int = 0
    total: int | None = None  # as the progress bar has it
    _moment: Hashable = None  # at which the newest evaluation was asked
    _bar_at: float | None = None  # when it was moved last
    _moved: bool = False  # since the newest evaluation
    _asked: int = 0  # evaluations before this was asked last

    def bar(self, value: float, total: float) -> None:
        """The node moved its progress bar."""
        self._moved, self._bar_at = value > 0, self.clock()
        self.total = int(total) if total > 0 else None

    def ended(self, evaluations: int, on_record: int, at: Hashable) -> bool:
        """Whether a step ended after so many evaluations, the next being asked at that moment.

        None: the node is over, and so is its last step.
        """
        moved, self._moved = self._moved, False
        before, self._moment = self._moment, at
        if evaluations == self._asked:
            return False  # there are none, or the same one is asked once more
        self._asked = evaluations
        if evaluations < on_record or evaluations in self.known:
            ended = evaluations in self.known
        elif at is None or moved:
            ended = True
        else:
            ended = before != at and (self._bar_at is None or self.clock() - self._bar_at < QUICK_S)
        if ended:
            self.number = self.known.get(evaluations, self.number + 1)
        return ended
