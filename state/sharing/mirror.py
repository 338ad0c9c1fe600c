"""Sends what is on the disk of jobs that are not over to a store, behind the writer, never in its way.

On a thread of its own; another one beats, so that nobody takes this server for dead while it sends much. The
local disk stays the truth: what the store does not take now follows later.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bundles.job_file import to_json
from ..bundles.layout import INPUTS, RECORDING
from ..job.job import Job
from ..job.transitions import ENDED
from ..job.view import Change, JobView
from ..job.warnings import NOT_IN_STORE, TAKEN_OVER
from ..recording.disk import DiskRecordings
from ..server_directory import directory_name
from ..services.exporting import Exporting
from ..states import PauseReason, State
from ..surroundings import Surroundings
from .claims import BEAT_S, Claim, Claims
from .manifest import Manifest, Piece, digest_of, packed
from .remote import Remote, Unreachable
from .retries import made_in

log = logging.getLogger(__name__)
EVERY_S = 0.5  # between two turns, so that what belongs together is sent together
SHOWN_EVERY_S = 5.0  # what others list of a job, where only its step changed
END_S = 2.0  # that its end waits for what is being sent
LONGEST_S = 30.0  # between two attempts while the store does not answer


@dataclass
class Mirrored:
    """What the store has of a job. files: with the mark that each had on the disk

    foreign: the store has another job of that id, or another server took this one over
    """

    job: Job
    key: str
    claim: Claim | None = None
    files: dict[str, tuple[str, Piece]] = field(default_factory=dict)
    then: Surroundings | None = None
    digests: dict[str, str] = field(default_factory=dict)  # of input files, by path and mark
    graphs: set[str] = field(default_factory=set)
    shown: tuple[float, dict[str, Any]] = (0.0, {})  # when, what
    deleted: bool = False
    foreign: bool = False
    troubled: bool = False


class Again(Exception):
    """A file went while it was read: the next turn has what took its place."""


class Mirror:
    """open_remote: raises Unreachable"""

    def __init__(
        self,
        open_remote: Callable[[], Remote],
        claims: Claims,
        recordings: DiskRecordings,
        exporting: Exporting,
        every_s: float = EVERY_S,
    ) -> None:
        self._open = open_remote
        self.claims = claims
        self._recordings = recordings
        self._exporting = exporting
        self._every_s = every_s
        self._changed = threading.Condition()
        self._waiting: dict[str, Job] = {}  # by id, whose state or recording changed
        self._busy = False
        self._closed = False
        self._ending = threading.Event()
        self._known: dict[str, Mirrored] = {}
        self._remote: Remote | None = None
        self.trouble: str | None = None  # a sentence; of the store, not of one job
        named = ("midrun-mirror", self._run), ("midrun-beat", self._beat)
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in named]
        for thread in self._threads:
            thread.start()

    def on_change(self, job: Job, view: JobView, change: Change | None) -> None:
        """A listener of the registry."""
        if change is not None and change.kind.startswith(NOT_IN_STORE[0]):
            return  # of its own making
        with self._changed:
            self._waiting[job.job_id] = job
            self._changed.notify_all()

    def remote(self) -> Remote:
        """The store, opened once. Raises Unreachable."""
        if self._remote is None:
            self._remote = self._open()
        return self._remote

    def try_to_open(self) -> None:
        """So that trouble is told before there is a job."""
        try:
            self.remote()
            log.info("Midrun shares jobs by %s", self._remote and self._remote.url)
        except Unreachable as error:
            self.trouble = str(error)
            log.warning("Midrun: the shared store cannot be used: %s", error)

    def adopt(self, job: Job, key: str, claim: Claim) -> None:
        """A job that was taken over is sent on under its claim; what is there of its files is sent again."""
        with self._changed:
            self._known[job.job_id] = Mirrored(job, key, claim)
            self._waiting[job.job_id] = job
            self._changed.notify_all()

    def deleted(self, job_id: str) -> None:
        """Nothing of it is to be left in the store."""
        known = self._known.get(job_id)
        if known is not None:
            known.deleted = True
            with self._changed:
                self._waiting[job_id] = known.job
                self._changed.notify_all()

    def is_lost(self, job_id: str) -> bool:
        """Whether another server took the job over."""
        known = self._known.get(job_id)
        return known is not None and known.foreign and known.claim is not None

    def flush(self, timeout_s: float) -> bool:
        """Whether the store has all there is, by then."""
        with self._changed:
            idle = lambda: not self._waiting and not self._busy  # noqa: E731
            return self._changed.wait_for(idle, timeout_s)

    def end(self) -> None:
        """In order: what is here may be taken over at once. Nothing is sent any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._ending.set()
        for thread in self._threads:
            thread.join(END_S)
        if self._remote is not None:
            try:
                self.claims.end(self._remote)
            except Unreachable as error:
                log.warning("Midrun: the store was not told that this server ends: %s", error)

    # -- on the threads --------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = self._every_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                taken, self._waiting, self._busy = self._waiting, {}, True
            failed = [job for job in taken.values() if not self._sent(job)]
            pause_s = min(LONGEST_S, max(1.0, pause_s * 2)) if failed else self._every_s
            with self._changed:
                self._waiting = {job.job_id: job for job in failed} | self._waiting
                self._busy = False
                self._changed.notify_all()
            self._ending.wait(pause_s)

    def _beat(self) -> None:
        while not self._ending.wait(BEAT_S):
            owns = any(one.claim is not None and not one.foreign for one in self._known.copy().values())
            if owns and self._remote is not None:
                try:
                    self.claims.beat(self._remote)
                except Unreachable as error:
                    log.debug("Midrun: no beat: %s", error)

    def _sent(self, job: Job) -> bool:
        known = self._known.setdefault(job.job_id, Mirrored(job, directory_name(job.job_id)))
        known.job = job
        try:
            self._send(self.remote(), known)
        except (Unreachable, Again) as error:
            self._tell(known, None if isinstance(error, Again) else str(error))
            return False
        except Exception as error:  # noqa: BLE001  one job that cannot be told must not keep others from it
            if self._closed:  # nothing of the rest may be there any more
                return True
            log.exception("Midrun could not send job %s to the store", job.job_id)
            self._tell(known, repr(error)[:200])
            return True
        self._tell(known, None)
        return True

    def _tell(self, known: Mirrored, trouble: str | None) -> None:
        self.trouble = trouble
        if trouble is not None:
            known.troubled = True
            known.job.warn(NOT_IN_STORE, trouble)
        elif known.troubled:
            known.troubled = False
            known.job.unwarn(NOT_IN_STORE)

    def _send(self, remote: Remote, known: Mirrored) -> None:
        view = known.job.view()
        over = view.state in ENDED or known.deleted
        if known.foreign or (over and known.claim is None) or not self._claimed(remote, known):
            return
        if over:
            self._finish(remote, known)
            return
        manifest = self._manifest(remote, known, view)
        remote.put(_manifest_name(known), manifest.to_bytes())
        digests = {f"graphs/{one.digest}/{known.key}" for one in manifest.made.values()}
        for name in sorted(digests - known.graphs):
            remote.put(name, b"")
        remote.delete(sorted(known.graphs - digests))
        known.graphs = digests
        self._show(remote, known, view)

    def _claimed(self, remote: Remote, known: Mirrored) -> bool:
        """Whether the job is still this server's, or is so now."""
        if known.claim is not None:
            if self.claims.is_overtaken(remote, known.key, known.claim):
                self._lose(remote, known)
            return not known.foreign
        self.claims.beat(remote)
        before = self.claims.newest(remote, known.key)
        if before is None or before.owner.home == self.claims.me.home:
            number = 1 if before is None else before.number + 1
            known.claim = self.claims.create(remote, known.key, number)
        known.foreign = known.claim is None
        if known.foreign:
            log.warning("Midrun: the store has job %s of another server", known.job.job_id)
        return not known.foreign

    def _lose(self, remote: Remote, known: Mirrored) -> None:
        newest = self.claims.newest(remote, known.key)
        known.foreign = True
        known.job.warn(TAKEN_OVER, "another machine" if newest is None else newest.owner.host)
        if known.job.state in (State.QUEUED, State.RUNNING):
            known.job.pause(PauseReason.USER)

    def _manifest(self, remote: Remote, known: Mirrored, view: JobView) -> Manifest:
        """What is on the disk, once all of it is in the store."""
        job, prompt = known.job, known.job.request.prompt
        if known.then is None:
            known.then = self._exporting.describe(job, quick=True)
        calls = self._recordings.read(job.job_id)
        beside, inputs = self._exporting.beside(job)
        sent = replace(self._exporting.tell(job, view, calls, beside), then=known.then)
        lying = {f"{RECORDING}/{name}": one for name, one in self._recordings.listing(job.job_id).items()}
        for file, path in inputs.items():
            told = path.stat()
            lying[f"{INPUTS}/{file}"] = (path, f"{told.st_size} {told.st_mtime_ns}")
        changed = {name: path for name, (path, mark) in lying.items() if not _is_sent(known, name, mark)}
        try:
            for pack in packed(changed):
                name = f"jobs/{known.key}/blobs/{pack.blob}"
                if pack.content is not None:
                    remote.put(name, pack.content, 60.0)
                elif pack.file is not None:
                    remote.send(name, pack.file)
                known.files |= {name: (lying[name][1], piece) for name, piece in pack.files.items()}
        except FileNotFoundError as error:
            raise Again from error
        known.files = {name: one for name, one in known.files.items() if name in lying}
        files = {name: piece for name, (_, piece) in known.files.items()}
        digests = {one.value: _input_digest(known, *lying[f"{INPUTS}/{one.file}"]) for one in beside.inputs}
        return Manifest(to_json(sent), files, made_in(prompt, calls), digests)

    def _finish(self, remote: Remote, known: Mirrored) -> None:
        """Nobody has anything left to do with it: only its claims stay, so that nobody takes it up."""
        assert known.claim is not None
        self.clear(remote, known.key, known.claim)
        remote.delete(sorted(known.graphs))
        self._known.pop(known.job.job_id, None)

    def clear(self, remote: Remote, key: str, claim: Claim) -> None:
        """Of a job that is over. Raises Unreachable."""
        remote.put(f"jobs/{key}/claims/{claim.name}.json", Manifest({}, ended=True).to_bytes())
        folder = f"jobs/{key}/blobs"
        remote.delete([f"open/{key}", *(f"{folder}/{one.name}" for one in remote.entries(folder))])

    def _show(self, remote: Remote, known: Mirrored, view: JobView) -> None:
        """What others list of it."""
        shown = {
            "job_id": view.job_id,
            "state": view.state.value,
            "workflow": view.origin.workflow_name,
            "node_id": view.display_node_id,
            "step": view.step,
            "total_steps": view.total_steps,
            "host": self.claims.me.host,
            "life": self.claims.me.life,
        }
        at, before = known.shown
        same = shown == before | {"step": view.step}
        if not same or time.monotonic() - at > SHOWN_EVERY_S:
            remote.put(f"open/{known.key}", json.dumps(shown | {"at": time.time()}).encode())
            known.shown = time.monotonic(), shown


def _is_sent(known: Mirrored, name: str, mark: str) -> bool:
    return name in known.files and known.files[name][0] == mark


def _input_digest(known: Mirrored, path: Path, mark: str) -> str:
    name = f"{path} {mark}"
    if name not in known.digests:
        known.digests[name] = digest_of(path)
    return known.digests[name]


def _manifest_name(known: Mirrored) -> str:
    assert known.claim is not None
    return f"jobs/{known.key}/claims/{known.claim.name}.json"
