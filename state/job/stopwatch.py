"""How long a job was active and paused, and how long a step takes. Guarded by its job's lock."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from .view import Timing


class Mode(Enum):
    IDLE = 0
    ACTIVE = 1
    PAUSED = 2


class Stopwatch:
    """Accumulates seconds by mode; `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float], before: Timing, mode: Mode = Mode.IDLE) -> None:
        """`before`: what an earlier server measured of the same job; `mode`: what it is in now."""
        self._clock = clock
        self._before = before
        self._seconds = {Mode.IDLE: 0.0, Mode.ACTIVE: before.active_s, Mode.PAUSED: before.paused_s}
        self._mode = mode
        self._since = clock()
        self._live_seconds = 0.0
        self._live_steps = 0
        self._step_seconds = 0.0  # what the live evaluations since the newest step took

    def switch(self, mode: Mode) -> None:
        now = self._clock()
        self._seconds[self._mode] += now - self._since
        self._mode, self._since = mode, now

    def evaluated(self, seconds: float) -> None:
        """A live evaluation took that long."""
        self._live_seconds += seconds
        self._step_seconds += seconds

    def stepped(self) -> float:
        """A live step was done: what its evaluations took."""
        self._live_steps += 1
        took, self._step_seconds = self._step_seconds, 0.0
        return took

    def moved(self) -> None:
        """The job is at another step than the one that its evaluations were on the way to."""
        self._step_seconds = 0.0

    def read(self, steps_left: int | None) -> Timing:
        self.switch(self._mode)
        mean = self._live_seconds / self._live_steps if self._live_steps else self._before.mean_step_s
        eta = None if mean is None or steps_left is None else mean * steps_left
        return Timing(self._seconds[Mode.ACTIVE], self._seconds[Mode.PAUSED], mean, eta)
