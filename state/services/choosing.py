"""Choosing what a job goes on with, and what happens where nobody does in time. ComfyUI's event loop.

A choice is an edit of the node that asks: stored, undone and told as every other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timezone

from ..errors import IllegalTransition, MidrunError, UnknownJob
from ..job.job import Job
from ..job.transitions import Event
from ..job.view import Change, JobView
from ..states import State
from ..store.choices import at_choices
from ..workflow.verdicts import in_graph
from .control import Control
from .editing import Editing
from .gate import Gate
from .registry import Listener

AGAIN_S = 2.0  # before another try, where the queue stands still or the job was just busy
LOOK_EVERY_S = 60.0  # whether a job still waits


class Choosing:
    """gate: while it is closed, nothing goes on by itself"""

    def __init__(self, control: Control, editing: Editing, gate: Gate) -> None:
        self._control = control
        self._editing = editing
        self._gate = gate
        self._keeps_history: Callable[[], bool] = lambda: False
        self._timers: dict[str, asyncio.Task[None]] = {}

    async def choose(
        self, any_id: str, chosen: list[int] | str, painted: str | None, keep_history: bool
    ) -> JobView:
        """The job goes on with these, numbered from 1. painted: a mask in ComfyUI's input folder.

        Raises BadRequest for what cannot be chosen, and whatever an edit and a resume raise.
        """
        job = await self._control.registry.load(any_id)
        choice = job.view().choice
        return await self._choose(job, None if choice is None else choice.text(chosen), painted, keep_history)

    def listener(self, loop: asyncio.AbstractEventLoop, keeps_history: Callable[[], bool]) -> Listener:
        """For the registry, on any thread. keeps_history: where nobody chose, as the user's setting says"""
        self._keeps_history = keeps_history

        def on_change(job: Job, view: JobView, change: Change | None) -> None:
            stops = change is not None and change.kind == Event.STOPPED.value
            if stops and view.choice is not None and view.choice.until is not None:
                loop.call_soon_threadsafe(self._watch, job.job_id)

        return on_change

    async def look_after(self) -> None:
        """After a start: what waits since an earlier server is waited for as well."""
        for job_id in await asyncio.wrap_future(self._control.registry.store.database.read(at_choices)):
            self._watch(job_id)

    # -- inside ----------------------------------------------------------------------------------------

    async def _choose(self, job: Job, text: str | None, painted: str | None, keep_history: bool) -> JobView:
        choice = job.view().choice
        if text is None or choice is None or job.state is not State.PAUSED:
            because = "it does not wait for a choice now."
            raise IllegalTransition("choose in", job.job_id, job.state, because)
        wanted = {"chosen": text} | ({} if painted is None else {"painted": painted})
        node_id = in_graph(job.request.prompt, choice.node_id) or choice.node_id
        await self._editing.put(job.job_id, {node_id: wanted}, at_once=False)
        return await self._control.resume(job.job_id, None, keep_history)

    def _watch(self, job_id: str) -> None:
        """The choice that it waits for now may have another deadline than the one before."""
        earlier = self._timers.pop(job_id, None)
        if earlier is not None:
            earlier.cancel()
        task = self._timers[job_id] = asyncio.get_running_loop().create_task(self._wait(job_id))
        task.add_done_callback(lambda done: self._timers.get(job_id) is done and self._timers.pop(job_id))

    async def _wait(self, job_id: str) -> None:
        """Until somebody chose, or the time is up and what goes on otherwise was chosen."""
        with contextlib.suppress(UnknownJob):  # it was deleted
            while (left := _left_s((job := await self._control.registry.load(job_id)).view())) is not None:
                if left <= 0 and not self._gate.closed and await self._has_chosen_otherwise(job):
                    return
                await asyncio.sleep(min(left, LOOK_EVERY_S) if left > 0 else AGAIN_S)

    async def _has_chosen_otherwise(self, job: Job) -> bool:
        choice = job.view().choice
        if choice is None or job.state is not State.PAUSED:
            return False
        try:
            await self._choose(job, choice.otherwise.value, None, self._keeps_history())
        except IllegalTransition:
            return False  # somebody does something with it just now
        except MidrunError as error:
            job.note("not_resumed", {"error": str(error)})
            return True
        job.note("not_chosen", {"otherwise": choice.otherwise.value})
        return True


def _left_s(view: JobView) -> float | None:
    """Seconds until nobody chose in time; None where nothing is waited for."""
    waits = view.choice is not None and view.state in (State.PAUSED, State.PAUSING)
    until = view.choice.until if view.choice is not None and waits else None
    if until is None:
        return None
    return (datetime.fromisoformat(until.replace("Z", "+00:00")) - datetime.now(timezone.utc)).total_seconds()
