"""Whether ComfyUI's queue goes on. While it is closed, what runs keeps its place, and what begins pauses.

In memory: a queue does not outlive its server. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import IllegalTransition
from ..job.job import Job
from ..job.transitions import Event
from ..job.view import Change, JobView
from ..states import QueuePolicy

ASKED_FOR = (Event.QUEUE.value, Event.ABORT.value)  # with which a new run is queued: somebody wants it


class Gate:
    """waiting: prompt ids in ComfyUI's queue; soon: calls on the event loop; told: is told of each change"""

    def __init__(
        self,
        waiting: Callable[[], list[str]],
        soon: Callable[[Callable[[], object]], object],
        told: Callable[[bool], object] = lambda closed: None,
    ) -> None:
        self._waiting = waiting
        self._soon = soon
        self._told = told
        self._asked_for: set[str] = set()  # prompt ids of runs that go on although it is closed
        self.closed = False

    def close(self) -> None:
        self._asked_for = set()
        self._turn(True)

    def open(self) -> None:
        self._turn(False)

    def makes_way(self, job: Job) -> bool:
        """Whether a job that is paused gives its place to what waits in the queue."""
        view = job.view()
        if view.queue_policy is QueuePolicy.HOLD and not view.is_draft:
            return False
        if view.queue_policy is QueuePolicy.AUTO and view.question is not None and view.question.is_brief:
            return False  # it goes on sooner than another could load its models
        if self.closed:
            return not self._asked_for.isdisjoint(self._waiting())
        return view.queue_policy is QueuePolicy.PARK or bool(self._waiting())

    def on_change(self, job: Job, view: JobView, change: Change | None) -> None:
        """A listener of the registry."""
        if not self.closed or change is None:
            return
        if change.kind in ASKED_FOR:
            self._asked_for.add(view.prompt_ids[-1])
        elif change.kind == Event.START.value and view.prompt_ids[-1] not in self._asked_for:
            self._soon(lambda: self._pause(job))

    def _pause(self, job: Job) -> None:
        if not self.closed:
            return
        try:
            job.pause()
        except IllegalTransition:
            return  # it has ended

    def _turn(self, closed: bool) -> None:
        if self.closed is not closed:
            self.closed = closed
            self._told(closed)
