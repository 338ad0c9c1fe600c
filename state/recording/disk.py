"""All recordings on disk, written by one thread; what is written leaves the memory.

`<directory>/<job>/<node>.<ordinal>/` holds inputs.safetensors, a file an evaluation (000000.safetensors, ...)
and one with the x that it was asked for (x-000000.safetensors, ...), and a small file a step.
"""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..server_directory import directory_name
from .disk_shelf import DiskShelf, file_names
from .items import Rewound
from .recording import Call, Recording, newest_of
from .shelved import REMEMBERED, ShelvedRecording, is_within
from .tensor_file import SUFFIX
from .writer import Writer

RESERVE = 2 * 1024**3  # bytes that are left free on the disk
DiskRecording = ShelvedRecording[DiskShelf]
Trouble = Callable[[str, str | None], None]  # (job_id, what keeps it from the disk; None: it is over)


class DiskRecordings:
    """All recordings below `directory`/recordings, and partial results to keep below `directory`/kept."""

    def __init__(self, directory: Path, trouble: Trouble, reserve: int = RESERVE) -> None:
        self.directory = directory
        self.writer = Writer()
        self.dropped: Callable[[str], None] = lambda job_id: None  # a job was deleted
        self._trouble = trouble
        self._reserve = reserve
        self._lock = threading.Lock()
        self._open: dict[str, dict[Call, DiskRecording]] = {}

    def save(self) -> None:
        """Have written what every recording holds."""
        with self._lock:
            opened = [recording for calls in self._open.values() for recording in calls.values()]
        for recording in opened:
            recording.save()

    def written(self) -> None:
        """Wait until all that was put so far is in its files, which may not be flushed yet."""
        self.writer.submit(lambda: None).result()

    def flush(self, timeout_s: float | None = None) -> None:
        self.writer.flush(timeout_s)

    def open(self, job_id: str, node_id: str, ordinal: int) -> DiskRecording:
        return self._opened(job_id, (directory_name(node_id), ordinal))

    def calls(self, job_id: str) -> dict[Call, Recording]:
        return {call: self._opened(job_id, call) for call in self._known(job_id)}

    def read(self, job_id: str) -> dict[Call, Recording]:
        """The same, of a job that nobody works on: nothing is kept open."""
        return {call: self._recording(job_id, call) for call in self._known(job_id)}

    def share(self, job_id: str, with_id: str, calls: dict[Call, Rewound | None]) -> None:
        """By hard links: a file of a recording is never written into. On the writer's thread."""

        def link_all() -> None:
            for (node, ordinal), end in calls.items():
                name = f"{node}.{ordinal}"
                target = self.of_job(with_id) / name
                target.mkdir(parents=True)
                for file in (self.of_job(job_id) / name).glob("*" + SUFFIX):
                    if is_within(file.stem, end):
                        link(file, target / file.name)

        self.writer.submit(link_all).result()

    def copy(self, job_id: str, place: Path) -> None:
        """What there is of the job now, below `place`, by hard links: a state that a crash could leave.

        Waits for what is on its way to the disk. Raises OSError.
        """
        with self._lock:
            opened = list(self._open.get(job_id, {}).values())
        for recording in opened:
            recording.save()

        def link_all() -> None:
            for directory in _directories(self.of_job(job_id)):
                target = place / directory.name
                target.mkdir(parents=True)
                for file in directory.glob("*" + SUFFIX):
                    link(file, target / file.name)

        self.writer.submit(link_all).result()

    def listing(self, job_id: str) -> dict[str, tuple[Path, str]]:
        """`<call>/<file>` -> where it lies, and a mark that is another once the file is another.

        As a crash at that moment would leave them: on the writer's thread, between two writes.
        """

        def look() -> dict[str, tuple[Path, str]]:
            found = {}
            for directory in _directories(self.of_job(job_id)):
                for file in directory.glob("*" + SUFFIX):
                    told = file.stat()
                    mark = f"{told.st_ino} {told.st_size} {told.st_mtime_ns}"
                    found[f"{directory.name}/{file.name}"] = (file, mark)
            return found

        return self.writer.submit(look).result()

    def lying_in(self, place: Path) -> dict[Call, Recording]:
        """Recordings that are no job's, or not yet."""
        found = (_call_of(directory.name) for directory in _directories(place))
        return {call: self._lying(place, call) for call in found if call is not None}

    def find(self, job_id: str, name: str, iteration: int | None = None) -> DiskRecording | None:
        with self._lock:
            calls = dict(self._open.get(job_id, {}))
        calls |= {call: self._recording(job_id, call) for call in self._known(job_id) - calls.keys()}
        found = newest_of(calls, name, iteration)
        return None if found is None else found[1]

    def exists(self, job_id: str) -> bool:
        with self._lock:
            return job_id in self._open or self.of_job(job_id).is_dir()

    def remembered_elsewhere(self, job_id: str, node_id: str, ordinal: int) -> int:
        own = directory_name(node_id), ordinal
        found = (one for one in _directories(self.of_job(job_id)) if _call_of(one.name) != own)
        return sum(_size(file) for one in found for file in one.glob(f"{REMEMBERED}*{SUFFIX}"))

    def close(self, job_id: str) -> None:
        closed: list[DiskRecording] = []

        def flush() -> None:
            for recording in closed:
                recording.shelf.flush()

        # After what is yet to be made of it.
        self.writer.put(lambda: closed.extend(self._close(job_id)), flush=flush)

    def set_aside(self, job_id: str) -> None:
        """Whatever lies where the recording of a new job will be belongs to another."""
        place = self.of_job(job_id)
        if place.exists():
            place.rename(place.with_name(f"={uuid.uuid4().hex}"))

    def forget(self, name: str, job_id: str | None) -> None:
        """Delete that directory, of a job that ended or of none. Its kept results stay. Takes its time."""
        if job_id is not None:
            with self._lock:
                self._open.pop(job_id, None)
        shutil.rmtree(self.directory / "recordings" / name, ignore_errors=True)

    def drop(self, job_id: str, then: Callable[[], None] = lambda: None) -> None:
        with self._lock:
            for recording in self._open.pop(job_id, {}).values():
                recording.shelf.abandon()
        for place in (self.of_job(job_id), self.kept(job_id)):
            self.writer.put(partial(shutil.rmtree, place, ignore_errors=True))
        self.writer.put(partial(self.dropped, job_id))
        self.writer.put(then)

    def _close(self, job_id: str) -> list[DiskRecording]:
        with self._lock:
            closed = list(self._open.pop(job_id, {}).values())
        for recording in closed:
            recording.shelf.write()
        return closed

    def of_job(self, job_id: str) -> Path:
        return self.directory / "recordings" / directory_name(job_id)

    def kept(self, job_id: str) -> Path:
        return self.directory / "kept" / directory_name(job_id)

    def _known(self, job_id: str) -> set[Call]:
        with self._lock:
            calls = set(self._open.get(job_id, ()))
        found = (_call_of(name) for name in file_names(self.of_job(job_id)))
        return calls | {call for call in found if call is not None}

    def _opened(self, job_id: str, call: Call) -> DiskRecording:
        with self._lock:
            calls = self._open.setdefault(job_id, {})
            if call not in calls:
                calls[call] = self._recording(job_id, call)
            return calls[call]

    def _recording(self, job_id: str, call: Call) -> DiskRecording:
        return self._lying(self.of_job(job_id), call, partial(self._trouble, job_id))

    def _lying(
        self, place: Path, call: Call, trouble: Callable[[str | None], None] = lambda told: None
    ) -> DiskRecording:
        directory = place / f"{call[0]}.{call[1]}"
        return ShelvedRecording(DiskShelf(directory, self.writer, trouble, self._reserve))


def _call_of(name: str) -> Call | None:
    node, _, number = name.rpartition(".")
    return (node, int(number)) if number.isdigit() else None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it was forgotten meanwhile
        return 0


def _directories(place: Path) -> list[Path]:
    return [place / name for name in file_names(place) if (place / name).is_dir()]


def link(file: Path, target: Path) -> None:
    """A hard link, or a copy on a file system that has none."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)
