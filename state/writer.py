"""The one thread that writes to the disk."""

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

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything given so far is done, or until it takes too long."""
        with contextlib.suppress(TimeoutError):
            self._thread.submit(lambda: None).result(timeout_s)

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
