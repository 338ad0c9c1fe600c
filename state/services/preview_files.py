"""Pictures on disk and the list of them: `<directory>/previews/<job>/<node>/step-000012.webp`.

Beside the recordings and not in them: they stay when a recording is deleted, and go with their job. Written
by the thread that decodes, read by any. Where the disk cannot be written, the newest stays in memory.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from ..pictures.previews import Preview, PreviewKind, newest_step
from ..recording.disk import link
from ..server_directory import directory_name
from ..store.store import Store

log = logging.getLogger(__name__)
RESERVE = 2 * 1024**3  # bytes that are left free on the disk, as by recordings
LISTED = 400  # of one job; beyond, every other one goes
REMEMBERED = 32  # jobs whose list is kept in memory
SAVE_EVERY_S = 1.0
Key = tuple[str, PreviewKind, int]  # (node_id, kind, step)


@dataclass(frozen=True)
class Content:
    """WebP: the picture, and the still of one that moves."""

    picture: bytes
    still: bytes | None = None


class _Listed:
    """The previews of one job, in the order in which they were made."""

    def __init__(self, previews: list[Preview]) -> None:
        self.previews: dict[Key, Preview] = {_key(preview): preview for preview in previews}
        self.newest: tuple[Preview, Content] | None = None  # where it is not written
        self.saved = float("-inf")
        self.changed = False  # since then

    def put(self, preview: Preview) -> None:
        self.previews.pop(_key(preview), None)
        self.previews[_key(preview)] = preview
        self.changed = True


class PreviewFiles:
    """Of all jobs. The database has the lists; those of the jobs at work are in memory, too."""

    def __init__(self, directory: Path, store: Store, reserve: int = RESERVE) -> None:
        self.directory = directory / "previews"
        self._store = store
        self._reserve = reserve
        self._lock = threading.RLock()
        self._jobs: OrderedDict[str, _Listed] = OrderedDict()

    def begin(self, job_id: str, node_id: str, ordinal: int) -> None:
        """That sampling call of the node is the present one: pictures of its other calls go."""
        with self._lock:
            for preview in list(self._of(job_id).previews.values()):
                if preview.node_id == node_id and preview.ordinal != ordinal:
                    self._remove(job_id, preview)

    def forget_from(self, job_id: str, node_id: str, step: int) -> None:
        """That step is made anew: pictures of it and of later ones are of another passage."""
        with self._lock:
            for preview in list(self._of(job_id).previews.values()):
                if preview.node_id == node_id and preview.kind is PreviewKind.STEP and preview.step >= step:
                    self._remove(job_id, preview)

    def add(self, job_id: str, preview: Preview, content: Content) -> None:
        """Raises OSError where it cannot be written; as the newest it is readable all the same."""
        with self._lock:
            listed = self._of(job_id)
            listed.put(preview)
            listed.newest = preview, content
            if len(listed.previews) > LISTED:
                self._thin_out(job_id, listed)
            if time.monotonic() - listed.saved >= SAVE_EVERY_S:
                self.save(job_id)
        self._write(job_id, preview, content)
        with self._lock:
            listed.newest = None

    def share(self, job_id: str, with_id: str, node_id: str, step: int) -> None:
        """A fork has what is to be seen of its parent's node up to that step. By hard links."""
        with self._lock:
            listed = self._of(with_id)
            for preview in list(self._of(job_id).previews.values()):
                if preview.node_id == node_id and (
                    preview.kind is PreviewKind.SOURCE or preview.step <= step
                ):
                    for still in (False, True):
                        file = self._file(job_id, preview, still)
                        target = self._file(with_id, preview, still)
                        with contextlib.suppress(OSError):  # most have no still; a full disk costs no fork
                            target.parent.mkdir(parents=True, exist_ok=True)
                            link(file, target)
                    listed.put(preview)
            self._save(with_id, listed)

    def copy(self, job_id: str, place: Path) -> list[Preview]:
        """Below `place`, by hard links, as they lie here; which there are. Raises OSError."""
        with self._lock:
            copied = []
            for preview in self._of(job_id).previews.values():
                files = [self._file(job_id, preview, still) for still in (False, True)]
                for file in files:
                    if file.is_file():
                        target = place / file.relative_to(self._of_job(job_id))
                        target.parent.mkdir(parents=True, exist_ok=True)
                        link(file, target)
                copied += [preview] if files[0].is_file() else []
            return copied

    def take_in(self, job_id: str, place: Path, previews: list[Preview]) -> list[Preview]:
        """What `copy` put below `place`, as those of that job; which there are. Raises OSError."""
        taken = []
        for preview in previews:
            for still in (False, True):
                file = self._file(job_id, preview, still)
                given = place / file.relative_to(self._of_job(job_id))
                if given.is_file():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    given.replace(file)
            taken += [preview] if self._file(job_id, preview, False).is_file() else []
        return taken

    def save(self, job_id: str) -> None:
        """Store the list as it is; `add` does so only now and then."""
        with self._lock:
            self._save(job_id, self._of(job_id))

    def save_all(self) -> None:
        with self._lock:
            for job_id, listed in self._jobs.items():
                self._save(job_id, listed)

    def node_called(self, job_id: str, name: str, iteration: int | None) -> str | None:
        """The id of the node that has pictures and that name, the last that got its first."""
        ids = [
            one.node_id
            for one in self.listed(job_id)
            if name in (one.node_id, one.display_node_id) and iteration in (None, one.iteration)
        ]
        return name if name in ids else next(iter(list(dict.fromkeys(ids))[::-1]), None)

    def find(self, job_id: str, node_id: str | None, kind: PreviewKind, step: int | None) -> Preview | None:
        """A picture of that node; of that step, by default the last that has one."""
        found = [one for one in self.listed(job_id) if one.node_id == node_id and one.kind is kind]
        if kind is PreviewKind.SOURCE:
            return found[-1] if found else None
        return newest_step(one for one in found if step in (None, one.step))

    def listed(self, job_id: str) -> list[Preview]:
        """The oldest first. Waits for the database when the job is not at work."""
        with self._lock:
            return list(self._of(job_id).previews.values())

    def read(self, job_id: str, preview: Preview, still: bool = False) -> bytes | None:
        """None where the file is gone."""
        with self._lock:
            newest = self._of(job_id).newest
        if newest is not None and newest[0] == preview:
            return newest[1].still or newest[1].picture if still else newest[1].picture
        still = still and preview.frames > 1
        try:
            return self._file(job_id, preview, still).read_bytes()
        except OSError:
            return None

    def drop(self, job_id: str) -> None:
        """The job is deleted."""
        self.forget(directory_name(job_id), job_id)

    def forget(self, name: str, job_id: str | None) -> None:
        """Delete that directory, of a job or of none."""
        with self._lock:
            if job_id is not None:
                self._jobs.pop(job_id, None)
            shutil.rmtree(self.directory / name, ignore_errors=True)

    # -- inside ----------------------------------------------------------------------------------------

    def _of(self, job_id: str) -> _Listed:
        listed = self._jobs.get(job_id)
        if listed is None:
            stored = self._store.previews(job_id).result() if self._of_job(job_id).is_dir() else []
            listed = self._jobs[job_id] = _Listed(stored)
        self._jobs.move_to_end(job_id)
        while len(self._jobs) > REMEMBERED:
            self._save(*self._jobs.popitem(last=False))
        return listed

    def _save(self, job_id: str, listed: _Listed) -> None:
        if listed.changed:
            listed.saved, listed.changed = time.monotonic(), False
            self._store.save_previews(job_id, list(listed.previews.values()))

    def _thin_out(self, job_id: str, listed: _Listed) -> None:
        steps = [preview for preview in listed.previews.values() if preview.kind is PreviewKind.STEP]
        for preview in steps[1:-1:2]:
            self._remove(job_id, preview)

    def _remove(self, job_id: str, preview: Preview) -> None:
        listed = self._of(job_id)
        listed.previews.pop(_key(preview), None)
        listed.changed = True
        for still in (False, True):
            self._file(job_id, preview, still).unlink(missing_ok=True)

    def _write(self, job_id: str, preview: Preview, content: Content) -> None:
        file = self._file(job_id, preview, False)
        file.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(file.parent).free < self._reserve:
            raise OSError(f"too little space is free on the disk of {self.directory}")
        _write(file, content.picture)
        if content.still is not None:
            _write(self._file(job_id, preview, True), content.still)

    def _of_job(self, job_id: str) -> Path:
        return self.directory / directory_name(job_id)

    def _file(self, job_id: str, preview: Preview, still: bool) -> Path:
        name = "source" if preview.kind is PreviewKind.SOURCE else f"step-{preview.step:06}"
        directory = self._of_job(job_id) / directory_name(preview.node_id)
        return directory / f"{name}{'.still' if still else ''}.webp"


def _write(file: Path, content: bytes) -> None:
    """At once or not at all. Not flushed to the disk: pictures can be made anew."""
    temporary = file.with_name(file.name + ".tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _key(preview: Preview) -> Key:
    return preview.node_id, preview.kind, 0 if preview.kind is PreviewKind.SOURCE else preview.step
