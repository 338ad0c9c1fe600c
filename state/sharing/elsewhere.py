"""Retry is resume, across servers: what another computed of the same prompt, out of the store.

On ComfyUI's worker thread, before anything of the job is sampled. Whoever computes the same from the same
needs no claim. Each look has a deadline: without an answer the job begins at its beginning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..bundles.comparing import differences
from ..bundles.job_file import Sent, sent_of
from ..bundles.layout import INPUTS, RECORDING, BadBundle
from ..errors import MidrunError
from ..job.job import Job
from ..job.view import JobView
from ..recording.disk import DiskRecordings
from ..recording.recording import Call
from ..services.exporting import Found
from ..services.importing import Importing
from ..states import LEFT_BEHIND, State
from ..surroundings import Surroundings
from ..workflow.graph import Prompt
from ..workflow.sameness import Sameness
from .fetching import newest_manifest
from .manifest import Manifest, digest_of
from .mirror import Mirror
from .remote import Remote, Unreachable, within
from .sending import clear
from .shared import received

log = logging.getLogger(__name__)
LOOK_S = 15.0  # that a prompt may wait until it is known whether there is anything; busy machines are slow
FETCH_S = 120.0  # and until it is here
MOST_LOOKED_AT = 8
REST_S = 60.0  # after a look without an answer, so that a slow store does not delay each prompt


class Around(Protocol):
    """What this ComfyUI computes with."""

    def again(self, then: Surroundings, prompt: Prompt, thoroughly: bool) -> Surroundings: ...
    def files(self, prompt: Prompt) -> Sequence[Found]: ...


@dataclass(frozen=True)
class Offer:
    """A job of the store that has something of the same."""

    key: str
    host: str
    sent: Sent
    manifest: Manifest
    calls: tuple[Call, ...]

    @property
    def size(self) -> int:
        return sum(name.rpartition("/")[2][0].isdigit() for name in self.manifest.files)


class Elsewhere:
    def __init__(
        self, mirror: Mirror, importing: Importing, recordings: DiskRecordings, around: Around
    ) -> None:
        self._mirror = mirror
        self._importing = importing
        self._recordings = recordings
        self._around = around
        self._rests_until = 0.0

    def take_up(self, job: Job, same: Sameness) -> tuple[str, str] | None:
        """(job_id, host) of the job whose recordings lie where this job's are by now."""
        if self._mirror.trouble is not None or time.monotonic() < self._rests_until:
            return None  # it is known not to answer in time
        prompt = job.request.prompt
        try:
            remote = self._mirror.remote()
            found = self._looked(remote, prompt, same)
            best = max(found, key=lambda one: one.size, default=None)
            if best is None:
                return None
            self._fetch(remote, job.job_id, best)
        except (Unreachable, FileNotFoundError, FileExistsError, MidrunError, OSError) as error:
            log.warning("Midrun: nothing is taken from the store for job %s: %s", job.job_id, error)
            return None
        return best.sent.view.job_id, best.host

    def end(self, key: str) -> None:
        """What went on here is complete: nobody has anything left to do with it, if its server is dead.

        Waits until that can be told.
        """
        claims = self._mirror.claims
        try:
            remote = self._mirror.remote()
            newest = claims.newest(remote, key)
            if newest is None or claims.lives(remote, newest.owner.life, wait=True):
                return
            manifest = newest_manifest(remote, key, newest.number)
            mine = claims.create(remote, key, newest.number + 1)
            if mine is not None and manifest is not None:
                clear(remote, key, mine, manifest)
        except (Unreachable, BadBundle) as error:
            log.warning("Midrun: job %s stays in the store: %s", key, error)

    # -- inside ----------------------------------------------------------------------------------------

    def _looked(self, remote: Remote, prompt: Prompt, same: Sameness) -> list[Offer]:
        try:
            return within(LOOK_S, lambda: self._offers(remote, prompt, same))
        except Unreachable:
            self._rests_until = time.monotonic() + REST_S
            raise

    def _offers(self, remote: Remote, prompt: Prompt, same: Sameness) -> list[Offer]:
        keys: dict[str, None] = {}
        for digest in same.of_samplers(MOST_LOOKED_AT):
            keys |= dict.fromkeys(entry.name for entry in remote.entries(f"graphs/{digest}"))
        found = []
        for key in list(keys)[:MOST_LOOKED_AT]:
            try:
                offer = self._offer(remote, key, prompt, same)
            except BadBundle as error:
                log.warning("Midrun: the store's job %s is left alone: %s", key, error)
                continue
            found += [] if offer is None else [offer]
        return found

    def _offer(self, remote: Remote, key: str, prompt: Prompt, same: Sameness) -> Offer | None:
        claim = self._mirror.claims.newest(remote, key)
        if claim is None or claim.owner.life == self._mirror.claims.me.life:  # of this server: no orphan
            return None
        manifest = newest_manifest(remote, key, claim.number)
        if manifest is None or manifest.ended:
            return None
        sent = sent_of(manifest.job)
        calls = [call for call, one in manifest.made.items() if same.of(one.node_id, one.whole) == one.digest]
        if not calls or not _may_be_gone_on_from(sent) or not self._is_same_here(prompt, sent, manifest):
            return None
        return Offer(key, claim.owner.host, sent, manifest, tuple(calls))

    def _is_same_here(self, prompt: Prompt, sent: Sent, manifest: Manifest) -> bool:
        """The machine, the models and the input files: names alone do not tell."""
        if not sent.then.values:
            return False
        now = self._around.again(sent.then, prompt, False)
        if any(one.arithmetic for one in differences(sent.then, now, ())):
            return False
        there = {one.value: manifest.files.get(f"{INPUTS}/{one.file}") for one in sent.inputs}
        for found in self._around.files(prompt):
            piece = there.get(found.value)
            if found.path is None or piece is None or found.path.stat().st_size != piece.size:
                return False
            if digest_of(found.path) != manifest.inputs.get(found.value):
                return False
        return True

    def _fetch(self, remote: Remote, job_id: str, offer: Offer) -> None:
        """Where it takes too long, nothing of it gets to where the recordings of the job are."""
        incoming = self._importing.begin()

        def fetch() -> Path:
            received(incoming, remote, offer.key, offer.manifest, self._importing, (f"{RECORDING}/",))
            return self._importing.check(incoming).place

        try:
            place = within(FETCH_S, fetch)
            target = self._recordings.of_job(job_id)
            target.mkdir(parents=True)
            for node, ordinal in offer.calls:
                (place / RECORDING / f"{node}.{ordinal}").rename(target / f"{node}.{ordinal}")
        finally:
            incoming.close()


def _may_be_gone_on_from(sent: Sent) -> bool:
    """Nobody meant it to stand still, and it is as it was queued."""
    view: JobView = sent.view
    touched = view.edits or view.take or view.parent_id
    at_work = sent.was in (State.QUEUED, State.RUNNING)
    return not touched and (at_work or view.pause_reason in LEFT_BEHIND)
