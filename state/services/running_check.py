"""A check while it runs: what is to be asked again, and what has been. One lock; any thread.

ComfyUI's worker thread asks; the event loop reads how far it came.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..checks import Check, Compared, Progress, in_order
from ..node import Node
from ..recording.recording import Call, Recording
from ..server_directory import directory_name
from ..surroundings import Difference, Surroundings


@dataclass(frozen=True)
class Part:
    """What is asked again of one sampling call: evaluations from `first` on (from 0), before `end`"""

    recording: Recording
    first: int
    end: int
    chosen: frozenset[int] | None = None  # of these; None is all

    @property
    def count(self) -> int:
        return self.end - self.first if self.chosen is None else len(self.chosen)

    def wants(self, index: int) -> bool:
        return self.first <= index < self.end and (self.chosen is None or index in self.chosen)


class RunningCheck:
    """changed: is told of each change, under the lock; it must not block"""

    def __init__(
        self,
        job_id: str,
        check: Check,
        parts: dict[Call, Part],
        changed: Callable[[Check], None],
    ) -> None:
        self.job_id = job_id
        self.parts = parts
        self._lock = threading.Lock()
        self._check = check
        self._changed = changed
        self._ordinals: dict[str, int] = {}
        self.then: Surroundings | None = None  # what that was computed with, of which something is told
        self.error: str | None = None  # why it cannot go on
        self._left = set(parts)

    @property
    def check(self) -> Check:
        with self._lock:
            return self._check

    # -- the worker thread -----------------------------------------------------------------------------

    def enter(self, node: Node) -> tuple[int, Part | None]:
        """A sampling call begins: which one of its node it is, and what is to be asked of it."""
        ordinal = self._ordinals.get(node.node_id, 0)
        self._ordinals[node.node_id] = ordinal + 1
        return ordinal, self.parts.get((directory_name(node.node_id), ordinal))

    def leave(self, node: Node, ordinal: int) -> bool:
        """All of that call is asked. Whether there is nothing left to be asked."""
        self._left.discard((directory_name(node.node_id), ordinal))
        return not self._left

    @property
    def is_over(self) -> bool:
        """Whether it came to the end of what is to be asked."""
        return not self._left

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

    def stops(self, error: str) -> None:
        """It cannot go on; its prompt is about to end."""
        self.error = error

    # -- the event loop --------------------------------------------------------------------------------

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
