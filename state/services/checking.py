"""Checking jobs: whether today's model answers what is on record. ComfyUI's event loop.

A check is a prompt of its own, of the job's graph up to its samplers, behind all that waits. The job, its
recording and its results stay as they are; nodes/engine/check_call.py asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from ..bundles.comparing import differences
from ..checks import Check, Progress
from ..errors import IllegalTransition, NoCheck, UnknownJob
from ..job.job import Job
from ..job.machine import utc
from ..job.transitions import Event
from ..job.view import JobView, Take
from ..recording.recording import Call, Recording
from ..states import State
from ..surroundings import Surroundings
from ..workflow.fresh import as_known, fresh
from ..workflow.graph import Prompt
from ..workflow.kept import Kept, pinned
from .control import Control, Presence, Where
from .edited import asked_from
from .running_check import Part, RunningCheck

log = logging.getLogger(__name__)
AT_REST = (State.PAUSED, State.FAILED, State.COMPLETED, State.ABORTED)
LOOK_S = 0.1
WENT_ON = "the job went on, or was rewound, before it was checked. Check it again."
TELL_S = 0.2  # between two reports of how far it came


class Here(Protocol):
    """What this ComfyUI computes with. May read files."""

    def again(self, then: Surroundings, prompt: Prompt, thoroughly: bool) -> Surroundings: ...
    def loaders(self, prompt: Prompt) -> frozenset[str]: ...


class Checks:
    """The verbs, and the checks that are not over."""

    def __init__(self, control: Control, here: Here) -> None:
        self._control, self._registry, self._here = control, control.registry, here
        self._open: dict[str, tuple[RunningCheck, Job]] = {}  # by prompt_id
        self._stands: dict[str, tuple[tuple[str, ...], Take | None]] = {}  # where their jobs were, likewise
        self._beginning: set[str] = set()  # ids of jobs whose check is not queued yet
        self._follower: asyncio.Task[None] | None = None
        self._registry.is_checked = self._is_checked
        self._registry.end_check = self._end_of_deleted

    def find(self, prompt_id: str) -> RunningCheck | None:
        """Any thread."""
        found = self._open.get(prompt_id)
        return None if found is None else found[0]

    async def begin(self, any_id: str, few: bool) -> Check:
        """Queue a check of the job. few: only the first, the middle and the last evaluation of each call"""
        job = self._registry.keep_loaded(await self._registry.load(any_id))
        try:
            self._require_rest(job)
            self._beginning.add(job.job_id)
            try:
                return await self._begin(job, few)
            finally:
                self._beginning.discard(job.job_id)
        finally:
            if self._is_there(job):
                self._registry.settle(job)  # where it is refused

    async def _begin(self, job: Job, few: bool) -> Check:
        stand = _stand(job.view())
        parts = await asyncio.to_thread(self._parts, job, few)
        prompt = self._control.instruments.again(job.request.prompt, job.request.prompt)
        whole = replace(job.request, prompt=pinned(prompt, job.request.kept), kept=Kept())
        samplers = tuple(_samplers(parts, prompt))
        run = await self._control.queue.prepare(job.job_id, whole, samplers[0] if samplers else None)
        loaders = await asyncio.to_thread(self._here.loaders, whole.prompt)
        graph = fresh(run.request.prompt, run.prompt_id, loaders, samplers)
        run = replace(run, request=replace(run.request, prompt=graph, outputs=samplers), behind=True)
        self._require_rest(job, again=True)  # it may have gone on meanwhile
        total, earlier = (sum(getattr(part, name) for part in parts.values()) for name in ("count", "first"))
        check = Check(run.prompt_id, utc(time.time()), few, total=total, earlier=earlier)
        running = RunningCheck(job.job_id, check, parts, _Teller(job, self._is_there))
        self._open[run.prompt_id], self._stands[run.prompt_id] = (running, job), stand
        self._control.queue.put(run, ())
        job.runs.tell_check(check)
        self._follow()
        return check

    async def read(self, any_id: str) -> Check:
        """The newest of the job. Raises NoCheck."""
        job = await self._registry.load(any_id)
        found = self._of(job)
        check = job.view().check if found is None else found.check
        if check is None:
            raise NoCheck(job.job_id)
        return check

    async def cancel(self, any_id: str) -> Check:
        """End the one that is not over. Raises NoCheck; does nothing to one that is."""
        job = await self._registry.load(any_id)
        found = self._of(job)
        if found is not None:
            self._control.queue.cancel(found.check.prompt_id)
        return await self.read(any_id)

    # -- inside ----------------------------------------------------------------------------------------

    def _of(self, job: Job) -> RunningCheck | None:
        return next((one for one, of in self._open.values() if of is job), None)

    def _is_checked(self, job: Job) -> bool:
        return job.job_id in self._beginning or self._of(job) is not None

    def _is_there(self, job: Job) -> bool:
        """Whether it was not deleted meanwhile."""
        return self._registry.get(job.job_id) is job

    def _end_of_deleted(self, job: Job) -> None:
        """Its prompt stays known until it has left ComfyUI, so that nobody takes it for a job."""
        found = self._of(job)
        if found is not None:
            self._control.queue.cancel(found.check.prompt_id)

    def _require_rest(self, job: Job, again: bool = False) -> None:
        if not self._is_there(job):
            raise UnknownJob(job.job_id)
        if job.state not in AT_REST:
            because = f"it is {job.state.value}. Pause it first, or wait until it has ended."
            raise IllegalTransition("check", job.job_id, job.state, because)
        if self._of(job) is not None or (not again and job.job_id in self._beginning):
            raise IllegalTransition("check", job.job_id, job.state, "it is being checked already.")

    def _parts(self, job: Job, few: bool) -> dict[Call, Part]:
        """What is to be asked of each sampling call. Reads the disk. Raises IllegalTransition."""
        refuse = partial(IllegalTransition, "check", job.job_id, job.state)
        parts, calls = {}, self._registry.recordings.calls(job.job_id)
        begins = asked_from(job.view().edits, calls)
        for call, recording in calls.items():
            origin = recording.origin
            if origin is None or not len(recording):
                continue
            if origin.own_loop or origin.node.loops:
                kind = "has a sampling loop of its own" if origin.own_loop else "is in a loop of the workflow"
                raise refuse(f"node {origin.node.display_id} {kind}, which no check can ask again.")
            parts[call] = _part(recording, begins[call], few)
        if not any(part.count for part in parts.values()):
            raise refuse("nothing is on record that could be asked again.")
        return parts

    def _follow(self) -> None:
        if self._follower is None or self._follower.done():
            self._follower = asyncio.get_running_loop().create_task(self._until_all_are_over())

    async def _until_all_are_over(self) -> None:
        while self._open:
            presence = self._control.queue.presence(list(self._open))
            for prompt_id, found in presence.items():
                running, job = self._open[prompt_id]
                if found.where is Where.RUNNING:
                    self._require_same(running, job)
                    running.starts()
                elif found.where is not Where.WAITING:
                    await self._end(running, job, found)
            await asyncio.sleep(LOOK_S)

    def _require_same(self, running: RunningCheck, job: Job) -> None:
        """Stop a check whose job went on, or was rewound, since the graph that it asks was written.

        While it runs no job can go on, as ComfyUI runs one prompt at a time; but a resume may be queued.
        """
        then, now = self._stands[running.check.prompt_id], _stand(job.view())
        is_queued = running.check.progress is Progress.QUEUED
        moved = now != then if is_queued else now[1] != then[1]
        if running.error is None and (moved or any(_is_other(part) for part in running.parts.values())):
            running.stops(WENT_ON)
            self._control.queue.cancel(running.check.prompt_id)

    async def _end(self, running: RunningCheck, job: Job, found: Presence) -> None:
        self._require_same(running, job)
        progress, error = _outcome(running, found)
        try:
            if progress is Progress.DONE:
                await asyncio.to_thread(self._look_around, running, job)
        except Exception:  # noqa: BLE001  node packs are asked; the others that are checked must not wait for it
            log.exception("Midrun could not look at what job %s was checked with", job.job_id)
        finally:
            running.ends(progress, error)
            del self._open[running.check.prompt_id], self._stands[running.check.prompt_id]
        self._control.queue.drop(running.check.prompt_id)
        if self._is_there(job):
            job.runs.tell_check(running.check)
            self._registry.settle(job)

    def _look_around(self, running: RunningCheck, job: Job) -> None:
        """What this server computes with, against what is on record. Reads files."""
        imported = job.view().imported
        then = running.then or (None if imported is None else imported.then)
        if then is not None:
            now = self._here.again(then, job.request.prompt, False)
            running.differs(*differences(then, now, ()))


class _Teller:
    """Tells a job how far its check has come, not more often than anybody looks."""

    def __init__(self, job: Job, is_there: Callable[[Job], bool]) -> None:
        self._job, self._is_there = job, is_there
        self._told = float("-inf")

    def __call__(self, check: Check) -> None:
        if check.is_open and time.monotonic() - self._told >= TELL_S and self._is_there(self._job):
            self._told = time.monotonic()
            self._job.runs.tell_check(check)


def _outcome(running: RunningCheck, found: Presence) -> tuple[Progress, str | None]:
    if running.error is not None:
        return Progress.FAILED, running.error
    if running.is_over:  # its prompt ends as if it were interrupted, as nothing is left to do
        return Progress.DONE, None
    if found.error is not None:
        node = as_known(found.error.node_id)
        of = "" if node is None else f" of node {node}"
        return Progress.FAILED, f"{found.error.type}{of}: {found.error.message}"
    if found.event is Event.COMPLETE:
        return Progress.FAILED, "the workflow came to its end without sampling as it did."
    return Progress.CANCELLED, None


def _part(recording: Recording, first: int, few: bool) -> Part:
    """first: how many evaluations cannot be asked, as an edit came after them"""
    end = len(recording)
    first = min(first, end)
    chosen = {first, (first + end - 1) // 2, end - 1} if end > first else set()
    return Part(recording, first, end, frozenset(chosen) if few else None)


def _is_other(part: Part) -> bool:
    return len(part.recording) != part.end


def _stand(view: JobView) -> tuple[tuple[str, ...], Take | None]:
    """What is another when the job was rewound, or went on."""
    return view.prompt_ids, view.take


def _samplers(parts: dict[Call, Part], prompt: Prompt) -> list[str]:
    """The nodes of the graph that sampled, each once."""
    names = [part.recording.origin.node.display_id for part in parts.values() if part.recording.origin]
    return [name for name in dict.fromkeys(names) if name in prompt]
