"""How often a running job is previewed: seldom enough to cost little, often enough to be of use.

`due` is asked by the sampling thread at each step, `took` is told by the thread that decodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.05  # of the sampling time that previews may take on their thread
SHARE_OF_CPU = 0.01  # where they take it from the sampler's own processor
OLDEST_S = 5.0  # a preview never grows older while steps go by
SHORTEST_S = 0.25  # nobody sees more than four pictures a second
AFFORDABLE_S = SHARE * OLDEST_S / 2  # a decode that keeps both, however long a step takes
_WEIGHT = 0.3  # of the newest decode, and of the newest step, in the running averages


class Pace:
    """Of one sampling call. `every`: steps between two previews; 0 widens the interval by itself."""

    def __init__(self, every: int, clock: Callable[[], float] = time.monotonic, share: float = SHARE) -> None:
        self.every = every
        self._share = share
        self._clock = clock
        self._made = 0
        self._cost_s = 0.0
        self._step_s = 0.0
        self._stepped: float | None = None
        self._shown = float("-inf")

    @property
    def interval_s(self) -> float | None:
        """Seconds that an automatic preview waits after the one before it."""
        if self.every:
            return None
        return min(max(SHORTEST_S, self._cost_s / self._share), OLDEST_S)

    def due(self, step: int) -> bool:
        """Whether the step that ended now is to be shown. step: its number, from 1."""
        now = self._clock()
        if self._stepped is not None:
            self._step_s = _averaged(self._step_s, now - self._stepped)
        self._stepped = now
        age = now - self._shown
        interval_s = self.interval_s
        if interval_s is None:
            due = step % self.every == 0
        else:
            due = age >= interval_s or age + self._step_s > OLDEST_S
        if due:
            self._shown = now
        return due

    def took(self, seconds: float) -> None:
        """A preview took so long."""
        self._made += 1
        # The first of a server loads what all need, and says little of the others.
        self._cost_s = min(self._cost_s, seconds) if self._made == 2 else _averaged(self._cost_s, seconds)


def _averaged(mean: float, newest: float) -> float:
    return newest if not mean else mean + _WEIGHT * (newest - mean)
