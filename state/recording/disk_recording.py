"""One recording on disk. What cannot be written stays in memory, and is tried again with what follows.

Filled by the worker thread, written by the two of writer.py, read by any.
"""

from __future__ import annotations

import errno
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import tensor_file
from .item_file import (
    Item,
    about_of,
    decode_approach,
    decode_conditions,
    decode_evaluation,
    decode_inputs,
    decode_origin,
    decode_remembered,
    decode_rewound,
    decode_segment,
    decode_step,
    size_of,
    tensors_of,
)
from .recording import (
    Approach,
    Begun,
    Conditions,
    Damaged,
    Evaluation,
    Inputs,
    Origin,
    Remembered,
    Rewound,
    Segment,
    Step,
    visible,
    with_denoised,
)
from .tensor_file import SUFFIX, Tensors
from .writer import Writer

INPUTS, REWOUND = "inputs", "rewound"


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
        self._unflushed: dict[str, Item] = {}  # in a file that a power failure would take
        self._size = 0  # bytes put since the last save
        self._begun = Begun()
        self._in_trouble = False
        self._free: int | None = None  # bytes on the disk, on the writer's thread
        stems = {name.removesuffix(SUFFIX) for name in file_names(directory) if name.endswith(SUFFIX)}
        self._inputs_known = INPUTS in stems
        self._origin: Origin | None = None  # as the file has it, once it was read
        self._rewound: Rewound | None = None
        self._segments = _numbers("segment", stems)
        self._conditions = _numbers("conditions", stems)
        self._steps = _numbers("step", stems)
        self._approaches = _numbers("x", stems)
        self._memories = _numbers("memory", stems)
        # A file that is missing in between is found, and told, when it is to be read.
        self._length = max((int(stem) + 1 for stem in stems if stem.isdigit()), default=0)
        if REWOUND in stems:
            self._rewound = self._read_rewound()

    def __len__(self) -> int:
        return self._length if self._rewound is None else min(self._length, self._rewound.evaluations)

    @property
    def origin(self) -> Origin | None:
        with self._lock:
            known = self._begun.inputs or self._unwritten.get(INPUTS)
        if isinstance(known, Inputs):
            return Origin(known.node, known.begun)
        if self._origin is None and self._inputs_known:
            self._origin = self._read_origin()
        return self._origin

    @property
    def inputs(self) -> Inputs | None:
        if self._begun.inputs is not None or not self._inputs_known:
            return self._begun.inputs
        return self._get(INPUTS, decode_inputs)

    @inputs.setter
    def inputs(self, inputs: Inputs) -> None:
        if self._rewound is None:
            self._put(INPUTS, inputs)
            self._inputs_known, self._origin = True, None
        else:
            self._begun.inputs = inputs

    def append(self, evaluation: Evaluation) -> None:
        self.settle()
        self._put(_evaluation(self._length), evaluation)
        self._length += 1

    def settle(self) -> None:
        begun = self._begun
        if self._rewound is not None:
            self.truncate(len(self))
        self._begun = Begun()
        if begun.inputs is not None:
            self.inputs = begun.inputs
        if begun.segment is not None:
            self._put(_segment(begun.segment.first), begun.segment)
            self._segments.add(begun.segment.first)
        if begun.approach is not None:
            self.approached(begun.approach)
        if begun.conditions is not None:
            self._put(_conditions(begun.conditions.first), begun.conditions)
            self._conditions.add(begun.conditions.first)

    def forget_begun(self) -> None:
        self._begun = Begun()

    def read(self, index: int) -> Evaluation:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._get(_evaluation(index), decode_evaluation)

    def truncate(self, length: int) -> None:
        self._begun = Begun()
        gone = [_evaluation(index) for index in range(length, self._length)]
        gone += [_x(index) for index in self._approaches if index > length]
        self._approaches = {index for index in self._approaches if index <= length}
        gone += [_memory(index) for index in self._memories if index > length]
        self._memories = {index for index in self._memories if index <= length}
        gone += [_segment(first) for first in self._segments if first > length]
        self._segments = {first for first in self._segments if first <= length}
        gone += [_conditions(first) for first in self._conditions if first >= length]
        self._conditions = {first for first in self._conditions if first < length}
        gone += [_step(number) for number in self._steps if self._is_beyond(number, length)]
        self._length = min(length, self._length)
        self._steps -= {int(name[len("step-") :]) for name in gone if name.startswith("step-")}
        with self._lock:
            for name in sorted(gone, reverse=True):  # the last first, so that a crash leaves no gap
                self._unwritten.pop(name, None)
                self._todo.append((name, None))
            if self._rewound is not None:
                self._todo.append((REWOUND, None))  # after what it hid, which must not come back
                self._rewound = None
        self._writer.put(self.write, flush=self.flush)

    def clear(self) -> None:
        """As if the call had never begun."""
        self.truncate(0)
        self.forget(0)
        self._inputs_known, self._origin = False, None
        with self._lock:
            self._unwritten.pop(INPUTS, None)
            self._todo.append((INPUTS, None))
        self._writer.put(self.write, flush=self.flush)

    def mark(self, step: Step) -> None:
        if self._rewound is None and step.number not in self._steps:
            self._put(_step(step.number), step)
            self._steps.add(step.number)

    def approach(self, evaluations: int) -> Approach | None:
        return self._get(_x(evaluations), decode_approach) if evaluations in self._approaches else None

    def approached(self, approach: Approach) -> None:
        if self._rewound is None and self._begun.segment is None:
            self._put(_x(approach.evaluations), approach)
            self._approaches.add(approach.evaluations)
        else:
            self._begun.approach = approach

    def begin(self, segment: Segment) -> None:
        self._begun.segment = segment

    def segment(self, length: int | None = None) -> Segment | None:
        end = len(self) if length is None else length
        if self._begun.segment is not None and self._begun.segment.first <= end:
            return self._begun.segment
        firsts = [first for first in self._segments if first <= end]
        return self._get(_segment(max(firsts)), decode_segment) if firsts else None

    def condition(self, conditions: Conditions) -> None:
        self._begun.conditions = conditions

    def conditions(self) -> Conditions | None:
        firsts = [first for first in self._conditions if first < len(self)]
        return self._get(_conditions(max(firsts)), decode_conditions) if firsts else None

    def remember(self, remembered: Remembered) -> None:
        if remembered.evaluations:
            self.settle()
        self._put(_memory(remembered.evaluations), remembered)
        self._memories.add(remembered.evaluations)

    def remembered(self, evaluations: int) -> Remembered:
        if evaluations not in self._memories:
            raise KeyError(evaluations)
        return self._get(_memory(evaluations), decode_remembered)

    def forget(self, evaluations: int) -> None:
        if evaluations in self._memories:
            self._memories.discard(evaluations)
            with self._lock:
                self._unwritten.pop(_memory(evaluations), None)
                self._todo.append((_memory(evaluations), None))

    def memories(self) -> list[int]:
        return sorted(index for index in self._memories if index <= len(self))

    def steps(self) -> list[int]:
        return sorted(number for number in self._steps if visible(number, self._rewound))

    def step(self, number: int) -> Step:
        return with_denoised(self.mark_of(number), self)

    def mark_of(self, number: int) -> Step:
        if number not in self._steps or not visible(number, self._rewound):
            raise KeyError(number)
        return self._get(_step(number), decode_step)

    def rewind(self, step: int) -> None:
        if step and step not in self._steps:
            raise KeyError(step)
        evaluations = self._get(_step(step), decode_step).evaluations if step else 0
        self._begun = Begun()
        self._rewound = Rewound(step, evaluations)
        self._put(REWOUND, self._rewound)
        self._writer.put(self.write, flush=self.flush)

    def restore(self) -> None:
        self._begun = Begun()
        if self._rewound is not None:
            self._rewound = None
            with self._lock:
                self._unwritten.pop(REWOUND, None)
                self._todo.append((REWOUND, None))
            self._writer.put(self.write, flush=self.flush)

    @property
    def rewound(self) -> bool:
        return self._rewound is not None

    def save(self) -> None:
        with self._lock:
            size, self._size = self._size, 0
        if size:
            self._writer.put(self.write, size, self.flush)

    def abandon(self) -> None:
        """Nothing of it is written any more."""
        with self._lock:
            self._unwritten.clear()
            self._todo.clear()
            self._unflushed.clear()

    # -- inside ----------------------------------------------------------------------------------------

    def _read_origin(self) -> Origin | None:
        try:
            return decode_origin(tensor_file.read_about(self._file(INPUTS)))
        except (Damaged, KeyError, TypeError, ValueError):
            return None

    def _read_rewound(self) -> Rewound | None:
        try:
            return self._get(REWOUND, decode_rewound)
        except Damaged:
            return None

    def _is_beyond(self, number: int, length: int) -> bool:
        """Whether the step needed more evaluations than that."""
        if self._rewound is not None and length == self._rewound.evaluations:
            return number > self._rewound.step  # without a look at the disk
        try:
            return self._get(_step(number), decode_step).evaluations > length
        except Damaged:
            return True

    def _get(self, name: str, decode: Callable[[Tensors, dict[str, Any]], Any]) -> Any:
        with self._lock:
            item = self._unwritten.get(name)
        if item is not None:
            return item
        tensors, about = tensor_file.read(self._file(name))
        try:
            return decode(tensors, about)
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"{name}{SUFFIX} lacks {error}") from error

    def _put(self, name: str, item: Item) -> None:
        with self._lock:
            self._unwritten[name] = item
            self._todo.append((name, item))
            self._size += size_of(item)

    def write(self) -> None:
        """Do what is to do, in order, until that is impossible. On the writer's thread.

        A file is there as soon as it is written, and outlives this process. To outlive the machine it is
        flushed afterwards, for which nothing else has to wait.
        """
        self._free = None
        try:
            while todo := self._next():
                self._do(*todo)
                with self._lock:
                    if self._todo and self._todo[0] is todo:
                        self._todo.popleft()
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            self._report(str(error))

    def flush(self) -> None:
        """What was written; it leaves the memory then. On the flusher's thread."""
        with self._lock:
            written, self._unflushed = self._unflushed, {}
        try:
            tensor_file.flush(self._file(name) for name in written)
        except OSError as error:
            with self._lock:  # it is written once more, with what follows
                self._todo.extendleft(reversed(written.items()))
            self._report(str(error))
            return
        with self._lock:
            for name, item in written.items():
                if self._unwritten.get(name) is item:
                    del self._unwritten[name]
            done = not self._todo
        if done:
            self._report(None)

    def _next(self) -> tuple[str, Item | None] | None:
        with self._lock:
            return self._todo[0] if self._todo else None

    def _do(self, name: str, item: Item | None) -> None:
        file = self._file(name)
        if item is None:
            with self._lock:
                self._unflushed.pop(name, None)
            file.unlink(missing_ok=True)
        elif self._unwritten.get(name) is item:  # else it was truncated meanwhile
            content = tensor_file.encode(tensors_of(item), about_of(item))
            self._make_room(len(content))
            tensor_file.write(file, content)
            with self._lock:
                self._unflushed[name] = item

    def _file(self, name: str) -> Path:
        return self.directory / (name + SUFFIX)

    def _make_room(self, size: int) -> None:
        """The disk is looked at once for all that is written in one go."""
        if self._free is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._free = shutil.disk_usage(self.directory).free
        if self._free - size < self._reserve:
            told = f"only {self._free / 1024**3:.1f} GB are free on the disk of {self.directory}"
            raise OSError(errno.ENOSPC, told)
        self._free -= size

    def _report(self, told: str | None) -> None:
        if told is not None or self._in_trouble:
            self._in_trouble = told is not None
            self._trouble(told)


def file_names(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_within(stem: str, end: Rewound | None) -> bool:
    """Whether a file of a recording is of what comes up to there."""
    if stem == REWOUND:
        return False
    kind, _, number = stem.rpartition("-")
    if end is None or not number.isdigit():
        return True
    if kind == "step":
        return int(number) <= end.step
    of_evaluations = kind in ("", "conditions")
    return int(number) < end.evaluations if of_evaluations else int(number) <= end.evaluations


def _numbers(kind: str, stems: Iterable[str]) -> set[int]:
    return {int(found[1]) for stem in stems if (found := re.fullmatch(rf"{kind}-(\d+)", stem))}


def _evaluation(index: int) -> str:
    return f"{index:06}"


def _x(evaluations: int) -> str:
    return f"x-{evaluations:06}"


def _segment(first: int) -> str:
    return f"segment-{first:06}"


def _memory(evaluations: int) -> str:
    return f"memory-{evaluations:06}"


def _conditions(first: int) -> str:
    return f"conditions-{first:06}"


def _step(number: int) -> str:
    return f"step-{number:06}"
