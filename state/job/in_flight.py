"""The evaluation in flight and ComfyUI's global interrupt flag.

The flag has no owner, so it is raised only while this job's evaluation runs, and taken back when that ends.
Not thread-safe: the job's lock guards it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol


class InterruptFlag(Protocol):
    """ComfyUI's processing flag: reading it does not clear it, raising from it does."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...


class Outcome(Enum):
    """How the code inside an evaluation ended."""

    ANSWERED = "answered"
    INTERRUPTED = "interrupted"  # ComfyUI's InterruptProcessingException came out of it
    RAISED = "raised"  # another exception


_SLACK_S = 0.1


class InFlight:
    """Times evaluations and interrupts the one in flight."""

    _WEIGHT = 0.3  # of the newest evaluation in the running average

    def __init__(self, flag: InterruptFlag, clock: Callable[[], float]) -> None:
        self._flag = flag
        self._clock = clock
        self._started: float | None = None
        self._raised_flag = False
        self.mean_s: float | None = None
        self.serial = 0

    @property
    def running(self) -> bool:
        return self._started is not None

    def begin(self) -> None:
        self.serial += 1
        self._started = self._clock()

    def remaining_s(self) -> float:
        """Seconds until it should end by the average. Infinite while no evaluation has been timed."""
        if self._started is None or self.mean_s is None:
            return float("inf")
        return max(0.0, self.mean_s - (self._clock() - self._started))

    def slack_s(self) -> float:
        """Seconds by which an evaluation may outlast the average before it counts as stuck."""
        return max(_SLACK_S, 0.5 * (self.mean_s or 0.0))

    def interrupt(self) -> None:
        """Raise the flag, unless somebody did already: theirs is a Cancel, and is not to be taken back."""
        if self.running and not self._raised_flag and not self._flag.is_set():
            self._raised_flag = True
            self._flag.set()

    def end(self, outcome: Outcome) -> tuple[bool, float]:
        """Whether the answer is void because this interrupt hit it, and the seconds it took.

        An interrupt that somebody raised between ours and now is seen by the caller: the flag is cleared
        only where it is certainly the one raised here.
        """
        seconds = self._clock() - (self._started if self._started is not None else self._clock())
        self._started = None
        ours, self._raised_flag = self._raised_flag, False
        if outcome is Outcome.ANSWERED and not ours:
            self.mean_s = (
                seconds if self.mean_s is None else self.mean_s + self._WEIGHT * (seconds - self.mean_s)
            )
        if not ours or outcome is Outcome.INTERRUPTED:
            return ours, seconds
        unused = self._flag.is_set()
        if unused:
            self._flag.clear()
        # A flag that was used up although nothing came out: some code inside swallowed the interrupt,
        # and what it answered instead is worth nothing.
        return not unused, seconds
