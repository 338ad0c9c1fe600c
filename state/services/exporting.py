"""A job in one file, for another server: what is gathered, and in which state. ComfyUI's event loop.

Of a job that runs, its state as of the newest evaluation on disk: what a crash at that moment would leave.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..bundles.job_file import ALLOWED, Carried, Sent, to_json
from ..bundles.layout import FORMAT, INPUTS, JOB, PREVIEWS, RECORDING, SUFFIX
from ..bundles.writing import Part, bag, file_part, text_part
from ..errors import IllegalTransition
from ..job.job import Job
from ..job.view import JobView
from ..recording.disk import DiskRecordings, link
from ..recording.recording import Call, Recording
from ..server_directory import directory_name
from ..states import PauseReason, State
from ..store.rows import change_of
from ..surroundings import Surroundings
from ..telemetry import Telemetry
from ..workflow.edits import pending, with_edits
from ..workflow.graph import Prompt
from .preview_files import PreviewFiles
from .recovery import corrected, missing
from .registry import Registry


class Found(Protocol):
    """A file of the input folder that a graph loads. path: None where it is not there"""

    @property
    def node_id(self) -> str: ...
    @property
    def input(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def path(self) -> Path | None: ...


class Around(Protocol):
    """What this ComfyUI computes with. May read large files."""

    def describe(self, prompts: list[Prompt], quick: bool = False) -> Surroundings: ...
    def files(self, prompt: Prompt) -> Sequence[Found]: ...
    def bare_name(self, value: str) -> str: ...


@dataclass(frozen=True)
class Export:
    """name: of the file; pieces: to be taken one after the other, each may wait for the disk

    place: a directory that is to be deleted afterwards
    """

    name: str
    pieces: Iterator[bytes]
    place: Path

    def close(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)


@dataclass(frozen=True)
class Beside:
    """What goes with a job's recordings. lost: files that the graph names and that are not there"""

    previews: tuple[Any, ...] = ()
    inputs: tuple[Carried, ...] = ()
    lost: tuple[str, ...] = ()


class Exporting:
    """directory: for what is copied, by hard links, as long as a bundle is being sent"""

    def __init__(
        self,
        registry: Registry,
        recordings: DiskRecordings,
        pictures: PreviewFiles,
        around: Around,
        directory: Path,
    ) -> None:
        self._registry = registry
        self._recordings = recordings
        self._pictures = pictures
        self._around = around
        self._directory = directory
        shutil.rmtree(directory, ignore_errors=True)

    async def export(self, any_id: str) -> Export:
        """The job as it is now. Raises UnknownJob or OSError; the caller closes the export."""
        job = await self._registry.load(any_id)
        view = job.view()
        if view.unreadable:
            because = "its row has something that this version of Midrun cannot read."
            raise IllegalTransition("export", job.job_id, view.state, because)
        place = self._directory / uuid.uuid4().hex
        try:
            sent = await asyncio.to_thread(self._gather, job, place)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        surroundings = _beside(partial(self.describe, job))
        name = f"midrun-{directory_name(job.job_id).lstrip('=')}{SUFFIX}"
        return Export(name, bag(_parts(place, sent, surroundings), _about(sent)), place)

    # -- on a thread that may wait ---------------------------------------------------------------------

    def tell(self, job: Job, view: JobView, calls: dict[Call, Recording], beside: Beside) -> Sent:
        """The job as those recordings have it. Without what it is computed with, which may take long."""
        self._registry.save_telemetry(job)
        store = self._registry.store
        events, telemetry = store.events(job.job_id).result(), store.telemetry(job.job_id).result()
        now = _as_on_disk(view, calls)
        measured = [*telemetry, *missing(telemetry, calls)]
        stored = store.find(job.job_id).result()
        had_secrets = stored is not None and bool(stored.secret_keys)
        return Sent(
            now,
            job.request,
            tuple(map(change_of, events)),
            tuple(_up_to(measured, now)),
            inputs=beside.inputs,
            lost=beside.lost,
            previews=beside.previews,
            signed_in=had_secrets or (view.imported is not None and view.imported.signed_in),
            was=view.state,
        )

    def describe(self, job: Job, quick: bool = False) -> Surroundings:
        """What the job is computed with here. May read large files, unless it has to be quick."""
        return self._around.describe(_prompts(job), quick)

    def _gather(self, job: Job, place: Path) -> Sent:
        view = job.view()
        copied = self._copy(job, view, place)
        return self.tell(job, view, self._recordings.lying_in(place / RECORDING), copied)

    def _copy(self, job: Job, view: JobView, place: Path) -> Beside:
        (place / RECORDING).mkdir(parents=True)
        self._recordings.copy(job.job_id, place / RECORDING)
        previews = self._pictures.copy(job.job_id, place / PREVIEWS)
        if view.take is None:
            shown = [one for one in previews if one.node_id != view.node_id or one.step <= view.step]
        else:
            shown = previews
        beside, paths = self.beside(job)
        for file, path in paths.items():
            (place / INPUTS).mkdir(exist_ok=True)
            link(path, place / INPUTS / file)
        return replace(beside, previews=tuple(shown))

    def beside(self, job: Job) -> tuple[Beside, dict[str, Path]]:
        """Without pictures, and where the input files lie, by their names in a bundle."""
        found: dict[str, Carried] = {}
        lost: dict[str, None] = {}
        paths: dict[str, Path] = {}
        for one in (one for prompt in _prompts(job) for one in self._around.files(prompt)):
            if one.path is None:
                lost[one.value] = None
                continue
            name = self._around.bare_name(one.value)
            file = f"{len(found) + 1:04}{one.path.suffix.lower()}"
            known = found.get(one.value) or Carried(file, one.value, name)
            at = (*known.at, (one.node_id, one.input))
            found[one.value] = replace(known, at=tuple(dict.fromkeys(at)))
            paths[known.file] = one.path
        return Beside((), tuple(found.values()), tuple(lost)), paths


