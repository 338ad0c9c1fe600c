"""What the sampling thread need not do itself: it notes what happened, and another thread enters that.

Between two evaluations the model waits, so the sampling thread only notes; the entries are made while the
model works. Where entering takes longer than the model does, as on a slow disk, the sampling thread waits.

A device that is faster than the thread that gives it work waits for whatever else takes the interpreter. So
beside one the entries of a while are made at once, and other threads come between less often.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import torch

from ...state.worker import Work

A_WHILE_S = 1.0  # a crash costs as much, where the device is that fast


class Journal:
    """Of one sampling call. For the sampling thread; the entries are made in order, never two at a time."""

    def __init__(self, later: Callable[[Work], object], entered: Work) -> None:
        """later: does something on another thread, and is not waited for
        entered: is done there after the entries that were made at once
        """
        self._later, self._entered = later, entered
        self._noted: list[Work] = []
        self._handed_over: deque[Work] = deque()
        self._wait: Work | None = None  # of the newest evaluation
        self._wanted = False  # something was handed over since all was entered the last time
        self._coming = False  # the other thread was told
        self._at_once = threading.Event()  # it is not to wait any more
        self._entering = threading.Lock()
        self._began = -A_WHILE_S  # to enter, the last time; monotonic seconds
        self._error: Exception | None = None

    def note(self, entry: Work) -> None:
        self._noted.append(entry)

    def hand_over(self, wait: Work | None = None, in_time: bool = False) -> None:
        """Have what was noted entered while the model works. Raises what went wrong with an entry before.

        wait: returns once the other thread may begin; in_time: whether it may begin in a while
        """
        if self._entering.locked() and not (in_time and time.monotonic() - self._began < A_WHILE_S):
            with self._entering:
                pass
        self._raise()
        self._handed_over.extend(self._noted)
        self._noted.clear()
        self._wait, self._wanted = wait, True
        if not self._coming:
            self._coming = True
            self._at_once.clear()
            self._later(self._enter_handed_over)
        if not in_time:
            self._at_once.set()

    def settle(self) -> None:
        """Enter what was noted, now. Raises what went wrong with an entry; nothing after it is entered."""
        self._at_once.set()
        with self._entering:
            self._handed_over.extend(self._noted)
            self._noted.clear()
            self._wanted = False
            self._enter()
        self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            self._wanted = False
            self._handed_over.clear()
            self._noted.clear()
            raise error

    def _enter_handed_over(self) -> None:
        """On the other thread, once it is time."""
        self._at_once.wait(max(0.0, self._began + A_WHILE_S - time.monotonic()))
        if (wait := self._wait) is not None:
            wait()
        with self._entering:
            self._coming = False  # what is handed over from here on may not be seen any more
            if self._wanted:
                self._wanted, self._began = False, time.monotonic()
                self._handed_over.append(self._entered)
                self._enter()

    def _enter(self) -> None:
        try:
            with torch.inference_mode():
                while self._error is None and self._handed_over:
                    self._handed_over.popleft()()
        except Exception as error:  # noqa: BLE001  the sampling thread raises it
            self._error = error
