"""An orderly end of the process: what is still in memory is written before it goes. Standard library only.

ComfyUI has no hook for it: a SIGTERM ends it at once, and ComfyUI-Manager replaces the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

LONGEST_S = 5.0  # that the end is put off, unless somebody wants more
JOURNAL_S = 1.0  # of these, for what the sampling threads noted and nobody entered yet
Handler = Callable[[int, FrameType | None], Any] | int | None


def before_the_end(
    write: Callable[[], None], done: Callable[[], None], longest_s: Callable[[], float] = lambda: LONGEST_S
) -> None:
    """Call `write` before SIGTERM, Ctrl+C or an exec ends the process; `done` where nothing follows it.

    Whatever handled the signals before handles them afterwards. Only the main thread may set handlers: loaded
    on another one, this does nothing for signals.
    """
    ending = _Ending(write, done, longest_s)
    write_all = ending.write_all

    def before_exec(event: str, arguments: object) -> None:  # a plain function: it is called very often
        if event == "os.exec":
            write_all()

    sys.addaudithook(before_exec)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            ending.put_before(number)


class _Ending:
    def __init__(
        self, write: Callable[[], None], done: Callable[[], None], longest_s: Callable[[], float]
    ) -> None:
        self._longest_s = longest_s
        self._write = write
        self._done = done
        self._was: dict[int, Handler] = {}
        self._process = os.getpid()  # a child that was forked has these handlers, but nothing to write

    def put_before(self, number: int) -> None:
        was = signal.getsignal(number)
        if was is None or was == signal.SIG_IGN:  # not set from Python, or nothing ends then
            return
        self._was[number] = was
        signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.write_all()
        was = self._was[number]
        if callable(was):
            was(number, frame)
        else:
            if os.getpid() == self._process:
                self._done()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def write_all(self) -> None:
        """On a thread of its own: this one may have been stopped while it held a lock."""
        if os.getpid() != self._process:
            return
        thread = threading.Thread(target=self._write, name="midrun-ending", daemon=True)
        thread.start()
        thread.join(self._longest_s())
