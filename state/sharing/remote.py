"""A place that several servers reach: objects by name, through fsspec. Any thread that may wait.

Each look has a deadline. What goes wrong is `Unreachable`, whatever library raised it.
"""

from __future__ import annotations

import importlib
import os
import threading
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

LOOK_S = 10.0  # for one small object
SEND_S = 300.0  # for one large one
T = TypeVar("T")


class Unreachable(Exception):
    """The store does not answer, or not as it should; the message is a sentence."""


@dataclass(frozen=True)
class Entry:
    """An object. mark: another whenever it is written anew"""

    name: str
    mark: str


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` answers, on a thread that is left alone where that takes longer. Raises Unreachable."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  whoever waits raises it
            future.set_exception(error)

    threading.Thread(target=run, name="midrun-remote", daemon=True).start()
    try:
        return future.result(seconds)
    except (FileNotFoundError, FileExistsError, Unreachable):
        raise
    except FutureTimeout as error:
        raise Unreachable(f"it did not answer within {seconds:g} s") from error
    except Exception as error:
        raise Unreachable(f"{type(error).__name__}: {str(error)[:200]}") from error


class Remote:
    """Opened by its URL. Raises Unreachable where that, or an exclusive creation, is impossible."""

    def __init__(self, url: str, look_s: float = LOOK_S) -> None:
        self.url = url
        self.look_s = look_s
        self._fs, self._root = within(look_s, lambda: _opened(url))
        self._is_local = type(self._fs).__name__ == "LocalFileSystem"
        self._how = self._exclusive()

    def get(self, name: str, seconds: float | None = None) -> bytes:
        """Raises FileNotFoundError."""
        return within(seconds or self.look_s, lambda: self._fs.cat_file(self._path(name)))

    def get_part(self, name: str, start: int, size: int) -> bytes:
        """Raises FileNotFoundError."""
        path = self._path(name)
        return within(SEND_S, lambda: self._fs.cat_file(path, start=start, end=start + size))

    def put(self, name: str, content: bytes, seconds: float | None = None) -> None:
        """Whole or not at all."""
        within(seconds or self.look_s, lambda: self._put(self._path(name), content))

    def send(self, name: str, file: Path) -> None:
        """A file that is too large for the memory. A name that is there already has that content."""
        path = self._path(name)

        def send() -> None:
            if self._fs.exists(path):
                return
            self._make_room(path)
            written = path + self._temporary() if self._is_local else path
            self._fs.put_file(str(file), written)
            if written != path:
                os.replace(written, path)

        within(SEND_S, send)

    def create(self, name: str, content: bytes) -> bool:
        """Whether it is there now with this content, which nobody else would write."""
        return self._create(self._how, name, content)

    def entries(self, folder: str) -> list[Entry]:
        """What lies in it, in no order; nothing, where there is no such folder."""
        path = self._path(folder)

        def look() -> list[dict[str, Any]]:
            self._fs.invalidate_cache()
            return self._fs.ls(path, detail=True)

        try:
            found = within(self.look_s, look)
        except FileNotFoundError:
            return []
        named = ((str(one["name"]).rstrip("/").rpartition("/")[2], one) for one in found)
        return [Entry(name, _mark(one)) for name, one in named if name and "~" not in name]

    def exists(self, name: str) -> bool:
        """Of what is not empty. One request: s3fs' own look adds a listing where there is nothing."""
        path = self._path(name)
        try:
            within(self.look_s, lambda: self._fs.cat_file(path, start=0, end=1))
        except FileNotFoundError:
            return False
        return True

    def delete(self, names: Iterable[str], seconds: float | None = None) -> None:
        """What is not there any more is no matter. seconds: for each"""
        for name in names:
            path = self._path(name)
            try:
                within(seconds or self.look_s, lambda path=path: self._fs.rm_file(path))
            except FileNotFoundError:
                continue

    # -- inside ----------------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _put(self, path: str, content: bytes) -> None:
        self._make_room(path)
        if not self._is_local:  # where an object is there as a whole or not at all
            self._fs.pipe_file(path, content)
            return
        written = path + self._temporary()
        self._fs.pipe_file(written, content)
        os.replace(written, path)

    def _make_room(self, path: str) -> None:
        if self._is_local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)

    def _temporary(self) -> str:
        return f"~{uuid.uuid4().hex}"

    def _create(self, how: Callable[[Any, str, bytes], None], name: str, content: bytes) -> bool:
        path = self._path(name)

        def create() -> bytes:
            self._make_room(path)
            trouble = None
            try:
                how(self._fs, path, content)
            except Exception as error:  # noqa: BLE001  each library has its own for what is there already
                trouble = error
            self._fs.invalidate_cache()
            try:
                return self._fs.cat_file(path)
            except FileNotFoundError:
                raise trouble or Unreachable("what was written is not there") from None

        return within(self.look_s, create) == content

    def _exclusive(self) -> Callable[[Any, str, bytes], None]:
        """The way by which this store creates what nobody else has created: it is tried, not believed."""
        troubles = []
        for how in (_open_new, _pipe_new):
            name = f"probes/{uuid.uuid4().hex}"
            try:
                first, second = (self._create(how, name, content) for content in (b"first", b"second"))
                kept = self.get(name) == b"first"
            except (Unreachable, FileNotFoundError) as error:
                troubles.append(str(error))
                continue
            finally:
                _quietly(lambda name=name: self.delete([name]))
            if first and not second and kept:
                return how
        because = f" ({troubles[0]})" if troubles else ""
        raise Unreachable(f"it cannot create an object only where there is none{because}")


def _opened(url: str) -> tuple[Any, str]:
    try:
        fsspec: Any = importlib.import_module("fsspec.core")
        fs, root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except (ImportError, ValueError) as error:
        raise Unreachable(f"{str(error).rstrip('.')}. Install what it needs into ComfyUI's Python") from error
    return fs, root.rstrip("/")


def _open_new(fs: Any, path: str, content: bytes) -> None:
    with fs.open(path, "xb") as opened:
        opened.write(content)


def _pipe_new(fs: Any, path: str, content: bytes) -> None:
    fs.pipe_file(path, content, mode="create")


def _mark(told: dict[str, Any]) -> str:
    names = ("ETag", "LastModified", "mtime", "last_modified", "updated", "generation", "created", "size")
    return " ".join(str(told[name]) for name in names if told.get(name) is not None)


def _quietly(work: Callable[[], None]) -> None:
    try:
        work()
    except Unreachable:
        return
