"""The thread that writes to the disk, and one that has it flushed, which takes longer."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from typing import Any

log = logging.getLogger(__name__)
UNWRITTEN = 64 * 1024**2  # bytes that may wait for the disk before the sampler waits for them
UNWRITTEN_COUNT = 16  # evaluations that a crash may cost where the disk is slower than the model
LONGEST_WAIT_S = 5.0  # a disk that hangs must not stop the sampling for good


class Writer:
    """Does what it is given, in order; whoever gives too much has to wait."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "midrun-writer")
        self._flusher = ThreadPoolExecutor(1, "midrun-flusher")
        self._room = threading.Condition()
        self._waiting = 0  # bytes
        self._count = 0  # of works with a size

    def submit(
        self, work: Callable[[], Any], size: int = 0, flush: Callable[[], Any] | None = None
    ) -> Future[Any]:
        """The future of `work`, after which `flush` is done on the other thread.

        size: bytes that stay in memory until all is done; without any it never waits
        """
        with self._room:
            if size:
                self._room.wait_for(lambda: self._has_room(size), LONGEST_WAIT_S)
                self._count += 1
            self._waiting += size
        future = self._thread.submit(work)
        future.add_done_callback(lambda done: self._worked(done, size, flush))
        return future

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything given so far is done, or until it takes too long."""
        with contextlib.suppress(TimeoutError):
            flushed = self._thread.submit(lambda: self._flusher.submit(lambda: None))
            flushed.result(timeout_s).result(timeout_s)

    def close(self) -> None:
        self._thread.shutdown()
        self._flusher.shutdown()

    def _has_room(self, size: int) -> bool:
        return self._count < UNWRITTEN_COUNT and self._waiting + size <= max(size, UNWRITTEN)

    def _worked(self, work: Future[Any], size: int, flush: Callable[[], Any] | None) -> None:
        _tell(work)
        if flush is None:
            self._done(size)
        else:
            self._flusher.submit(flush).add_done_callback(lambda flushed: (_tell(flushed), self._done(size)))

    def _done(self, size: int) -> None:
        with self._room:
            self._waiting -= size
            self._count -= bool(size)
            self._room.notify_all()


def _tell(future: Future[Any]) -> None:
    if future.exception() is not None:
        log.error("Midrun's writer failed", exc_info=future.exception())
