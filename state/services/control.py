"""The verbs of the REST API, on ComfyUI's event loop: job transitions plus what they need of the queue."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

from ..breakpoints.choosing import timely
from ..errors import IllegalTransition, MidrunError
from ..job.job import Job
from ..job.machine import OWN_LOOP
from ..job.request import Request
from ..job.transitions import Event
from ..job.view import AutoResume, JobError, JobView
from ..states import AbortMode, PauseReason, QueuePolicy, State
from ..workflow.edits import Edits, pending, to_json, with_edits, without_pending
from ..workflow.embedded import embedded
from ..workflow.graph import changed
from ..workflow.instrument import BREAK, Instruments, plain
from ..workflow.kept import KEPT, pinned
from ..workflow.verdicts import ancestors, in_graph
from .registry import Registry

UNCONFIRMED_S = 60.0  # a prompt that has not reached the queue by then never will


class Where(Enum):
    """Where a prompt is in ComfyUI."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    ABSENT = "absent"


@dataclass(frozen=True)
class Presence:
    """A prompt's place, and for an ended one how it ended: COMPLETE, ABORT or FAIL."""

    where: Where
    event: Event | None = None
    error: JobError | None = None


@dataclass(frozen=True)
class PreparedRun:
    """A validated run of a job, ready to be queued. since: see ResumedRuns.numbers; behind: all that waits"""

    prompt_id: str
    request: Request
    since: int | None = None
    behind: bool = False


@dataclass(frozen=True)
class Rewritten:
    """A graph that takes the place of the job's, and what that changes of the nodes that are in both."""

    prompt: dict[str, Any]
    edits: Edits


class Queue(Protocol):
    """ComfyUI's prompt queue."""

    def presence(self, prompt_ids: list[str]) -> dict[str, Presence]: ...
    def queued_request(self, prompt_id: str) -> Request | None: ...
    async def prepare(self, job_id: str, request: Request, sampler: str | None) -> PreparedRun: ...
    def put(self, run: PreparedRun, forget: tuple[str, ...]) -> None: ...
    def cancel(self, prompt_id: str) -> None: ...
    def drop(self, prompt_id: str) -> None: ...


