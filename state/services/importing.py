"""A job from a bundle that anybody may have written: checked as a whole, then taken in as a whole.

On ComfyUI's event loop; what may wait for the disk is on threads.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ..bundles.job_file import Carried, Sent, sent_of
from ..bundles.layout import INPUTS, PREVIEWS, RECORDING, BadBundle, Limits
from ..bundles.reading import RESERVE, unpacked
from ..errors import TooLarge, Unavailable
from ..exactness import Exactness
from ..job.job import Job
from ..job.machine import utc
from ..job.view import Change, JobView
from ..pictures.previews import source_url
from ..recording.disk import DiskRecordings
from ..recording.header import Unsound
from ..recording.items import Damaged
from ..recording.recording import Call, Recording
from ..recording.remembered import on_resume
from ..recording.soundness import check_call, without_memory
from ..server_directory import directory_name
from ..states import State
from ..store.store import WholeJob
from ..surroundings import Imported
from ..workflow.renaming import in_history, in_prompt, in_workflow
from .differing import Differing
from .preview_files import PreviewFiles
from .recovery import corrected
from .registry import Registry

MORE = "You can raise the limit in ComfyUI's settings, under Midrun."


class InputFolder(Protocol):
    """ComfyUI's."""

    def put_there(self, file: Path, name: str) -> tuple[str, bool]: ...
    def take_away(self, name: str) -> None: ...
    def may_travel(self, name: str) -> bool: ...


@dataclass(frozen=True)
class Checked:
    """A job that makes sense, with its files below `place`."""

    sent: Sent
    place: Path


