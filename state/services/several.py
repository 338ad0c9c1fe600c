"""The verbs over many jobs at once, on ComfyUI's event loop. One that refuses keeps no other from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..errors import IllegalTransition, MidrunError
from ..job.view import JobView
from ..states import AbortMode, PauseReason, State
from ..store.choices import at_choices, paused
from ..store.orphans import left_behind
from .control import Control
from .gate import Gate

PAGE = 500
GOES_ON = frozenset({State.PAUSED, State.PAUSING})


@dataclass(frozen=True)
class Which:
    """Jobs by their ids, or those in these states.

    reasons: for which they paused, None is any
    waiting: also those that go on by themselves, and drafts that wait to be chosen
    """

    ids: tuple[str, ...] = ()
    states: frozenset[State] = frozenset()
    reasons: frozenset[PauseReason] | None = None
    waiting: bool = True

    def means(self, view: JobView) -> bool:
        """Of a job in one of the states."""
        is_due = self.reasons is None or view.pause_reason in self.reasons
        return is_due and (self.waiting or not (view.auto_resume or view.waits_to_be_chosen))


@dataclass(frozen=True)
class Outcome:
    """What became of one job. state: None where there is no such job any more; error: why it was refused"""

    job_id: str
    state: State | None
    error: MidrunError | None = None


class Several:
    """Each verb answers of every job, the oldest first."""

    def __init__(self, control: Control, gate: Gate) -> None:
        self._control = control
        self._gate = gate

    async def interrupted(self) -> int:
        """How many jobs wait since their server died."""
        return await asyncio.wrap_future(self._control.registry.store.database.read(left_behind))

    async def to_choose(self) -> int:
        """How many jobs wait for somebody to choose."""
        return len(await asyncio.wrap_future(self._control.registry.store.database.read(at_choices)))

    async def standing(self) -> int:
        """How many jobs are paused, those that wait to be chosen from included."""
        return await asyncio.wrap_future(self._control.registry.store.database.read(paused))

    async def pause_all(self) -> list[Outcome]:
        """The queue stands still: what runs is paused where it is, what waits keeps its place."""
        self._gate.close()
        return await self.pause(Which(states=frozenset({State.RUNNING})))

    async def resume_all(self, keep_history: bool) -> list[Outcome]:
        """The queue goes on, and so does all that is paused, but for what waits by itself or to be chosen.

        What holds its place goes on first: once the gate is open it would make way for others.
        """
        paused = Which(states=GOES_ON, waiting=False)
        jobs = [(job_id, self._control.registry.get(job_id)) for job_id in await self._found(paused)]
        held = [job_id for job_id, job in jobs if job is not None and job.view().held]
        outcomes = [await self._outcome(job_id, self._resumed(keep_history)) for job_id in held]
        self._gate.open()
        for job_id in await self._found(paused):
            if self._gate.closed:  # somebody closed it again
                break
            outcomes.append(await self._outcome(job_id, self._resumed(keep_history)))
        return outcomes

    async def pause(self, which: Which) -> list[Outcome]:
        return await self.each(which, lambda job_id: self._control.pause(job_id, 0))

    async def resume(self, which: Which, keep_history: bool) -> list[Outcome]:
        return await self.each(which, self._resumed(keep_history))

    async def abort(self, which: Which, mode: AbortMode, reason: str | None, keep: bool) -> list[Outcome]:
        return await self.each(which, lambda job_id: self._control.abort(job_id, mode, reason, keep))

    async def delete(self, which: Which) -> list[Outcome]:
        return await self.each(which, self._control.delete)

    async def each(self, which: Which, verb: Callable[[str], Awaitable[JobView | None]]) -> list[Outcome]:
        """What the verb does to each; it raises MidrunError where it refuses."""
        ids = which.ids or await self._found(which)
        return [await self._outcome(job_id, verb) for job_id in ids]

    # -- inside ----------------------------------------------------------------------------------------

    def _resumed(self, keep_history: bool) -> Callable[[str], Awaitable[JobView | None]]:
        return lambda job_id: self._control.resume(job_id, None, keep_history)

    async def _outcome(self, job_id: str, verb: Callable[[str], Awaitable[JobView | None]]) -> Outcome:
        await asyncio.sleep(0)  # others are served meanwhile
        try:
            view = await verb(job_id)
            return Outcome(job_id, view.state if view is not None else None)
        except IllegalTransition as error:
            return Outcome(job_id, error.state, error)
        except MidrunError as error:
            return Outcome(job_id, None, error)

    async def _found(self, which: Which) -> list[str]:
        """The oldest first, so that they keep their order in the queue."""
        found: list[str] = []
        before: int | None = None
        while page := await self._control.registry.page(which.states, PAGE, before):
            found += [view.job_id for _, view in page if which.means(view)]
            before = page[-1][0]
        return found[::-1]
