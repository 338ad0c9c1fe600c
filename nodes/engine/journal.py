"""What the sampling thread need not do itself: it notes what happened, and another thread enters that.

Between two evaluations the model waits, so the sampling thread only notes; the entries are made while the
model works. At most what happened since one evaluation is on the way: where entering takes longer than the
model does, as on a slow disk, the sampling thread waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

from ...state.worker import Work


class Journal:
    """Of one sampling call. For the sampling thread; the entries are made in order, never two at a time."""

    def __init__(self, later: Callable[[Work], object]) -> None:
        """`later` does something on another thread, which is not to wait for it."""
        self._later = later
        self._noted: list[Work] = []
        self._on_the_way: list[Work] = []
        self._entering = threading.Lock()  # held from handing over to the last entry
        self._error: Exception | None = None

    def note(self, entry: Work) -> None:
        self._noted.append(entry)

    def hand_over(self, wait: Work | None = None) -> None:
        """Have what was noted entered while the model works. Raises as `settle`.

        wait: returns once the other thread may begin
        """
        self._take_up()
        if wait is not None:
            self._on_the_way.insert(0, wait)
        self._later(self._enter)

    def settle(self) -> None:
        """Enter what was noted, now. Raises what went wrong with an entry; nothing after it is entered."""
        self._take_up()
        self._enter()
        self._raise()

    def _take_up(self) -> None:
        self._entering.acquire()
        self._on_the_way, self._noted = self._noted, []
        if self._error is not None:
            self._entering.release()
            self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _enter(self) -> None:
        try:
            with torch.inference_mode():
                for entry in self._on_the_way:
                    entry()
        except Exception as error:  # noqa: BLE001  the sampling thread raises it
            self._error = error
        finally:
            self._on_the_way = []
            self._entering.release()
