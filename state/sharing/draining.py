"""The server is about to end, as a cloud said: all jobs are paused, written, sent, and free for others.

On a thread that may wait; ComfyUI's event loop may stand still meanwhile, as it does in a signal handler.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import IllegalTransition
from ..job.job import Job
from ..services.registry import Registry
from ..states import PauseReason, State
from .mirror import Mirror

SHARE = 0.6  # of the time, for evaluations that do not end: what is on record can be sent in the rest
LOOK_S = 0.02


@dataclass(frozen=True)
class Drained:
    """paused, pausing: ids of jobs; mirrored: whether the store has all of it, None without one"""

    paused: tuple[str, ...]
    pausing: tuple[str, ...]
    mirrored: bool | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        told = {"paused": list(self.paused), "pausing": list(self.pausing), "mirrored": self.mirrored}
        return told | {"seconds": round(self.seconds, 3)}


class Draining:
    """save: writes all that is in memory, within so many seconds"""

    def __init__(self, registry: Registry, mirror: Mirror | None, save: Callable[[float], None]) -> None:
        self._registry = registry
        self._mirror = mirror
        self._save = save
        self._lock = threading.Lock()
        self.done = False

    def drain(self, within_s: float) -> Drained:
        """Once; a second call waits for the first, and tells how things are."""
        with self._lock:
            begun = time.monotonic()
            left = lambda: max(0.1, within_s - (time.monotonic() - begun))  # noqa: E731
            jobs = self._registry.live()
            at_work = [job for job in jobs if job.state in (State.RUNNING, State.PAUSING)]
            for job in jobs:
                if job.state in (State.QUEUED, State.RUNNING):
                    _pause(job)
            while any(job.state is State.PAUSING for job in at_work) and left() > within_s * (1 - SHARE):
                time.sleep(LOOK_S)
            self._save(left() / 2)
            mirrored = None
            if self._mirror is not None and not self.done:
                mirrored = self._mirror.flush(left())
                self._mirror.end()
            self.done = True
            paused = tuple(job.job_id for job in jobs if job.state is State.PAUSED)
            pausing = tuple(job.job_id for job in jobs if job.state is State.PAUSING)
            return Drained(paused, pausing, mirrored, time.monotonic() - begun)


def _pause(job: Job) -> None:
    try:
        job.pause(PauseReason.DRAIN)
    except IllegalTransition:
        return  # it has just ended
