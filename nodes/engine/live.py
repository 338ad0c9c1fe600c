"""Asking a model: the one place in which a job is inside an evaluation. ComfyUI's worker thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import comfy.model_management as mm

from ...state.breakpoints.breakpoints import BreakpointKind
from ...state.job.in_flight import Outcome
from ...state.job.job import Job
from ...state.job.transitions import Directive
from ...state.job.view import JobError
from ...state.worker import Work
from .entries import Entries
from .journal import Journal

T = TypeVar("T")


class Unwound(BaseException):
    """Leaves a sampler, but never the wrapper of its call: it would kill ComfyUI's worker thread."""


def ask_live(
    job: Job,
    journal: Journal,
    entries: Entries,
    ask: Callable[[], T],
    at_once: bool = False,
    wait: Work | None = None,
    in_time: bool = False,
) -> tuple[T, float]:
    """What `ask` answers, and the seconds that it took. Raises Unwound where the job is not to go on.

    ask: waits for the device, so that the evaluation ends when the GPU is done
    at_once: whether all that was noted has to be entered before it is known whether the job goes on
    wait, in_time: as the journal has them, whose thread works beside `ask`
    """
    if at_once:
        journal.settle()
    if entries.void or job.call.begin_evaluation() is not Directive.GO:
        raise Unwound
    outcome, seconds = Outcome.RAISED, 0.0
    try:
        journal.hand_over(wait, in_time)  # from here to the model nothing lets other threads in
        answer = ask()
        outcome = Outcome.ANSWERED
    except mm.InterruptProcessingException:
        outcome = Outcome.INTERRUPTED
        raise
    except Exception as error:
        journal.settle()
        if entries.void:  # it was asked about what was not a number
            raise Unwound from error
        if job.call.hit(BreakpointKind.EXCEPTION, JobError(type(error).__qualname__, str(error), None)):
            raise Unwound from error
        raise
    finally:
        void, seconds = job.call.end_evaluation(outcome)
        if void:
            raise Unwound
    return answer, seconds
