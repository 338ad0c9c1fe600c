"""Pauses jobs at certain hours and while the GPU is hot, and lets them go on. ComfyUI's event loop.

Looks at the clock and the thermometer only while a job is concerned. What a person decides meanwhile stands:
a job that somebody let go on is paused no more until that is over and comes again, and one that somebody
paused or edited is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time

from ..breakpoints.actions import ENDS, Action
from ..breakpoints.breakpoints import Breakpoint, conditions, strongest
from ..breakpoints.wait_conditions import Window
from ..errors import IllegalTransition, MidrunError
from ..job.job import Job
from ..job.transitions import Event
from ..job.view import Change, JobView
from ..job.warnings import NO_THERMOMETER, NOT_FINISHED
from ..states import AbortMode, PauseReason, State
from .control import Control

log = logging.getLogger(__name__)
STANDS = (State.PAUSING, State.PAUSED)
LOOK_EVERY_S = 2.0
WENT_ON = {event.value for event in (Event.RESUME, Event.QUEUE, Event.UNPAUSE, Event.UNPAUSE_QUEUED)}


class Unreadable(Exception):
    """There is no temperature to be had; the message says why."""


@dataclass
class _Watch:
    """One job. holding: ids of the conditions that are met; waived: those that somebody let it go on with."""

    job: Job
    holding: set[str] = field(default_factory=set)
    waived: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Around:
    """What it is like now. celsius: None where it is not known, `trouble` says why"""

    now: time
    celsius: float | None = None
    trouble: str | None = None


class Guard:
    """`thermometer` gives degrees Celsius or raises Unreadable; it may block."""

    def __init__(
        self,
        control: Control,
        loop: asyncio.AbstractEventLoop,
        thermometer: Callable[[], float],
        keeps_history: Callable[[], bool] = lambda: False,
        clock: Callable[[], time] = lambda: datetime.now().time(),
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._control = control
        self.stands_still: Callable[[], bool] = lambda: (
            False
        )  # the whole queue, so that nothing goes on by itself
        self._loop = loop
        self._thermometer = thermometer
        self._keeps_history = keeps_history
        self._clock = clock
        self._look_every_s = look_every_s
        self._watched: dict[str, _Watch] = {}
        self._went_on: set[str] = set()  # jobs that somebody let go on, until that was considered
        self._answered: set[str] = set()  # jobs that asked, and were answered to go on
        self._resuming: str | None = None  # the job that is let go on here
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def on_change(self, job: Job, view: JobView, change: Change | None) -> None:
        """A listener of the registry, on any thread. Mere progress concerns nobody here."""
        if change is None or not conditions(view.breakpoints):
            return
        first_of_a_fork = view.parent_id is not None and len(view.prompt_ids) == 2
        if change.kind == "answer" and change.detail["action"] == "go":
            self._answered.add(job.job_id)
        elif change.kind in WENT_ON and job.job_id in self._answered:  # who answered knows of no hours
            self._answered.discard(job.job_id)
        elif change.kind in WENT_ON and job.job_id != self._resuming and not first_of_a_fork:
            self._went_on.add(job.job_id)
        with contextlib.suppress(RuntimeError):  # the server is ending
            self._loop.call_soon_threadsafe(self._notice, job)

    @property
    def watching(self) -> bool:
        return self._task is not None and not self._task.done()

    # -- on the event loop -----------------------------------------------------------------------------

    def _notice(self, job: Job) -> None:
        self._watched.setdefault(job.job_id, _Watch(job))
        self._woken.set()
        if not self.watching:
            self._task = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        while self._watched:
            self._woken.clear()
            around = await self._look()
            for watch in list(self._watched.values()):
                try:
                    await self._judge(watch, around)
                except Exception:  # noqa: BLE001  one job must not leave the others unwatched
                    log.exception("Midrun could not see to job %r", watch.job.job_id)
                if self._is_over(watch.job.view()):
                    self._watched.pop(watch.job.job_id)
                    self._went_on.discard(watch.job.job_id)
                    self._answered.discard(watch.job.job_id)
            if self._watched:
                timer = self._loop.call_later(self._look_every_s, self._woken.set)
                await self._woken.wait()  # not wait_for, which may swallow a cancellation at its timeout
                timer.cancel()

    async def _look(self) -> _Around:
        wanted = [one for watch in self._watched.values() for one in conditions(watch.job.view().breakpoints)]
        if all(isinstance(one.limits, Window) for one in wanted):
            return _Around(self._clock())
        try:
            return _Around(self._clock(), await asyncio.to_thread(self._thermometer))
        except Unreadable as unreadable:
            return _Around(self._clock(), None, str(unreadable))

    async def _judge(self, watch: _Watch, around: _Around) -> None:
        job, view = watch.job, watch.job.view()
        known = conditions(view.breakpoints)
        self._warn(job, known, around)
        if view.question is not None or self._is_over(view):
            return  # somebody else is asked, and decides; or nothing is to be decided
        met = [one for one in known if _holds(one, around, one.id in watch.holding)]
        new = [one for one in met if one.id not in watch.holding]
        watch.holding = {one.id for one in met}
        watch.waived &= watch.holding
        if job.job_id in self._went_on:
            self._went_on.discard(job.job_id)
            watch.waived |= watch.holding
        binding = [one for one in met if one.id not in watch.waived and one.action is Action.PAUSE]
        job.waiting.noticed([one for one in new if one.action is not Action.PAUSE])
        ending = [one for one in new if one.id not in watch.waived and one.action in ENDS]
        news = [one for one in binding if one in new]
        if ending and (view.state in (State.QUEUED, State.RUNNING) or view.auto_resume is not None):
            await self._end(job, strongest(ending))
        elif binding and view.state in (State.QUEUED, State.RUNNING):
            job.waiting.wait_out(news, binding, _because(binding[0], around))
        elif binding and view.auto_resume is not None:
            if {one.id for one in binding} != set(view.auto_resume.ids):
                job.waiting.wait_out(news, binding, _because(binding[0], around))
        elif view.auto_resume is not None and view.state in STANDS and not self.stands_still():
            await self._go_on(job)

    async def _end(self, job: Job, chief: Breakpoint) -> None:
        mode = AbortMode.FINISH if chief.action is Action.FINISH else AbortMode.STOP
        try:
            await self._control.abort(job.job_id, mode, chief.reason, self._keeps_history())
        except MidrunError as refused:
            with contextlib.suppress(IllegalTransition):  # it has ended
                job.pause(PauseReason.BREAKPOINT)
                job.warn(NOT_FINISHED, refused)

    async def _go_on(self, job: Job) -> None:
        auto_resume = job.view().auto_resume
        self._resuming = job.job_id
        try:
            if auto_resume is not None:
                keeps = self._keeps_history()
                await self._control.resume(job.job_id, auto_resume.steps, keeps, due=auto_resume)
        except IllegalTransition:
            pass  # not yet, or somebody else did something with it
        except MidrunError as error:
            job.waiting.cancel()
            job.note("not_resumed", {"error": str(error)})
        finally:
            self._resuming = None

    def _warn(self, job: Job, known: list[Breakpoint], around: _Around) -> None:
        hot = any(not isinstance(one.limits, Window) for one in known)
        if hot and around.trouble is not None:
            job.warn(NO_THERMOMETER, around.trouble)
        else:
            job.unwarn(NO_THERMOMETER)

    def _is_over(self, view: JobView) -> bool:
        stands = view.state in (State.PAUSING, State.PAUSED) and view.auto_resume is not None
        goes_on = view.state in (State.QUEUED, State.RUNNING, State.PAUSING)
        return not conditions(view.breakpoints) or not (stands or goes_on)


def _holds(one: Breakpoint, around: _Around, held: bool) -> bool:
    if isinstance(one.limits, Window):
        return one.limits.holds(around.now)
    if one.limits is None or around.celsius is None:
        return held  # as it was, as long as nobody knows
    return one.limits.holds(around.celsius, held)


def _because(one: Breakpoint, around: _Around) -> str:
    if isinstance(one.limits, Window):
        return one.limits.because()
    return one.limits.because(around.celsius or 0.0) if one.limits is not None else ""
