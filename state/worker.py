"""A thread that does what it is given, in order. Whoever gives it something does not wait.

To give it something takes a microsecond and, unlike with a ThreadPoolExecutor, lets no other thread in. The
sampling thread does so in every evaluation.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger(__name__)
Work = Callable[[], object]


class Worker:
    """Ends when it is closed, or with the process, once it has done what it was given."""

    def __init__(self, name: str) -> None:
        self._works: SimpleQueue[Work | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self.closed = False
        atexit.register(self.close)

    def __call__(self, work: Work) -> None:
        self._works.put(work)

    def flush(self, timeout_s: float) -> None:
        """Wait until all that was given so far is done, or until it takes too long."""
        done = threading.Event()
        self._works.put(done.set)
        done.wait(timeout_s)

    def close(self) -> None:
        """Wait until all is done. What comes later is not done any more."""
        if not self.closed:
            self.closed = True
            self._works.put(None)
            self._thread.join()
            atexit.unregister(self.close)

    def _run(self) -> None:
        while (work := self._works.get()) is not None:
            try:
                work()
            except Exception:  # noqa: BLE001  what fails must not keep the rest from being done
                log.exception("Midrun's thread %s failed at something", self._thread.name)
            del work  # and what it holds
