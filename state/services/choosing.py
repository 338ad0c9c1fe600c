"""Choosing what a job goes on with, and what happens where nobody does in time. ComfyUI's event loop.

A choice is an edit of the node that asks: stored, undone and told as every other.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timezone

from ..errors import IllegalTransition, MidrunError, UnknownJob
from ..job.job import Job
from ..job.view import Change, JobView
from ..states import State
from ..store.choices import at_choices
from ..workflow.verdicts import in_graph
from .control import Control
from .editing import Editing
from .gate import Gate
from .registry import Listener

AGAIN_S = 2.0  # before another look, where the queue stands still


class Choosing:
    """gate: while it is closed, nothing goes on by itself"""

    def __init__(self, control: Control, editing: Editing, gate: Gate) -> None:
        self._control = control
        self._editing = editing
        self._gate = gate
        self._tasks: set[asyncio.Task[None]] = set()
        self._timed: set[str] = set()  # jobs for which a timer runs

    async def choose(
        self, any_id: str, chosen: list[int] | str, painted: str | None, keep_history: bool
    ) -> JobView:
        """The job goes on with these, numbered from 1. painted: a mask in ComfyUI's input folder.

        Raises BadRequest for what cannot be chosen, and whatever an edit and a resume raise.
        """
        job = await self._control.registry.load(any_id)
        choice = job.view().choice
        if choice is None or job.state is not State.PAUSED:
            because = "it does not wait for a choice now."
            raise IllegalTransition("choose in", job.job_id, job.state, because)
        wanted: dict[str, str] = {"chosen": choice.text(chosen)}
        if painted is not None:
            wanted["painted"] = painted
        node_id = in_graph(job.request.prompt, choice.node_id) or choice.node_id
        await self._editing.put(job.job_id, {node_id: wanted}, at_once=False)
        return await self._control.resume(job.job_id, None, keep_history)

    def listener(self, loop: asyncio.AbstractEventLoop) -> Listener:
        """For the registry, on any thread."""

        def on_change(job: Job, view: JobView, change: Change | None) -> None:
            if change is not None and view.choice is not None and view.choice.until is not None:
                loop.call_soon_threadsafe(self._watch, job)

        return on_change

    async def look_after(self) -> None:
        """After a start: what waits since an earlier server is waited for as well."""
        registry = self._control.registry
        for job_id in await asyncio.wrap_future(registry.store.database.read(at_choices)):
            with contextlib.suppress(UnknownJob):  # it was just deleted
                job = await registry.load(job_id)
                if _left_s(job.view()) is not None:
                    self._watch(job)

    # -- inside ----------------------------------------------------------------------------------------

    def _watch(self, job: Job) -> None:
        if job.job_id not in self._timed:
            self._timed.add(job.job_id)
            task = asyncio.get_running_loop().create_task(self._wait(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _wait(self, job: Job) -> None:
        try:
            while (left := _left_s(job.view())) is not None:
                await asyncio.sleep(left if left > 0 else AGAIN_S)
                if _is_over(job.view()) and not self._gate.closed:
                    await self._choose_otherwise(job)
                    return
        finally:
            self._timed.discard(job.job_id)

    async def _choose_otherwise(self, job: Job) -> None:
        choice = job.view().choice
        if choice is None:
            return
        try:
            job.note("not_chosen", {"otherwise": choice.otherwise.value})
            await self.choose(job.job_id, choice.otherwise.value, None, keep_history=False)
        except IllegalTransition:
            return  # somebody else did something with it
        except MidrunError as error:
            job.note("not_resumed", {"error": str(error)})


def _left_s(view: JobView) -> float | None:
    """Seconds until nobody chose in time; None where nothing is waited for."""
    waits = view.choice is not None and view.state in (State.PAUSED, State.PAUSING)
    until = view.choice.until if view.choice is not None and waits else None
    if until is None:
        return None
    return (datetime.fromisoformat(until.replace("Z", "+00:00")) - datetime.now(timezone.utc)).total_seconds()


def _is_over(view: JobView) -> bool:
    left = _left_s(view)
    return left is not None and left <= 0 and view.state is State.PAUSED
