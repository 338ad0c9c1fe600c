"""A check while it runs: what it found so far. One lock; any thread.

ComfyUI's worker thread asks; the event loop reads how far it came.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from ..checks import Check, Compared, Progress, in_order
from ..recording.recording import Call
from ..surroundings import Difference, Surroundings
from .running_beside import Part, RunningBeside


class RunningCheck(RunningBeside):
    """changed: is told of each change, under the lock; it must not block"""

    def __init__(
        self,
        job_id: str,
        check: Check,
        parts: dict[Call, Part],
        changed: Callable[[Check], None],
    ) -> None:
        super().__init__(job_id, check.prompt_id, parts, parts)
        self._lock = threading.Lock()
        self._check = check
        self._changed = changed
        self.then: Surroundings | None = None  # what that was computed with, of which something is told

    @property
    def check(self) -> Check:
        with self._lock:
            return self._check

    # -- the worker thread -----------------------------------------------------------------------------

    def compared(self, found: Compared) -> None:
        with self._lock:
            self._set(replace(self._check, compared=(*self._check.compared, found)))

    def differs(self, *found: Difference) -> None:
        """Something that is on record is not as it was."""
        if found:
            with self._lock:
                self._set(replace(self._check, changed=in_order((*self._check.changed, *found))))

    def computed_with(self, then: Surroundings) -> None:
        """Of the first call of which that is on record."""
        self.then = self.then or then

    # -- the event loop --------------------------------------------------------------------------------

    @property
    def is_queued(self) -> bool:
        return self.check.progress is Progress.QUEUED

    def starts(self) -> None:
        with self._lock:
            if self._check.progress is Progress.QUEUED:
                self._set(replace(self._check, progress=Progress.RUNNING))

    def ends(self, progress: Progress, error: str | None = None) -> None:
        with self._lock:
            self._set(replace(self._check, progress=progress, error=error))

    def _set(self, check: Check) -> None:
        self._check = check
        self._changed(check)
