"""The files of one recording: put now, written and flushed by the two threads of writer.py.

What cannot be written stays in memory and is tried again with what follows; what cannot be flushed is written
again at once, too.
"""

from __future__ import annotations

import errno
import shutil
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import tensor_file
from .item_file import Item, about_of, size_of, tensors_of
from .items import Damaged
from .shelf import Decode
from .tensor_file import SUFFIX
from .writer import Writer


class DiskShelf:
    """A shelf that is a directory: one file an item. Any thread."""

    def __init__(
        self, directory: Path, writer: Writer, trouble: Callable[[str | None], None], reserve: int
    ) -> None:
        """`trouble` is told what keeps it from writing, None once it is over; reserve: bytes to leave free"""
        self.directory = directory
        self._writer = writer
        self._trouble = trouble
        self._reserve = reserve
        self._lock = threading.Lock()
        self._telling = threading.Lock()  # what one thread tells is true until it is told
        self._unwritten: dict[str, Item] = {}
        self._todo: deque[tuple[str, Item | None]] = deque()  # None: delete the file
        self._unflushed: dict[str, Item] = {}  # in a file that a power failure would take
        self._size = 0  # bytes put since the last save
        self._in_trouble = False
        self._again = False  # what could not be flushed is being written once more
        self._free: int | None = None  # bytes on the disk, on the writer's thread

    def stems(self) -> set[str]:
        found = (name for name in file_names(self.directory) if name.endswith(SUFFIX))
        return {name.removesuffix(SUFFIX) for name in found}

    def unwritten(self, name: str) -> Item | None:
        with self._lock:
            return self._unwritten.get(name)

    def get(self, name: str, decode: Decode) -> Any:
        item = self.unwritten(name)
        if item is not None:
            return item
        tensors, about = tensor_file.read(self._file(name))
        try:
            return decode(tensors, about)
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"{name}{SUFFIX} lacks {error}") from error

    def about(self, name: str) -> dict[str, Any]:
        return tensor_file.read_about(self._file(name))

    def put(self, name: str, item: Item) -> None:
        with self._lock:
            self._unwritten[name] = item
            self._todo.append((name, item))
            self._size += size_of(item)

    def delete(self, *names: str, write_first: bool = False) -> None:
        with self._lock:
            for name in names:
                if not write_first:
                    self._unwritten.pop(name, None)
                self._todo.append((name, None))

    def save(self) -> None:
        with self._lock:
            size, self._size = self._size, 0
        if size:
            self._writer.put(self.write, size, self.flush)

    def save_now(self) -> None:
        self._writer.put(self.write, flush=self.flush)

    def abandon(self) -> None:
        """Nothing of it is written any more."""
        with self._lock:
            self._unwritten.clear()
            self._todo.clear()
            self._unflushed.clear()

    # -- on the threads of writer.py -------------------------------------------------------------------

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
            with self._lock:
                self._todo.extendleft(reversed(written.items()))
            self._report(str(error))
            self._again = not self._again
            if self._again:  # perhaps nothing follows
                self.save_now()
            return
        self._again = False
        with self._lock:
            for name, item in written.items():
                if self._unwritten.get(name) is item:
                    del self._unwritten[name]
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
        """None: what is there could be written. It is over if nothing is left to do."""
        with self._telling:
            if told is None and (self._todo or not self._in_trouble):
                return
            self._in_trouble = told is not None
            self._trouble(told)


def file_names(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
