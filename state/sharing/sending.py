"""What is sent of one job, so that a store has all that is on the disk of it. Any thread that may wait."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from ..bundles.job_file import to_json
from ..bundles.layout import INPUTS, RECORDING
from ..job.job import Job
from ..job.transitions import ENDED
from ..job.view import JobView
from ..job.warnings import TAKEN_OVER
from ..recording.disk import DiskRecordings
from ..server_directory import directory_name
from ..services.exporting import Exporting
from ..states import PauseReason, State
from ..surroundings import Surroundings
from .claims import Claim, Claims
from .manifest import Manifest, Piece, digest_of, packed
from .newness import changed_since
from .remote import Remote, Unreachable
from .retries import made_in

log = logging.getLogger(__name__)
SHOWN_EVERY_S = 5.0  # what others list of a job, where only its step changed


@dataclass
class Mirrored:
    """What the store has of a job. files: with the mark that each had on the disk

    foreign: the store has another job of that id, or another server took this one over
    doubted: what was written under the claim had no answer, and may still land at any time
    """

    job: Job
    key: str
    claim: Claim | None = None
    files: dict[str, tuple[str, Piece]] = field(default_factory=dict)
    then: Surroundings | None = None
    digests: dict[str, str] = field(default_factory=dict)  # of input files, as the graph names them
    manifest: Manifest = Manifest({})  # the newest
    shown: tuple[float, dict[str, Any]] = (0.0, {})  # when, what
    deleted: bool = False
    foreign: bool = False
    doubted: bool = False
    troubled: bool = False


class Again(Exception):
    """The next turn has more: a file went while it was read, or is on its way to the disk."""


class Sender:
    """Methods raise Unreachable, or Again."""

    def __init__(self, claims: Claims, recordings: DiskRecordings, exporting: Exporting) -> None:
        self._claims = claims
        self._recordings = recordings
        self._exporting = exporting
        self._claiming = threading.Lock()

    def send(self, remote: Remote, known: Mirrored) -> bool:
        """Whether there is anything left to send of it, one day."""
        view = known.job.view()
        over = view.state in ENDED or known.deleted
        if known.foreign or (over and known.claim is None) or not self.claimed(remote, known):
            return known.foreign  # of a job that was lost it is to be known
        if over:
            assert known.claim is not None
            clear(remote, known.key, known.claim, known.manifest)
            return False
        manifest, lags = self._manifest(remote, known, view)
        was, now = graphs_of(known.key, known.manifest), graphs_of(known.key, manifest)
        for name in sorted(now - was):  # before it is there: whoever reads it is to be found by its graphs
            remote.put(name, b"")
        self._tell(remote, known, manifest)
        remote.delete(sorted(was - now))
        known.manifest = manifest
        self._show(remote, known, view)
        if lags:
            # The newest evaluation is on its way to the disk; perhaps nothing else tells when it is there.
            raise Again
        return True

    def claimed(self, remote: Remote, known: Mirrored) -> bool:
        """Whether the job is still this server's, or is so now."""
        with self._claiming:
            if known.foreign:
                return False
            if known.claim is not None:
                if known.doubted or self._claims.is_overtaken(remote, known.key, known.claim):
                    self._renew(remote, known)
                return not known.foreign
            self._claims.beat(remote)
            self._claim(remote, known)
            if known.claim is None:
                self._lose(remote, known)
            return known.claim is not None

    def _claim(self, remote: Remote, known: Mirrored) -> None:
        """One that nobody has, or that this server had when it was started last."""
        before = self._claims.newest(remote, known.key)
        if before is not None and before.owner.home != self._claims.me.home:
            other = directory_name(f"{known.job.job_id} {self._claims.me.home}")
            found = self._claims.newest(remote, other)
            if found is not None or known.job.cursor is None:  # another's that has the same id by chance
                known.key, before = other, found
        mine = before is not None and before.owner.life == self._claims.me.life
        if before is not None and mine and not self._claims.is_given_up(remote, known.key, before):
            known.claim = before  # it was just taken over
        elif before is None or before.owner.home == self._claims.me.home:
            number = 1 if before is None else before.number + 1
            known.claim = self._claims.create(remote, known.key, number)

    def _renew(self, remote: Remote, known: Mirrored) -> None:
        """The next claim, so that nobody reads what was written under this one and lands late."""
        claim = known.claim
        assert claim is not None
        mine = self._claims.create(remote, known.key, claim.number + 1) if known.doubted else None
        if mine is None:
            mine = self._claims.newest(remote, known.key)
        if mine is None or mine.owner.life != self._claims.me.life:
            self._lose(remote, known)
        else:
            known.claim, known.doubted = mine, False

    def _tell(self, remote: Remote, known: Mirrored, manifest: Manifest) -> None:
        try:
            remote.put(_manifest_name(known), manifest.to_bytes())
        except Unreachable:
            known.doubted = True
            raise

    def _lose(self, remote: Remote, known: Mirrored) -> None:
        newest = self._claims.newest(remote, known.key)
        known.foreign = True
        known.job.warn(TAKEN_OVER, "another machine" if newest is None else newest.owner.host)
        if known.job.state in (State.QUEUED, State.RUNNING):
            known.job.pause(PauseReason.USER)

    def _manifest(self, remote: Remote, known: Mirrored, view: JobView) -> tuple[Manifest, bool]:
        """What is on the disk, once all of it is in the store; whether the job has come further."""
        job, prompt = known.job, known.job.request.prompt
        if known.then is None:
            known.then = self._exporting.describe(job, quick=True)
        self._recordings.written()  # a paused job is told of once: with all that it came to
        calls = self._recordings.read(job.job_id)
        beside, inputs = self._exporting.beside(job)
        sent = replace(self._exporting.tell(job, view, calls, beside), then=known.then)
        lying = {f"{RECORDING}/{name}": one for name, one in self._recordings.listing(job.job_id).items()}
        for one in beside.inputs:  # as they were at first: that is what was computed from
            path = inputs[one.file]
            lying[f"{INPUTS}/{one.file}"] = path, one.value
            if one.value not in known.digests:
                other = changed_since(path, view.created_at)
                known.digests[one.value] = "" if other else digest_of(path)
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
        digests = {one.value: known.digests[one.value] for one in beside.inputs}
        here = (view.node_id, view.call) == (sent.view.node_id, sent.view.call)
        lags = view.evaluations > (sent.view.evaluations if here else 0)
        lags = lags and view.take is None and (here or view.state is State.RUNNING)
        return Manifest(to_json(sent), files, made_in(prompt, calls), digests), lags

    def _show(self, remote: Remote, known: Mirrored, view: JobView) -> None:
        """What others list of it."""
        shown = {
            "job_id": view.job_id,
            "state": view.state.value,
            "workflow": view.origin.workflow_name,
            "node_id": view.display_node_id,
            "step": view.step,
            "total_steps": view.total_steps,
            "host": self._claims.me.host,
            "life": self._claims.me.life,
        }
        at, before = known.shown
        same = shown == before | {"step": view.step}
        if not same or time.monotonic() - at > SHOWN_EVERY_S:
            remote.put(f"open/{known.key}", json.dumps(shown | {"at": time.time()}).encode())
            known.shown = time.monotonic(), shown


def graphs_of(key: str, manifest: Manifest) -> set[str]:
    """The objects by which a retry finds the job."""
    return {f"graphs/{one.digest}/{key}" for one in manifest.made.values()}


def clear(remote: Remote, key: str, claim: Claim, was: Manifest) -> None:
    """Nobody has anything left to do with the job: only its claims stay, so that nobody takes it up."""
    remote.put(f"jobs/{key}/claims/{claim.name}.json", Manifest({}, ended=True).to_bytes())
    folder = f"jobs/{key}/blobs"
    remote.delete([f"open/{key}", *sorted(graphs_of(key, was))])
    remote.delete(f"{folder}/{one.name}" for one in remote.entries(folder))


def _is_sent(known: Mirrored, name: str, mark: str) -> bool:
    return name in known.files and known.files[name][0] == mark


def _manifest_name(known: Mirrored) -> str:
    assert known.claim is not None
    return f"jobs/{known.key}/claims/{known.claim.name}.json"