def _beside(work: Callable[[], Surroundings]) -> Future[Surroundings]:
    """While recordings are sent; on a thread for which no server waits when it ends."""
    future: Future[Surroundings] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
            raise

    threading.Thread(target=run, name="midrun-bundle", daemon=True).start()
    return future


def _prompts(job: Job) -> list[Prompt]:
    """All graphs that the job may run: with what is pending, and as it was before a rewind."""
    view, prompt = job.view(), job.request.prompt
    edited = pending(view.edits)
    more = [with_edits(prompt, edited)] if edited else []
    return [prompt, *more, *([view.take.prompt] if view.take else [])]


def _as_on_disk(view: JobView, calls: dict[Any, Recording]) -> JobView:
    """A job that can go on elsewhere: nowhere in a queue, where its recording ends."""
    if view.state in (State.COMPLETED, State.ABORTED):
        return replace(view, held=False)
    reason = PauseReason.DRAIN if view.pause_reason is PauseReason.DRAIN else PauseReason.USER
    at_rest = view if view.state in ALLOWED else replace(view, state=State.PAUSED, pause_reason=reason)
    found = corrected(replace(at_rest, held=False, gpu_released=True), calls)
    return replace(found, paused_at_step=found.step)


def _up_to(measured: list[Telemetry], view: JobView) -> list[Telemetry]:
    """Of a job that runs, more may be in the database than on its copied record."""
    last = [at for at, one in enumerate(measured) if (one.node_id, one.step) == (view.node_id, view.step)]
    return measured[: last[-1] + 1] if last and view.take is None else measured


def _parts(place: Path, sent: Sent, surroundings: Future[Surroundings]) -> Iterator[Part]:
    for file in sorted(path for path in (place / "data").rglob("*") if path.is_file()):
        yield file_part(file.relative_to(place).as_posix(), file)
    whole = replace(sent, then=surroundings.result())
    yield text_part(JOB, json.dumps(to_json(whole), indent=1).encode())


def _about(sent: Sent) -> dict[str, str]:
    told = f"{sent.was.value}; as of step {sent.view.step}, {sent.view.evaluations} evaluations"
    at = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    return {"Bagging-Date": at, "Midrun-Format": FORMAT, "Midrun-Job-State": told}
