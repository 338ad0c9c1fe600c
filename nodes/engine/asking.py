"""One answer of ComfyUI's model: given to the device as work, copied, waited for. ComfyUI's worker thread.

A GPU has nothing to do from the end of an evaluation until it is given the next one. So short evaluations
are asked for one ahead: while the device computes one, the sampler goes on to ask for the next, and only then
is the first waited for. A pause comes an evaluation later then, which nobody notices. Other threads begin to
work once the device has its own: they would take the interpreter from the thread that gives it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from ...state.job.job import Job
from ...state.recording.items import RngState
from .copies import Copies, works_behind
from .entries import Entries
from .journal import Journal
from .live import ask_live
from .tape import capture_rng

SHORT_S = 0.2  # of an evaluation


@dataclass(frozen=True)
class Pending:
    """An answer on its way to the host: it may be read after `Asking.seconds_of`.

    rng: the generators after it; seconds: that the thread spent on it
    """

    kept: torch.Tensor
    rng: RngState
    copies: Copies
    seconds: float


class Asking:
    """Of one sampling call."""

    def __init__(self, job: Job, journal: Journal, entries: Entries) -> None:
        self._job, self._journal, self._entries = job, journal, entries
        self._before: Copies | None = None  # of the newest answer
        self._device_waits = False  # for the thread, and not the thread for it
        self._seconds = math.inf  # that the newest one took whose end was waited for

    def ask(
        self, model: Callable[[], torch.Tensor], device: torch.device, copies: Copies, alone: bool = False
    ) -> tuple[torch.Tensor, Pending]:
        """What the model answers, and the same on its way to the host. Raises Unwound as `ask_live`.

        copies: others of this moment, which are there when the answer is
        alone: whether it has to be there before anything else is asked
        """
        ahead = not alone and self._seconds < SHORT_S and works_behind(device)
        given = threading.Event()  # the device has its work
        awaited = self._before if ahead and self._before is not None else copies

        def ask() -> tuple[torch.Tensor, torch.Tensor, RngState]:
            try:
                copies.begin(device)
                answer = model()
                kept, rng = copies.of(answer), capture_rng(device)
            finally:
                given.set()
            self._device_waits = not awaited.wait()  # the one time that the device is waited for
            return answer, kept, rng

        wait = partial(given.wait, SHORT_S) if ahead else None
        told = self._job, self._journal, self._entries, ask
        (answer, kept, rng), seconds = ask_live(*told, wait=wait, in_time=ahead and self._device_waits)
        self._seconds = _took(awaited, seconds)
        self._before = copies
        return answer, Pending(kept, rng, copies, seconds)

    def seconds_of(self, pending: Pending) -> float:
        """That the answer took; waits for it. On the thread that enters it."""
        pending.copies.wait()
        return _took(pending.copies, pending.seconds)


def _took(copies: Copies, seconds: float) -> float:
    """What the device tells; its thread does other things meanwhile, or waits for another answer."""
    told = copies.seconds
    return seconds if told is None else told
