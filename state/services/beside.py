"""Prompts beside jobs, in ComfyUI's queue: the jobs, their recordings and their results stay as they are.

Such a prompt is a job's graph up to its samplers, which are replayed while the model is asked beside them:
see nodes/engine/beside_call.py. It waits behind all that waits. On ComfyUI's event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from ..checks import Progress
from ..errors import IllegalTransition, UnknownJob
from ..job.job import Job
from ..job.transitions import Event
from ..job.view import JobView, Take
from ..recording.items import Origin
from ..recording.recording import Call, Recording
from ..states import State
from ..workflow.fresh import as_known
from ..workflow.graph import Prompt
from ..workflow.kept import Kept, pinned
from .control import Control, PreparedRun, Presence, Where
from .running_beside import RunningBeside

log = logging.getLogger(__name__)
LOOK_S = 0.1
WENT_ON = "the job went on, or was rewound, before the model was asked. Ask again."
Stand = tuple[tuple[str, ...], "Take | None"]
Ended = Callable[[Progress, "str | None"], Awaitable[None]]  # is told how it ended, and why not as it should


@dataclass(frozen=True)
class _Open:
    running: RunningBeside
    job: Job
    ended: Ended
    stand: Stand  # where the job was when the graph was written


class Beside:
    """Those that are not over; one of a job at a time."""

    def __init__(self, control: Control) -> None:
        self._control, self._registry = control, control.registry
        self._open: dict[str, _Open] = {}  # by prompt_id
        self._beginning: set[str] = set()  # ids of jobs whose prompt is not queued yet
        self._follower: asyncio.Task[None] | None = None
        self._registry.is_checked = self._is_busy
        self._registry.end_check = self._end_of_deleted

    def find(self, prompt_id: str) -> RunningBeside | None:
        """Any thread."""
        found = self._open.get(prompt_id)
        return None if found is None else found.running

    def of(self, job: Job) -> RunningBeside | None:
        return next((one.running for one in self._open.values() if one.job.job_id == job.job_id), None)

    def is_there(self, job: Job) -> bool:
        """Whether it was not deleted meanwhile."""
        return self._registry.get(job.job_id) is job

    @asynccontextmanager
    async def beginning(self, verb: str, any_id: str, states: Collection[State]) -> AsyncIterator[Job]:
        """The job, while a prompt beside it is made. Raises IllegalTransition in other states."""
        job = self._registry.keep_loaded(await self._registry.load(any_id))
        try:
            self.require_rest(verb, job, states)
            self._beginning.add(job.job_id)
            try:
                yield job
            finally:
                self._beginning.discard(job.job_id)
        finally:
            if self.is_there(job):
                self._registry.settle(job)  # where it is refused

    def require_rest(self, verb: str, job: Job, states: Collection[State], again: bool = False) -> None:
        """again: of one that is beginning, as it may have gone on. Raises IllegalTransition, UnknownJob."""
        if not self.is_there(job):
            raise UnknownJob(job.job_id)
        if job.state not in states:
            because = f"it is {job.state.value}. Pause it first, or wait until it has ended."
            raise IllegalTransition(verb, job.job_id, job.state, because)
        if self.of(job) is not None or (not again and job.job_id in self._beginning):
            because = "it is being checked already, or looked into. Wait for that, or cancel it."
            raise IllegalTransition(verb, job.job_id, job.state, because)

    def replayable(self, verb: str, job: Job) -> dict[Call, tuple[Recording, Origin]]:
        """What is on record of the job. Reads the disk. Raises IllegalTransition where it has a loop."""
        found = {}
        for call, recording in self._registry.recordings.calls(job.job_id).items():
            origin = recording.origin
            if origin is None or not len(recording):
                continue
            if origin.own_loop or origin.node.loops:
                kind = "has a sampling loop of its own" if origin.own_loop else "is in a loop of the workflow"
                because = f"node {origin.node.display_id} {kind}, which cannot be asked again."
                raise IllegalTransition(verb, job.job_id, job.state, because)
            found[call] = recording, origin
        return found

    async def prepare(self, job: Job, prompt: Prompt, kept: Kept, samplers: tuple[str, ...]) -> PreparedRun:
        """A run of that graph up to the samplers, behind all that waits. Raises RunRefused."""
        whole = replace(job.request, prompt=pinned(prompt, kept), kept=Kept())
        run = await self._control.queue.prepare(job.job_id, whole, samplers[0] if samplers else None)
        return replace(run, request=replace(run.request, outputs=samplers), behind=True)

    def put(self, run: PreparedRun, running: RunningBeside, job: Job, ended: Ended, stand: Stand) -> None:
        """Queue it."""
        self._open[run.prompt_id] = _Open(running, job, ended, stand)
        self._control.queue.put(run, ())
        if self._follower is None or self._follower.done():
            self._follower = asyncio.get_running_loop().create_task(self._until_all_are_over())

    def cancel(self, running: RunningBeside) -> None:
        self._control.queue.cancel(running.prompt_id)

    # -- inside ----------------------------------------------------------------------------------------

    def _is_busy(self, job: Job) -> bool:
        return job.job_id in self._beginning or self.of(job) is not None

    def _end_of_deleted(self, job: Job) -> None:
        """Its prompt stays known until it has left ComfyUI, so that nobody takes it for a job."""
        found = self.of(job)
        if found is not None:
            self.cancel(found)

    async def _until_all_are_over(self) -> None:
        while self._open:
            presence = self._control.queue.presence(list(self._open))
            for prompt_id, found in presence.items():
                if found.where is Where.RUNNING:
                    self._require_same(self._open[prompt_id])
                    self._open[prompt_id].running.starts()
                elif found.where is not Where.WAITING:
                    await self._end(prompt_id, found)
            await asyncio.sleep(LOOK_S)

    def _require_same(self, one: _Open) -> None:
        """Stop what asks of a job that went on, or was rewound, since the graph that it asks was written.

        While it runs no job can go on, as ComfyUI runs one prompt at a time; but a resume may be queued.
        """
        running, then, now = one.running, one.stand, stand_of(one.job.view())
        moved = now != then if running.is_queued else now[1] != then[1]
        if running.error is None and (moved or running.is_other):
            running.stops(WENT_ON)
            self.cancel(running)

    async def _end(self, prompt_id: str, found: Presence) -> None:
        one = self._open[prompt_id]
        self._require_same(one)
        try:
            await one.ended(*_outcome(one.running, found))
        except Exception:  # others wait to be told of their end
            log.exception("Midrun could not tell what was asked beside job %s", one.job.job_id)
        finally:
            del self._open[prompt_id]
        self._control.queue.drop(prompt_id)
        if self.is_there(one.job):
            self._registry.settle(one.job)


def stand_of(view: JobView) -> Stand:
    """What is another when the job was rewound, or went on."""
    return view.prompt_ids, view.take


def _outcome(running: RunningBeside, found: Presence) -> tuple[Progress, str | None]:
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
