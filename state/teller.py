"""Tells of a running job on a thread of its own, so that its sampling does not wait for whoever listens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger(__name__)
Work = Callable[[], object]


def at_once(work: Work) -> None:
    work()


class Teller:
    """Does what it is given, in order. To give it something takes a microsecond and lets no other thread in.

    What is not done when the server ends is not missed: whatever it would tell of is stored by the recording.
    """

    def __init__(self) -> None:
        self._works: SimpleQueue[Work] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="midrun-teller", daemon=True)
        self._thread.start()

    def __call__(self, work: Work) -> None:
        self._works.put(work)

    def _run(self) -> None:
        while True:
            work = self._works.get()
            try:
                work()
            except Exception:  # noqa: BLE001  a listener that fails must not silence the others
                log.exception("Midrun could not tell of a job's progress")
            del work  # which holds the job