class Importing:
    """directory: for what is on its way in; limits: as they are now"""

    def __init__(
        self,
        registry: Registry,
        recordings: DiskRecordings,
        pictures: PreviewFiles,
        differing: Differing,
        inputs: InputFolder,
        directory: Path,
        limits: Callable[[], Limits],
        reserve: int = RESERVE,
    ) -> None:
        self._registry = registry
        self._recordings = recordings
        self._pictures = pictures
        self._differing = differing
        self._inputs = inputs
        self._directory = directory
        self._reserve = reserve
        self.limits = limits
        shutil.rmtree(directory, ignore_errors=True)

    def begin(self) -> Incoming:
        """A bundle is on its way. Raises OSError; the caller closes it."""
        return Incoming(self._directory / uuid.uuid4().hex, self.limits(), self._reserve)

    async def take_in(self, incoming: Incoming, client_id: str | None = None) -> JobView:
        """The job that the bundle has, from now on one of this server. Raises BadBundle.

        client_id: of the page to which ComfyUI is to tell of its runs
        """
        checked = await asyncio.to_thread(self.check, incoming)
        if client_id is not None:
            checked = replace(checked, sent=_for_client(checked.sent, client_id))
        job_id = self._registry.taken.reserve(checked.sent.view.job_id)
        self._recordings.set_aside(job_id)
        new: list[str] = []
        try:
            job = await self._admit(checked, job_id, new)
        except BaseException as error:
            self._registry.store.delete(job_id)
            await asyncio.to_thread(self._remove, job_id, new)
            self._registry.taken.free(job_id)
            if isinstance(error, (OSError, sqlite3.Error)):
                raise Unavailable(f"Nothing was imported: the disk does not take it ({error}).") from error
            raise
        await self._differing.look(job, thoroughly=True)
        self._registry.settle(job)
        return job.view()

    # -- on a thread that may wait ---------------------------------------------------------------------

    def check(self, incoming: Incoming) -> Checked:
        """A bundle that came in whole. Raises BadBundle."""
        limits = self.limits()
        place = incoming.place / "bag"
        sent = sent_of(unpacked(incoming.file, place, limits, self._reserve))
        incoming.file.unlink()  # before it lies on the disk twice for longer than it has to
        directories = sorted((place / RECORDING).glob("*"))
        try:
            for directory in directories:
                check_call(directory, limits.header)
            for directory in directories:
                without_memory(directory)
        except (Unsound, Damaged) as error:
            raise BadBundle(f"its recording makes no sense: {error}.") from error
        _check_pictures(place / PREVIEWS)
        self._check_inputs(place / INPUTS, sent.inputs)
        calls = self._recordings.lying_in(place / RECORDING)
        return Checked(replace(sent, view=self._as_recorded(sent.view, calls)), place)

    def _check_inputs(self, place: Path, carried: tuple[Carried, ...]) -> None:
        there = {file.name for file in place.glob("*")}
        if there != {one.file for one in carried} or len(there) != len(carried):
            raise BadBundle("it has other input files than it says.")
        for one in carried:
            if not self._inputs.may_travel(one.name) or not self._inputs.may_travel(one.file):
                raise BadBundle(f"{one.name[:80]!r} is no picture, video or sound.")

    def _as_recorded(self, view: JobView, calls: dict[Call, Recording]) -> JobView:
        own = calls.get((directory_name(view.node_id or ""), view.call))
        here = 0 if own is None else len(own)
        unfinished = view.state in (State.PAUSED, State.FAILED)
        if unfinished and view.take is None and view.evaluations > here:
            raise BadBundle(f"its job has {view.evaluations} evaluations, and its recording has {here}.")
        if not unfinished:
            return view
        try:
            found = corrected(view, calls)
            again = calls.get((directory_name(found.node_id or ""), found.call))
            exactness = Exactness() if again is None else on_resume(again, False, None)
        except (KeyError, Damaged) as error:
            raise BadBundle(f"its recording makes no sense: {error}.") from error
        return replace(found, exactness=exactness)

    def _move(self, place: Path, job_id: str, sent: Sent) -> Sent:
        """All files to where those of a job lie; nobody knows of them before its row is there."""
        target = self._recordings.of_job(job_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (place / RECORDING).is_dir():
            (place / RECORDING).rename(target)
        previews = self._pictures.take_in(job_id, place / PREVIEWS, list(sent.previews))
        return replace(sent, previews=tuple(previews))

    def _put_inputs(self, place: Path, carried: tuple[Carried, ...], new: list[str]) -> dict[str, str]:
        """value -> name in the input folder. new: is told of files that were not there before"""
        names: dict[str, str] = {}
        for one in carried:
            names[one.value], is_new = self._inputs.put_there(place / one.file, one.name)
            if is_new:
                new.append(names[one.value])
        return names

    def _remove(self, job_id: str, inputs: list[str]) -> None:
        shutil.rmtree(self._recordings.of_job(job_id), ignore_errors=True)
        self._pictures.drop(job_id)
        for name in inputs:
            self._inputs.take_away(name)

    # -- on the event loop -----------------------------------------------------------------------------

    async def _admit(self, checked: Checked, job_id: str, new: list[str]) -> Job:
        """All of it to where the parts of a job are. new: is told of input files that were not there"""
        sent, place = checked.sent, checked.place
        names = await asyncio.to_thread(self._put_inputs, place / INPUTS, sent.inputs, new)
        sent = await asyncio.to_thread(self._move, place, job_id, renamed_in(sent, names))
        view = self._view(sent, job_id)
        past = WholeJob(view, sent.request, list(sent.events), list(sent.telemetry), list(sent.previews))
        await asyncio.wrap_future(self._registry.store.add_whole(past))
        stored = await asyncio.wrap_future(self._registry.store.find(job_id))
        view = view if stored is None else stored.view  # as a restart would tell it
        told: dict[str, Any] = {"was": sent.was.value, "id": checked.sent.view.job_id}
        told["created_at"] = checked.sent.view.created_at
        told["inputs"] = {old: name for old, name in names.items() if old != name}
        at = view.state, view.state, view.step, view.updated_at
        job = self._registry.draft(view, sent.request)
        self._registry.add_stored(job, Change("imported", *at, told, view.node_id))
        return job

    def _view(self, sent: Sent, job_id: str) -> JobView:
        view, now = sent.view, utc(time.time())
        parent = view.parent_id if view.parent_id and view.parent_id in self._registry.taken else None
        source = source_url(job_id, view.node_id) if view.source_url and view.node_id else None
        return replace(
            view,
            job_id=job_id,
            prompt_ids=(job_id,),
            created_at=now,
            updated_at=now,
            held=False,
            gpu_released=True,
            parent_id=parent,
            parent_step=view.parent_step if parent else None,
            parent_node_id=view.parent_node_id if parent else None,
            source_url=source,
            imported=Imported(now, sent.then, sent.lost, sent.signed_in),
        )


class Incoming:
    """The bytes of a bundle as they come in. Raises TooLarge, or Unavailable where the disk is full."""

    def __init__(self, place: Path, limits: Limits, reserve: int) -> None:
        self.place = place
        self.file = place / "bundle"
        self._limits = limits
        self._reserve = reserve
        self.size = 0
        self._checked_at = 0
        place.mkdir(parents=True)
        self._opened = self.file.open("xb")

    def write(self, piece: bytes) -> None:
        self.size += len(piece)
        self.check(self.size)
        if self.size - self._checked_at > 64 * 1024**2 or not self._checked_at:
            self._checked_at = self.size
            free = shutil.disk_usage(self.place).free
            if free < self._reserve:
                raise Unavailable(f"Nothing was imported: only {free / 1000**3:.1f} GB are free on the disk.")
        self._opened.write(piece)

    def check(self, size: int) -> None:
        """Whether a bundle of so many bytes is taken."""
        if size > self._limits.bytes:
            limit = f"{self._limits.bytes / 1000**3:g} GB"
            raise TooLarge(f"Nothing was imported: the bundle is larger than {limit}. {MORE}")

    def ended(self) -> None:
        self._opened.close()

    def close(self) -> None:
        """Nothing of it is left."""
        self._opened.close()
        shutil.rmtree(self.place, ignore_errors=True)


def _for_client(sent: Sent, client_id: str) -> Sent:
    extra = {**sent.request.extra_data, "client_id": client_id}
    return replace(sent, request=replace(sent.request, extra_data=extra))


def renamed_in(sent: Sent, names: dict[str, str]) -> Sent:
    """The job with its input files under the names that they have here."""
    places = {place: (one.value, names[one.value]) for one in sent.inputs for place in one.at}
    view, request = sent.view, sent.request
    prompt, extra = in_prompt(request.prompt, places), in_workflow(request.extra_data, places)
    take = view.take
    if take is not None:
        edits = in_history(take.edits, places)
        take = replace(take, prompt=in_prompt(take.prompt, places), edits=edits)
    view = replace(view, edits=in_history(view.edits, places), take=take)
    return replace(sent, view=view, request=replace(request, prompt=prompt, extra_data=extra))


def _check_pictures(place: Path) -> None:
    for file in place.rglob("*.webp"):
        with file.open("rb") as opened:
            head: Any = opened.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WEBP":
            raise BadBundle(f"the preview {file.name} is no WebP picture.")
