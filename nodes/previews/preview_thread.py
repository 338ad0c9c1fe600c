"""The thread that decodes. What a running job hands over replaces what waits; other work goes in turn."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import comfy.model_management as mm
import torch

log = logging.getLogger(__name__)
Work = Callable[[], Any]


class PreviewThread:
    """Starts with the first work it is given."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: Work | None = None
        self._todo: deque[tuple[Work, Future[Any] | None]] = deque()
        self._thread: threading.Thread | None = None
        self._turn = False  # of what is newest
        self._closed = False

    def show(self, work: Work | None) -> None:
        """Takes the place of what waits to be shown; None: nothing does any more. Never waits."""
        with self._changed:
            self._newest = work
            if work is not None:
                self._wake()

    def then(self, work: Work) -> None:
        """Do that in its turn. What goes wrong is logged."""
        with self._changed:
            self._todo.append((work, None))
            self._wake()

    def submit(self, work: Work) -> Future[Any]:
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                future.cancel()
                return future
            self._todo.append((work, future))
            self._wake()
        return future

    def close(self) -> None:
        """Finish what running jobs left to do, but nothing that was only asked for; then end."""
        with self._changed:
            self._closed = True
            for _, future in self._todo:
                if future is not None:
                    future.cancel()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _wake(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="midrun-preview", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        with torch.inference_mode():
            while (chosen := self._next()) is not None:
                work, future = chosen
                if future is None or future.set_running_or_notify_cancel():
                    _do(work, future)
                del work, future, chosen  # what they hold is not kept while nothing is to do

    def _next(self) -> tuple[Work, Future[Any] | None] | None:
        """In turn what is newest and what was asked for: neither keeps the other waiting for long."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._todo or self._closed)
            self._turn = not self._turn
            if self._newest is not None and (self._turn or not self._todo):
                newest, self._newest = self._newest, None
                return newest, None
            return self._todo.popleft() if self._todo else None


def _do(work: Work, future: Future[Any] | None) -> None:
    try:
        result = work()
    except mm.InterruptProcessingException:
        mm.interrupt_current_processing(True)  # it was meant for the sampling thread
        if future is not None:
            future.set_exception(RuntimeError("ComfyUI was interrupted"))
    except Exception as error:  # noqa: BLE001  the thread survives; whoever asked gets the error
        if future is None:
            log.warning("Midrun: a preview failed", exc_info=error)
        else:
            future.set_exception(error)
    else:
        if future is not None:
            future.set_result(result)
