"""Sends what is on the disk of jobs that are not over to a store, behind the writer, never in its way.

On a thread of its own; another one beats, so that nobody takes this server for dead while it sends much. The
local disk stays the truth: what the store does not take now follows later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from ..job.job import Job
from ..job.view import Change, JobView
from ..job.warnings import NOT_IN_STORE
from ..recording.disk import DiskRecordings
from ..server_directory import directory_name
from ..services.exporting import Exporting
from .claims import Claim, Claims
from .remote import Remote, Unreachable
from .sending import Again, Mirrored, Sender

log = logging.getLogger(__name__)
EVERY_S = 0.5  # between two turns, so that what belongs together is sent together
SHARE = 0.01  # of the interpreter's time that this may take from the sampler
AGAIN_S = 0.2  # between two attempts while somebody waits for it
END_S = 2.0  # that its end waits for what is being sent, and for the store to be told
LONGEST_S = 30.0  # between two turns, while the store does not answer or after one that cost much


class Sent(Enum):
    """What became of a job in a turn."""

    WHOLE = "whole"
    PARTLY = "partly"  # there was more than was on the disk
    NOT = "not"


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
        self._sender = Sender(claims, recordings, exporting)
        self._every_s = every_s
        self._changed = threading.Condition()
        self._waiting: dict[str, Job] = {}  # by id, whose state or recording changed
        self._busy = False
        self._taking = self._hurried = 0
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

    @contextmanager
    def taking(self) -> Iterator[None]:
        """While a job is being taken over, this server beats."""
        self._taking += 1
        try:
            yield
        finally:
            self._taking -= 1

    def deleted(self, job_id: str) -> None:
        """Nothing of it is to be left in the store."""
        known = self._known.get(job_id)
        if known is not None:
            known.deleted = True
            with self._changed:
                self._waiting[job_id] = known.job
                self._changed.notify_all()

    def is_lost(self, job_id: str) -> bool:
        """Whether it is known that another server took the job over."""
        known = self._known.get(job_id)
        return known is not None and known.foreign

    def owns(self, job: Job) -> bool:
        """Whether the job is this server's, or is so now. Raises Unreachable."""
        known = self._known.setdefault(job.job_id, Mirrored(job, directory_name(job.job_id)))
        return self._sender.claimed(self.remote(), known)

    def flush(self, timeout_s: float) -> bool:
        """Whether the store has all there is, by then."""
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)
            finally:
                self._hurried -= 1

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
                self.claims.end(self._remote, END_S)
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
            begun = time.thread_time()
            results = {job_id: self._sent(job) for job_id, job in taken.items()}
            left = {job_id: job for job_id, job in taken.items() if results[job_id] is not Sent.WHOLE}
            failed = Sent.NOT in results.values()
            cost_s = (time.thread_time() - begun) / SHARE
            pause_s = min(LONGEST_S, max(1.0, pause_s * 2) if failed else max(self._every_s, cost_s))
            with self._changed:
                self._waiting = left | self._waiting
                self._busy = False
                self._changed.notify_all()
                self._rest(pause_s, failed)

    def _rest(self, pause_s: float, failed: bool) -> None:
        """With the lock. Somebody who waits for the store cuts it short."""
        if failed and self._hurried:
            self._changed.wait_for(lambda: self._closed, AGAIN_S)
        else:
            self._changed.wait_for(lambda: self._closed or self._hurried, pause_s)

    def _beat(self) -> None:
        while not self._ending.wait(self.claims.beat_s):
            known = self._known.copy().values()
            owns = self._taking or any(one.claim is not None and not one.foreign for one in known)
            if owns and self._remote is not None:
                try:
                    self.claims.beat(self._remote)
                except Unreachable as error:
                    log.debug("Midrun: no beat: %s", error)

    def _sent(self, job: Job) -> Sent:
        known = self._known.setdefault(job.job_id, Mirrored(job, directory_name(job.job_id)))
        known.job = job
        try:
            if not self._sender.send(self.remote(), known):
                self._known.pop(job.job_id, None)
        except Again:
            self._tell(known, None)
            return Sent.PARTLY
        except Unreachable as error:
            self._tell(known, str(error))
            return Sent.NOT
        except Exception as error:  # noqa: BLE001  one job that cannot be told must not keep others from it
            if self._closed:  # nothing of the rest may be there any more
                return Sent.WHOLE
            log.exception("Midrun could not send job %s to the store", job.job_id)
            self._tell(known, repr(error)[:200])
            return Sent.WHOLE
        self._tell(known, None)
        return Sent.WHOLE

    def _tell(self, known: Mirrored, trouble: str | None) -> None:
        self.trouble = trouble
        if trouble is not None:
            known.troubled = True
            known.job.warn(NOT_IN_STORE, trouble)
        elif known.troubled:
            known.troubled = False
            known.job.unwarn(NOT_IN_STORE)
