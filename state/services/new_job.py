"""What a job begins with: an id that no other has, and its first view. Any thread."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass

from ..breakpoints.breakpoints import Breakpoints
from ..job.fork_grid import Cell
from ..job.machine import utc
from ..job.view import JobView
from ..job.warnings import NOT_IN_DATABASE
from ..states import QueuePolicy, State


class TakenIds:
    """The ids of jobs and of their runs."""

    def __init__(self, ids: set[str]) -> None:
        self._lock = threading.Lock()
        self._ids = ids

    def __contains__(self, one: str) -> bool:
        with self._lock:
            return one in self._ids

    def claim(self, one: str) -> bool:
        """Take it. Whether nobody had it."""
        with self._lock:
            is_free = one not in self._ids
            self._ids.add(one)
            return is_free

    def reserve(self, wanted: str) -> str:
        """Take that one, or another where somebody has it."""
        return wanted if self.claim(wanted) else self.reserve(str(uuid.uuid4()))

    def free(self, *ids: str) -> None:
        with self._lock:
            self._ids.difference_update(ids)


@dataclass(frozen=True)
class Draft:
    """What a draft has from its beginning. cell: of the grid that it is one of; breakpoints: of its own"""

    cell: Cell | None = None
    breakpoints: Breakpoints = ()


NONE = Draft()  # of a job that is none


def queued(
    prompt_id: str, policy: QueuePolicy, breakpoints: Breakpoints, trouble: str | None, cell: Cell | None
) -> JobView:
    """Of a prompt on its way to the queue. trouble: why it cannot be stored"""
    now = utc(time.time())
    warnings = {NOT_IN_DATABASE[0]: NOT_IN_DATABASE[1].format(trouble)} if trouble else {}
    return JobView(
        prompt_id,
        (prompt_id,),
        State.QUEUED,
        now,
        now,
        queue_policy=policy,
        warnings=warnings,
        cell=cell,
        breakpoints=breakpoints,
    )
