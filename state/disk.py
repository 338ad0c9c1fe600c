"""Recordings on disk, written by one thread; what is written leaves the memory.

`<directory>/<job>/<node>.<ordinal>/` holds inputs.safetensors, a file an evaluation (000000.safetensors, ...)
and a small file a step. Where the disk can not be written, evaluations stay in memory, and are tried again
with each further one.
"""

from __future__ import annotations

import errno
import logging
import re
import shutil
import threading
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from . import tensor_file
from .item_file import (
    Item,
    about_of,
    decode_approach,
    decode_evaluation,
    decode_inputs,
    decode_segment,
    decode_step,
    tensors_of,
)
from .places import directory_name
from .recording import Approach, Damaged, Evaluation, Inputs, Segment, Step, with_denoised
from .tensor_file import SUFFIX, Tensors

log = logging.getLogger(__name__)
RESERVE = 2 * 1024**3  # bytes that are left free on the disk
UNWRITTEN = 64 * 1024**2  # bytes that may wait for the disk before the sampler waits for them
UNWRITTEN_COUNT = 16  # evaluations that a crash may cost where the disk is slower than the model
LONGEST_WAIT_S = 5.0  # a disk that hangs must not stop the sampling for good
INPUTS, APPROACH = "inputs", "approach"
Trouble = Callable[[str, str | None], None]  # (job_id, what keeps it from the disk; None: it is over)


