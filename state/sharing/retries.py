"""Retry is resume: a prompt that is sent again goes on from what a server computed of it before it died.

On ComfyUI's worker thread, before anything of the job is sampled; listens on any.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..job.job import Job
from ..job.view import Change, JobView
from ..recording.disk import DiskRecordings
from ..recording.items import Damaged
from ..recording.recording import Call, Recording
from ..retried import Retried
from ..server_directory import directory_name
from ..services.recovery import corrected
from ..services.registry import Registry
from ..states import LEFT_BEHIND, AbortMode, State
from ..store.orphans import orphans
from ..workflow.graph import Prompt
from ..workflow.sameness import Sameness
from .manifest import Made
from .newness import changed_since

log = logging.getLogger(__name__)
OVER = "Its prompt was sent again, went on from here as job {}, and is complete."


@dataclass(frozen=True)
class Orphan:
    """A job that a dead server left behind. since: when it was queued"""

    job_id: str
    evaluations: int
    since: str
    made: dict[Call, Made]


class Disk(Protocol):
    """What of this ComfyUI's folders a graph names."""

    def paths(self, prompt: Prompt) -> Iterable[Path]: ...


class Elsewhere(Protocol):
    """What other servers computed."""

    def take_up(self, job: Job, same: Sameness) -> tuple[str, str] | None: ...
    def end(self, key: str) -> None: ...


class Retries:
    """enabled: whether the user wants it; later: runs a coroutine on the event loop"""

    def __init__(
        self,
        registry: Registry,
        recordings: DiskRecordings,
        disk: Disk,
        enabled: Callable[[], bool],
        later: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._registry = registry
        self._recordings = recordings
        self._disk = disk
        self._enabled = enabled
        self._later = later
        self._lock = threading.Lock()
        self._orphans = self._left_behind()
        self._looked: set[str] = set()  # jobs for which it was looked
        self.elsewhere: Elsewhere | None = None

    def take_up(self, job: Job) -> None:
        """At the first meeting with a job that was just queued. Raises nothing; may wait for the disk."""
        view = job.view()
        with self._lock:
            found = sorted(self._orphans.values(), key=lambda one: -one.evaluations)
            is_new = job.job_id not in self._looked and _is_new(view)
            if not (found or self.elsewhere) or not is_new or not self._enabled():
                return
            self._looked.add(job.job_id)
        try:
            same = Sameness(job.request.prompt)
            if not any(self._went_on_from(job, same, one) for one in found) and self.elsewhere is not None:
                taken = self.elsewhere.take_up(job, same)
                if taken is not None:
                    go_on(job, self._recordings, *taken)
        except Exception:  # noqa: BLE001  a job can always begin at its beginning
            log.exception("Midrun could not look for what was computed of job %s before", job.job_id)

    def on_change(self, job: Job, view: JobView, change: Change | None) -> None:
        """A listener of the registry: who is taken up, or looked after by a person, is no orphan any more."""
        with self._lock:
            if view.job_id in self._orphans and not is_orphan(view):
                del self._orphans[view.job_id]
            if view.state in (State.COMPLETED, State.ABORTED):
                self._looked.discard(view.job_id)
        if change is not None and change.state_to is State.COMPLETED and view.retried is not None:
            self._later(self._end(view.retried.job_id, view.job_id))

    # -- inside ----------------------------------------------------------------------------------------

    def _left_behind(self) -> dict[str, Orphan]:
        store, found = self._registry.store, {}
        for job_id in store.database.read(orphans).result():
            stored = store.find(job_id).result()
            if stored is not None and not stored.view.unreadable:
                calls = self._recordings.read(job_id)
                made, size = made_in(stored.request.prompt, calls), sum(map(len, calls.values()))
                found[job_id] = Orphan(job_id, size, stored.view.created_at, made)
        return found

    def _went_on_from(self, job: Job, same: Sameness, orphan: Orphan) -> bool:
        """Whether there was anything of the same."""
        calls = [call for call, one in orphan.made.items() if same.of(one.node_id, one.whole) == one.digest]
        if not calls or self._changed_since(orphan, job.request.prompt):
            return False
        self._recordings.share(orphan.job_id, job.job_id, dict.fromkeys(calls))
        go_on(job, self._recordings, orphan.job_id)
        self._registry.store.share_measured(orphan.job_id, job.job_id, job.view().moment)
        return True

    def _changed_since(self, orphan: Orphan, prompt: Prompt) -> bool:
        """Whether a file that the graph names may be another by now: names alone do not tell."""
        for path in self._disk.paths(prompt):
            if changed_since(path, orphan.since):
                log.info("Midrun: %s is newer than job %s", path.name, orphan.job_id)
                return True
        return False

    async def _end(self, job_id: str, by: str) -> None:
        """What went on elsewhere is complete: nothing is left to do here, nor before it."""
        if self.elsewhere is not None:
            await asyncio.to_thread(self.elsewhere.end, directory_name(job_id))
        if job_id not in self._registry.taken:
            return
        job = await self._registry.load(job_id)
        earlier = job.view().retried
        if is_orphan(job.view()):
            job.abort(AbortMode.STOP, OVER.format(by))
            self._registry.settle(job)
            if earlier is not None:
                await self._end(earlier.job_id, by)


def is_orphan(view: JobView) -> bool:
    """As `orphans` has it of a row; whether a person touched it since."""
    touched = view.edits or view.take or view.parent_id or view.imported
    return view.state is State.PAUSED and view.pause_reason in LEFT_BEHIND and not touched


def made_in(prompt: Prompt, calls: dict[Call, Recording]) -> dict[Call, Made]:
    """What each call is the same as, if anything can be.

    In a loop, of which the end feeds the beginning, the whole graph has to be the same. A node with a
    sampling loop of its own is left out: of what that was given nothing is on record that could be compared.
    """
    same, found = Sameness(prompt), {}
    for call, recording in calls.items():
        try:
            origin = recording.origin
        except Damaged:
            origin = None
        if origin is None or origin.own_loop or recording.rewound or not len(recording):
            continue
        name, whole = origin.node.display_id, bool(origin.node.loops)
        digest = same.of(name, whole)
        if digest is not None:
            found[call] = Made(name, whole, digest)
    return found


def go_on(job: Job, recordings: DiskRecordings, from_id: str, server: str | None = None) -> None:
    """With what lies where the recordings of that job are by now."""
    calls = recordings.calls(job.job_id)
    retried = Retried(from_id, sum(map(len, calls.values())), server)
    job.runs.go_on_from(retried, corrected(job.view(), calls).moment)


def _is_new(view: JobView) -> bool:
    untouched = view.node_id is None and view.parent_id is None and view.imported is None
    return len(view.prompt_ids) == 1 and untouched and view.retried is None
