"""The jobs of this server: finds them by any of their prompt ids, keeps the store and the listeners informed.

Called from every thread. Holds only jobs that can still change by themselves or hold a recording; the
others are read back from the store when somebody asks for them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from ..breakpoints.breakpoints import DEFAULT, Breakpoints, of_workflow
from ..errors import UnknownJob
from ..job.in_flight import InterruptFlag
from ..job.job import Job
from ..job.node_times import NodeTimes
from ..job.request import Request
from ..job.transitions import ENDED
from ..job.view import Change, JobView
from ..job.warnings import RECORDING_GONE, WITHOUT_SECRETS
from ..recording.recording import Recordings
from ..states import QueuePolicy, State
from ..store.store import Store, StoredJob
from ..workflow import graph
from ..workflow.edits import Edits
from ..workflow.kept import Kept
from .new_job import NONE, Draft, TakenIds, queued

log = logging.getLogger(__name__)
Listener = Callable[[Job, JobView, Change | None], None]
RESUMABLE = (State.PAUSED, State.FAILED)
SAVE_PROGRESS_EVERY_S = 1.0


class Registry:
    """job_id -> Job."""

    def __init__(
        self,
        store: Store,
        recordings: Recordings,
        flag: InterruptFlag,
        breakpoints: Callable[[], Breakpoints] = lambda: DEFAULT,
    ) -> None:
        self._breakpoints = breakpoints  # those that every new job has
        self.recordings = recordings
        self.store = store
        self._make_job = partial(Job, flag=flag, listener=self._changed, times=NodeTimes())
        self._lock = threading.Lock()
        self._by_prompt: dict[str, Job] = {}
        self.taken = TakenIds(store.prompt_ids())  # by every job there is, in memory or stored
        self._listeners: list[Listener] = []
        self._saved: dict[str, float] = {}  # job_id -> when its row was written, by the clock
        self._forgotten = 0  # how many jobs were let go of
        self.look_around: Callable[[Job], Awaitable[Job]] = _as_it_is  # for what is otherwise for it by now
        self.may_run: Callable[[Job], Awaitable[object]] = _as_it_is  # raises where a job is not to go on
        self.is_checked: Callable[[Job], bool] = lambda job: False  # whether somebody still looks at it
        self.end_check: Callable[[Job], None] = lambda job: None
        self.look: Callable[[], None] = lambda: None  # at ComfyUI's queue, before anybody is told of a job

    # -- a job's life ----------------------------------------------------------------------------------

    def add(self, prompt_id: str, request: Request, policy: QueuePolicy, draft: Draft = NONE) -> Job | None:
        """A watched prompt is on its way to the queue. None when that id is taken by an earlier job."""
        breakpoints = (*self._breakpoints(), *of_workflow(request.extra_data), *draft.breakpoints)
        view = queued(prompt_id, policy, breakpoints, self.store.database.trouble_at_start, draft.cell)
        job = self._make_job(view, request)
        if not self.taken.claim(prompt_id):
            return None
        self.recordings.set_aside(prompt_id)  # of a job that the database does not know
        with self._lock:
            self._by_prompt[prompt_id] = job
        self.store.add(view, request)
        self._changed(job, view, Change("queued", State.QUEUED, State.QUEUED, 0, view.created_at))
        return job

    def draft(self, view: JobView, request: Request) -> Job:
        """A job that nobody knows of yet."""
        job = self._make_job(view, request)
        job.travelled = True
        return job

    def add_draft(self, job: Job, change: Change) -> None:
        """A draft becomes a job like any other."""
        self.store.add(job.view(), job.request)
        self.add_stored(job, change)

    def add_stored(self, job: Job, change: Change) -> None:
        """The same of one whose row is there already."""
        self.taken.claim(job.job_id)
        with self._lock:
            self._by_prompt[job.job_id] = job
        self._changed(job, job.view(), change)

    def keep_loaded(self, job: Job) -> Job:
        """Keep a job that ended at hand again; the one that is, where another was quicker."""
        prompt_ids = job.view().prompt_ids
        with self._lock:
            if job.job_id not in self.taken:
                raise UnknownJob(job.job_id)
            known = self._by_prompt.setdefault(job.job_id, job)
            self._by_prompt |= dict.fromkeys(prompt_ids, known)
        return known

    def withdraw(self, job: Job) -> None:
        """ComfyUI refused the prompt: there never was a job."""
        self._release(job)
        self.store.delete(job.job_id)

    def update_request(self, job: Job, request: Request) -> None:
        """What stands in ComfyUI's queue is what a later run repeats."""
        known = job.request  # outputs None: all, also those that an edit adds
        job.request = replace(request, outputs=known.outputs, kept=known.kept)
        self.store.save_request(job.job_id, job.request)

    def keep(self, job: Job, kept: Kept) -> None:
        """What a run of the job did, which later ones need not do again."""
        job.request = replace(job.request, kept=kept)
        self.store.save_kept(job.job_id, kept)

    def add_run(
        self, job: Job, prompt_id: str, request: Request | None = None, taken: Edits | None = None
    ) -> None:
        """From now on that prompt id means this job; see Runs.queue."""
        job.runs.queue(prompt_id, request, taken)
        if taken or request is not None:
            self.store.save_request(job.job_id, job.request)
        self.taken.claim(prompt_id)
        with self._lock:
            self._by_prompt[prompt_id] = job

    def delete(self, job: Job) -> None:
        """Its ids are free again when its files are gone."""
        self.end_check(job)
        self._forget(job)
        self.store.delete(job.job_id)
        self.recordings.drop(job.job_id, lambda: self._release(job))

    def settle(self, job: Job) -> None:
        """Let go of a job that ended, left ComfyUI and is not checked. What is on disk stays there."""
        if job.state in ENDED and not job.runs.active and not self.is_checked(job):
            self._forget(job)
            self.recordings.close(job.job_id)

    # -- finding ---------------------------------------------------------------------------------------

    def get(self, any_id: str) -> Job | None:
        """A job of this session, by any of its prompt ids."""
        with self._lock:
            return self._by_prompt.get(any_id)

    def live(self) -> list[Job]:
        """Jobs that have a run in ComfyUI."""
        with self._lock:
            jobs = {id(job): job for job in self._by_prompt.values() if job.runs.active}
        return list(jobs.values())

    async def load(self, any_id: str) -> Job:
        """Any job, from memory or from the store; raises UnknownJob."""
        self.look()
        while True:
            job = self.get(any_id)
            if job is not None:
                return job
            forgotten = self._forgotten
            try:
                stored = await asyncio.wrap_future(self.store.find(any_id))
            except UnicodeEncodeError:  # a lone surrogate: no such id was ever stored
                stored = None
            if forgotten == self._forgotten:  # else what was read may be older than what became of the job
                break
        if stored is None:
            raise UnknownJob(any_id)
        job = self.revive(stored)
        if job.state in RESUMABLE:
            await self._tell_what_is_missing(job, stored.secret_keys)
        return job

    def revive(self, stored: StoredJob) -> Job:
        """One that ended stays with who asks, any other is kept. Raises UnknownJob where it is deleted."""
        job = self._make_job(stored.view, stored.request)
        job.cursor = stored.cursor
        with self._lock:
            if job.job_id not in self.taken:
                raise UnknownJob(job.job_id)  # deleted since it was read
            if stored.view.state in ENDED:
                return job
            revived = self._by_prompt.setdefault(stored.view.job_id, job)
            for prompt_id in stored.view.prompt_ids:
                self._by_prompt[prompt_id] = revived
        return revived

    async def ready(self, job: Job) -> Job:
        """What is to be known before it goes on is. Raises MidrunError where it may not."""
        await self.may_run(job)
        return await self.look_around(job)

    async def page(
        self, states: frozenset[State], limit: int, before: int | None
    ) -> list[tuple[int, JobView]]:
        """(cursor, view) of stored jobs, newest first; those of this session as they are now."""
        self.look()
        stored = await asyncio.wrap_future(self.store.page(states, limit, before))
        return [(row.cursor, self._present(row)) for row in stored]

    async def related(self, how: str, name: str) -> list[JobView]:
        """The jobs of that parent, or of that grid, the oldest first, as they are now."""
        stored = await asyncio.wrap_future(self.store.related(how, name))
        return [self._present(row) for row in stored]

    # -- being told ------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` at every change, under the job's lock: it must not block. Returns its removal."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def save(self) -> None:
        """Store all jobs as they are now, and wait until that is done."""
        with self._lock:
            jobs = {id(job): job for job in self._by_prompt.values()}
        for job in jobs.values():
            self.store.save(job.view(), None)
            self.save_telemetry(job)
        self.store.written().result()

    def save_telemetry(self, job: Job) -> None:
        """Store what was measured of the job and is not stored yet."""
        job.save_measured(partial(self.store.save_measured, job.job_id))

    def _changed(self, job: Job, view: JobView, change: Change | None) -> None:
        if change is not None and change.kind == "take_dropped":
            for recording in self.recordings.calls(job.job_id).values():
                if recording.rewound and not len(recording):  # it began after what the job was rewound to
                    recording.clear()
        if change is not None:
            self._saved[job.job_id] = time.monotonic()
            self.save_telemetry(job)  # first, so that the ledger knows all that the job did until then
            self.store.save(view, change)
            if change.state_to in (State.ABORTED, State.FAILED):
                node_id = (view.error.node_id if view.error else None) or view.display_node_id
                prompt = job.request.prompt
                blamed = graph.class_type(prompt, node_id), graph.model_file(prompt, view.display_node_id)
                self.store.record_failure_cause(job.job_id, *blamed)
        else:
            if time.monotonic() - self._saved.get(job.job_id, 0.0) >= SAVE_PROGRESS_EVERY_S:
                self._saved[job.job_id] = time.monotonic()
                self.store.save(view, None)
                self.save_telemetry(job)
        for listener in list(self._listeners):
            listener(job, view, change)

    # -- inside ----------------------------------------------------------------------------------------

    def _present(self, stored: StoredJob) -> JobView:
        job = self.get(stored.view.job_id)
        if job is not None:
            return job.view()
        if stored.secret_keys and stored.view.state in RESUMABLE:
            return replace(stored.view, warnings=stored.view.warnings | dict([WITHOUT_SECRETS]))
        return stored.view

    async def _tell_what_is_missing(self, job: Job, secret_keys: list[str]) -> None:
        """Of a job that an earlier server began."""
        if secret_keys and job.request.secrets is None:
            job.warn(WITHOUT_SECRETS)
        evaluations = job.view().evaluations
        if evaluations and not await asyncio.to_thread(self.recordings.exists, job.job_id):
            job.warn(RECORDING_GONE, evaluations)

    def _release(self, job: Job) -> None:
        """Its ids are free again."""
        self._forget(job)
        self.taken.free(*job.view().prompt_ids)

    def _forget(self, job: Job) -> None:
        prompt_ids = job.view().prompt_ids
        with self._lock:
            for prompt_id in prompt_ids:
                if self._by_prompt.get(prompt_id) is job:
                    del self._by_prompt[prompt_id]
            self._forgotten += 1
        self._saved.pop(job.job_id, None)


async def _as_it_is(job: Job) -> Job:
    return job