class Writer:
    """One thread that does what it is given in order; whoever gives too much has to wait."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "midrun-writer")
        self._room = threading.Condition()
        self._waiting = 0  # bytes
        self._count = 0  # of works with a size

    def submit(self, work: Callable[[], Any], size: int = 0) -> Future[Any]:
        """`size`: bytes that stay in memory until it is done; without any it never waits."""
        with self._room:
            if size:
                self._room.wait_for(lambda: self._has_room(size), LONGEST_WAIT_S)
                self._count += 1
            self._waiting += size
        future = self._thread.submit(work)
        future.add_done_callback(lambda done: self._done(done, size))
        return future

    def flush(self) -> None:
        """Wait until everything given so far is done."""
        self._thread.submit(lambda: None).result()

    def close(self) -> None:
        self._thread.shutdown()

    def _has_room(self, size: int) -> bool:
        return self._count < UNWRITTEN_COUNT and self._waiting + size <= max(size, UNWRITTEN)

    def _done(self, future: Future[Any], size: int) -> None:
        if future.exception() is not None:
            log.error("Midrun's writer failed", exc_info=future.exception())
        with self._room:
            self._waiting -= size
            self._count -= bool(size)
            self._room.notify_all()


class DiskRecordings:
    """All recordings below `directory`/recordings, and partial results to keep below `directory`/kept."""

    def __init__(self, directory: Path, trouble: Trouble, reserve: int = RESERVE) -> None:
        self.directory = directory
        self.writer = Writer()
        self.dropped: Callable[[str], None] = lambda job_id: None  # a job was deleted
        self._trouble = trouble
        self._reserve = reserve
        self._lock = threading.Lock()
        self._open: dict[str, dict[tuple[str, int], DiskRecording]] = {}

    def open(self, job_id: str, node_id: str, ordinal: int) -> DiskRecording:
        with self._lock:
            calls = self._open.setdefault(job_id, {})
            if (node_id, ordinal) not in calls:
                calls[node_id, ordinal] = self._recording(job_id, node_id, ordinal)
            return calls[node_id, ordinal]

    def find(self, job_id: str, node_id: str) -> DiskRecording | None:
        with self._lock:
            ordinals = {ordinal for node, ordinal in self._open.get(job_id, {}) if node == node_id}
        if ordinals:
            return self.open(job_id, node_id, max(ordinals))
        prefix = directory_name(node_id) + "."
        for name in _names(self.of_job(job_id)):
            if name.startswith(prefix) and name[len(prefix) :].isdigit():
                ordinals.add(int(name[len(prefix) :]))
        return self._recording(job_id, node_id, max(ordinals)) if ordinals else None

    def exists(self, job_id: str) -> bool:
        with self._lock:
            return job_id in self._open or self.of_job(job_id).is_dir()

    def close(self, job_id: str) -> None:
        self.writer.submit(lambda: self._close(job_id))  # after what is yet to be made of it

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
                recording.abandon()
        for place in (self.of_job(job_id), self.kept(job_id)):
            self.writer.submit(partial(shutil.rmtree, place, ignore_errors=True))
        self.writer.submit(partial(self.dropped, job_id))
        self.writer.submit(then)

    def _close(self, job_id: str) -> None:
        with self._lock:
            closed = self._open.pop(job_id, {})
        for recording in closed.values():
            recording.write()

    def of_job(self, job_id: str) -> Path:
        return self.directory / "recordings" / directory_name(job_id)

    def kept(self, job_id: str) -> Path:
        return self.directory / "kept" / directory_name(job_id)

    def _recording(self, job_id: str, node_id: str, ordinal: int) -> DiskRecording:
        place = self.of_job(job_id) / f"{directory_name(node_id)}.{ordinal}"
        return DiskRecording(place, self.writer, partial(self._trouble, job_id), self._reserve)


class DiskRecording:
    """One sampling call's. Its length counts what is in memory, too."""

    def __init__(
        self, directory: Path, writer: Writer, trouble: Callable[[str | None], None], reserve: int
    ) -> None:
        self.directory = directory
        self._writer = writer
        self._trouble = trouble
        self._reserve = reserve
        self._lock = threading.Lock()
        self._unwritten: dict[str, Item] = {}
        self._todo: deque[tuple[str, Item | None]] = deque()  # None: delete the file
        self._size = 0  # bytes put since the last save
        self._in_trouble = False
        stems = {name.removesuffix(SUFFIX) for name in _names(directory) if name.endswith(SUFFIX)}
        self._inputs_known = INPUTS in stems
        self._approached = APPROACH in stems
        self._segments = {int(m[1]) for stem in stems if (m := re.fullmatch(r"segment-(\d+)", stem))}
        self._steps = {int(match[1]) for stem in stems if (match := re.fullmatch(r"step-(\d+)", stem))}
        # A file that is missing in between is found, and told, when it is to be read.
        self._length = max((int(stem) + 1 for stem in stems if stem.isdigit()), default=0)

    def __len__(self) -> int:
        return self._length

    @property
    def inputs(self) -> Inputs | None:
        if not self._inputs_known:
            return None
        return self._get(INPUTS, decode_inputs)

    @inputs.setter
    def inputs(self, inputs: Inputs) -> None:
        self._put(INPUTS, inputs)
        self._inputs_known = True

    def append(self, evaluation: Evaluation) -> None:
        self._put(_evaluation(self._length), evaluation)
        self._length += 1

    def read(self, index: int) -> Evaluation:
        if not 0 <= index < self._length:
            raise IndexError(index)
        return self._get(_evaluation(index), decode_evaluation)

    def truncate(self, length: int) -> None:
        gone = [_evaluation(index) for index in range(length, self._length)]
        gone += [_segment(first) for first in self._segments if first > length]
        self._segments = {first for first in self._segments if first <= length}
        gone += [_step(number) for number in self._steps if self._ended_after(number, length)]
        self._length = min(length, self._length)
        self._steps -= {int(name[len("step-") :]) for name in gone if name.startswith("step-")}
        with self._lock:
            for name in sorted(gone, reverse=True):  # the last first, so that a crash leaves no gap
                self._unwritten.pop(name, None)
                self._todo.append((name, None))
        self._writer.submit(self.write)

    def mark(self, step: Step) -> None:
        if step.number not in self._steps:
            self._put(_step(step.number), step)
            self._steps.add(step.number)

    @property
    def approach(self) -> Approach | None:
        return self._get(APPROACH, decode_approach) if self._approached else None

    @approach.setter
    def approach(self, approach: Approach) -> None:
        self._put(APPROACH, approach)
        self._approached = True

    def begin(self, segment: Segment) -> None:
        self._put(_segment(segment.first), segment)
        self._segments.add(segment.first)

    def segment(self) -> Segment | None:
        return self._get(_segment(max(self._segments)), decode_segment) if self._segments else None

    def steps(self) -> list[int]:
        return sorted(self._steps)

    def step(self, number: int) -> Step:
        if number not in self._steps:
            raise KeyError(number)
        return with_denoised(self._get(_step(number), decode_step), self)

    def save(self) -> None:
        with self._lock:
            size, self._size = self._size, 0
        if size:
            self._writer.submit(self.write, size)

    def abandon(self) -> None:
        """Nothing of it is written any more."""
        with self._lock:
            self._unwritten.clear()
            self._todo.clear()

    # -- inside ----------------------------------------------------------------------------------------

    def _ended_after(self, number: int, length: int) -> bool:
        try:
            return self._get(_step(number), decode_step).evaluations > length
        except Damaged:
            return True

    def _get(self, name: str, decode: Callable[[Tensors, dict[str, Any]], Any]) -> Any:
        with self._lock:
            item = self._unwritten.get(name)
        if item is not None:
            return item
        tensors, about = tensor_file.read(self.directory / (name + SUFFIX))
        try:
            return decode(tensors, about)
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"{name}{SUFFIX} lacks {error}") from error

    def _put(self, name: str, item: Item) -> None:
        with self._lock:
            self._unwritten[name] = item
            self._todo.append((name, item))
            self._size += sum(tensor.nbytes for tensor in tensors_of(item).values())

    def write(self) -> None:
        """Do what is to do, in order, until that is impossible. On the writer's thread."""
        try:
            while todo := self._next():
                self._do(*todo)
                with self._lock:
                    if self._todo and self._todo[0] is todo:
                        self._todo.popleft()
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            self._report(str(error))
        else:
            self._report(None)

    def _next(self) -> tuple[str, Item | None] | None:
        with self._lock:
            return self._todo[0] if self._todo else None

    def _do(self, name: str, item: Item | None) -> None:
        file = self.directory / (name + SUFFIX)
        if item is None:
            file.unlink(missing_ok=True)
        elif self._unwritten.get(name) is item:  # else it was truncated meanwhile
            content = tensor_file.encode(tensors_of(item), about_of(item))
            self._make_room(len(content))
            tensor_file.write(file, content)
            with self._lock:
                if self._unwritten.get(name) is item:
                    del self._unwritten[name]

    def _make_room(self, size: int) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.directory).free
        if free - size < self._reserve:
            told = f"only {free / 1024**3:.1f} GB are free on the disk of {self.directory}"
            raise OSError(errno.ENOSPC, told)

    def _report(self, told: str | None) -> None:
        if told is not None or self._in_trouble:
            self._in_trouble = told is not None
            self._trouble(told)


def _names(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _evaluation(index: int) -> str:
    return f"{index:06}"


def _segment(first: int) -> str:
    return f"segment-{first:06}"


def _step(number: int) -> str:
    return f"step-{number:06}"
