"""The thread that writes to the disk, and one that has it flushed, which takes longer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from functools import partial
from typing import Any

from ..worker import Work, Worker

UNWRITTEN = 64 * 1024**2  # bytes that may wait for the disk before the sampler waits for them
UNWRITTEN_COUNT = 16  # saves, of an evaluation mostly, that a crash may cost where the disk is slow
LONGEST_WAIT_S = 5.0  # a disk that hangs must not stop the sampling for good


class Writer:
    """Does what it is given, in order; whoever gives too much has to wait."""

    def __init__(self) -> None:
        self._writing, self._flushing = Worker("midrun-writer"), Worker("midrun-flusher")
        self._room = threading.Condition()
        self._waiting = 0  # bytes
        self._count = 0  # of works with a size

    def put(self, work: Work, size: int = 0, flush: Work | None = None) -> None:
        """`work`, after which `flush` is done on the other thread.

        size: bytes that stay in memory until all is done; without any it never waits
        """
        if size:
            with self._room:
                self._room.wait_for(lambda: self._has_room(size), LONGEST_WAIT_S)
                self._count += 1
                self._waiting += size
        self._writing(partial(self._write, work, size, flush))

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """The same, for whoever waits for what becomes of it. Raises RuntimeError once it is closed."""
        if self._writing.closed:
            raise RuntimeError("Midrun's writer is closed: ComfyUI is shutting down")
        future: Future[Any] = Future()
        self.put(partial(_into, future, work))
        return future

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything given so far is done, or until it takes too long."""
        flushed: Future[Any] = Future()
        self.put(lambda: None, flush=partial(flushed.set_result, None))
        with contextlib.suppress(TimeoutError):
            flushed.result(timeout_s)

    def close(self) -> None:
        self._writing.close()
        self._flushing.close()

    def _has_room(self, size: int) -> bool:
        return self._count < UNWRITTEN_COUNT and self._waiting + size <= max(size, UNWRITTEN)

    def _write(self, work: Work, size: int, flush: Work | None) -> None:
        try:
            work()
        finally:
            if flush is None:
                self._done(size)
            else:
                self._flushing(partial(self._flush, flush, size))

    def _flush(self, flush: Work, size: int) -> None:
        try:
            flush()
        finally:
            self._done(size)

    def _done(self, size: int) -> None:
        if size:
            with self._room:
                self._waiting -= size
                self._count -= 1
                self._room.notify_all()


def _into(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
        raise