class Control:
    """One method a verb. Each raises a MidrunError when it refuses."""

    def __init__(self, registry: Registry, queue: Queue, instruments: Instruments) -> None:
        self.registry = registry
        self.queue = queue
        self.instruments = instruments
        self._unconfirmed: dict[str, tuple[Job, float]] = {}
        self._follower: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()
        registry.look = self.look

    # -- verbs -----------------------------------------------------------------------------------------

    async def pause(self, any_id: str, wait_s: float) -> JobView:
        """Ask for a pause, and wait up to `wait_s` seconds for it to take effect."""
        job = await self.registry.load(any_id)
        view = job.pause()
        if wait_s > 0 and view.state is State.PAUSING:
            await self._until_not_pausing(job, wait_s)
        return job.view()

    async def resume(
        self,
        any_id: str,
        steps: int | None = None,
        keep_history: bool = False,
        rewritten: Rewritten | None = None,
        due: AutoResume | None = None,
    ) -> JobView:
        """`rewritten`: the whole graph as it is to be from now on, not the pending edits; due: see Job."""
        job = await self.registry.ready(await self.registry.load(any_id))
        if not job.resume(steps, rewritten is not None, due):
            await self._queue_run(job, keep_history, rewritten)
        return job.view()

    async def resume_when_paused(self, job: Job, keep_history: bool = False) -> None:
        """Pause the job and let it go on with its edits by itself; nothing is left to do when it ended."""
        job.pause()
        task = asyncio.get_running_loop().create_task(self._resume_when_paused(job, keep_history))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def abort(
        self,
        any_id: str,
        mode: AbortMode,
        reason: str | None,
        keep_history: bool = False,
        due: AutoResume | None = None,
    ) -> JobView:
        job = await self.registry.load(any_id)
        if mode is AbortMode.FINISH and await asyncio.to_thread(self._is_in_own_loop, job):
            raise IllegalTransition("finish", job.job_id, job.state, OWN_LOOP)
        if not job.abort(mode, reason, due):
            await self._queue_run(job, keep_history)
        elif mode is AbortMode.STOP:
            self.queue.cancel(job.prompt_id)
        self.registry.settle(job)
        return job.view()

    async def delete(self, any_id: str) -> None:
        job = await self.registry.load(any_id)
        if not job.deletable():
            because = "it still has a run in ComfyUI. Abort it first, or wait until it has ended."
            raise IllegalTransition("delete", job.job_id, job.state, because)
        self.registry.delete(job)

    # -- prompts that come and go ----------------------------------------------------------------------

    def submitted(self, job: Job) -> None:
        """A prompt was handed to ComfyUI; whether it is accepted shows later."""
        self._unconfirmed[job.job_id] = (job, time.monotonic())
        self.follow()

    def adopt(self, prompt_id: str) -> Job | None:
        """A prompt that came to the queue past ComfyUI's prompt handler, as other node packs may do it."""
        request = self.queue.queued_request(prompt_id)
        request = None if request is None else _without_breaks(request)
        job = None if request is None else self.registry.add(prompt_id, request, QueuePolicy.AUTO)
        if job is not None:
            job.runs.enter_queue()
        return job

    def accepted(self, job: Job) -> None:
        """It is in the queue: what stands there is what later runs repeat."""
        self._unconfirmed.pop(job.job_id, None)
        job.runs.enter_queue()
        request = self.queue.queued_request(job.prompt_id)
        if request is not None:
            self.registry.update_request(job, _without_breaks(request))

    def refused(self, job: Job) -> None:
        self._unconfirmed.pop(job.job_id, None)
        self.registry.withdraw(job)

    def cancelled(self, prompt_id: str | None) -> None:
        """ComfyUI's interrupt was called for that prompt, or for whatever runs."""
        for job in self.registry.live():
            if prompt_id in (None, job.prompt_id):
                where = self.queue.presence([job.prompt_id])[job.prompt_id].where
                if where is Where.RUNNING:
                    job.cancel(job.prompt_id)

    def look(self) -> None:
        """Bring the jobs to what the queue and the history say now."""
        self._confirm()
        live = self.registry.live()
        presence = self.queue.presence([job.prompt_id for job in live])
        for job in live:
            self._compare(job, presence)

    def follow(self) -> None:
        """See to it that the ends of prompts are noticed."""
        if self._follower is None or self._follower.done():
            self._follower = asyncio.get_running_loop().create_task(self._follow())

    # -- inside ----------------------------------------------------------------------------------------

    def _is_in_own_loop(self, job: Job) -> bool:
        """Whether what samples, or sampled last, is a loop that is not ComfyUI's. May read the disk."""
        name = job.view().node_id
        recording = None if name is None else self.registry.recordings.find(job.job_id, name)
        origin = None if recording is None else recording.origin
        return origin is not None and origin.own_loop

    async def _queue_run(self, job: Job, keep_history: bool, rewritten: Rewritten | None = None) -> None:
        view = job.view()
        earlier = () if keep_history else view.prompt_ids
        try:
            taken = pending(view.edits) if rewritten is None else rewritten.edits
            prompt = with_edits(job.request.prompt, taken) if rewritten is None else rewritten.prompt
            prompt = self.instruments.again(prompt, job.request.prompt)
            sampler = in_graph(prompt, view.display_node_id) if view.evaluations else None
            breakpoints = timely(view.breakpoints, ancestors(prompt, sampler) if sampler else set())
            prompt = self.instruments.choosing(prompt, breakpoints)
            kept = job.request.kept.without(prompt, changed(job.request.prompt, prompt))
            request = replace(job.request, prompt=prompt, kept=kept)
            stopping = self.instruments.stopping(pinned(prompt, kept), breakpoints)
            sent = replace(request, prompt=self.instruments.saving_once(stopping))
            run = await self.queue.prepare(job.job_id, sent, in_graph(prompt, view.display_node_id))
            if rewritten is not None:
                job.edit(without_pending)
        except BaseException:
            job.runs.refuse()
            raise
        edited = bool(taken) or rewritten is not None or prompt.keys() != job.request.prompt.keys()
        self.registry.add_run(job, run.prompt_id, request if edited else None, taken)
        since = job.cursor if view.pause_reason is PauseReason.SERVER_RESTART else None
        self.queue.put(_with_edits_told(replace(run, since=since), job), earlier)
        self.follow()

    async def _resume_when_paused(self, job: Job, keep_history: bool) -> None:
        while job.state is State.PAUSING:
            await self._until_not_pausing(job, 3600.0)
        if job.state is not State.PAUSED:
            return
        try:
            if not job.resume():
                await self._queue_run(job, keep_history)
        except MidrunError as error:
            job.note("not_resumed", {"error": str(error)})

    async def _until_not_pausing(self, job: Job, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        settled = asyncio.Event()

        def listener(changed: Job, view: JobView, change: Any) -> None:
            if changed is job and view.state is not State.PAUSING:
                loop.call_soon_threadsafe(settled.set)

        stop = self.registry.listen(listener)
        try:
            if job.state is State.PAUSING:
                await asyncio.wait_for(settled.wait(), wait_s)
        except asyncio.TimeoutError:
            return
        finally:
            stop()

    async def _follow(self) -> None:
        """Compares the queue with the jobs, as the end of a prompt has no hook. Lives while a job does."""
        while self._unconfirmed or self.registry.live():
            self.look()
            await asyncio.sleep(0.1)

    def _confirm(self) -> None:
        waiting = list(self._unconfirmed.values())
        presence = self.queue.presence([job.prompt_id for job, _ in waiting])
        for job, since in waiting:
            if presence[job.prompt_id].where is not Where.ABSENT:
                self.accepted(job)
            elif time.monotonic() - since > UNCONFIRMED_S:
                self.refused(job)

    def _compare(self, job: Job, presence: dict[str, Presence]) -> None:
        prompt_id = job.prompt_id
        found = presence.get(prompt_id)
        if found is None:  # another run was queued meanwhile
            return
        if found.where is Where.RUNNING:
            job.runs.start(prompt_id)
        elif found.where is Where.ENDED:
            job.runs.end(prompt_id, found.event or Event.COMPLETE, found.error)
        elif found.where is Where.ABSENT:
            job.runs.vanished(prompt_id)
        self.registry.settle(job)


def _without_breaks(request: Request) -> Request:
    prompt = plain(request.prompt, (BREAK, KEPT))
    return request if prompt is request.prompt else replace(request, prompt=prompt)


def _with_edits_told(run: PreparedRun, job: Job) -> PreparedRun:
    """A picture that the run saves tells how it was made, under the key `midrun` beside its workflow."""
    edits = job.view().edits
    if not edits:
        return run
    extra = embedded(run.request.extra_data, {"job_id": job.job_id, "edits": to_json(edits)})
    return replace(run, request=replace(run.request, extra_data=extra))
