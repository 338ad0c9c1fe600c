"""What can happen to a job, in which state, and what it leads to. One table; no behaviour."""

from __future__ import annotations

from enum import Enum

from ..states import State


class Event(Enum):
    START = "start"
    PAUSE = "pause"
    UNPAUSE = "unpause"  # a pause taken back before it took effect
    UNPAUSE_QUEUED = "unpause_queued"
    STOPPED = "stopped"  # the sampler was left
    PARK = "park"
    RESUME = "resume"
    QUEUE = "queue"  # a new run was queued
    REWIND = "rewind"
    RESTORE = "restore"  # a rewind was taken back
    COMPLETE = "complete"
    ABORT = "abort"
    FAIL = "fail"


Q, R, P, H, C, A, F = (
    State.QUEUED,
    State.RUNNING,
    State.PAUSING,
    State.PAUSED,
    State.COMPLETED,
    State.ABORTED,
    State.FAILED,
)
TRANSITIONS: dict[tuple[State, Event], State] = {
    (Q, Event.START): R,
    (Q, Event.PAUSE): P,
    (Q, Event.COMPLETE): C,
    (Q, Event.ABORT): A,
    (Q, Event.FAIL): F,
    (R, Event.PAUSE): P,
    (R, Event.COMPLETE): C,
    (R, Event.ABORT): A,
    (R, Event.FAIL): F,
    (P, Event.UNPAUSE): R,
    (P, Event.UNPAUSE_QUEUED): Q,
    (P, Event.STOPPED): H,
    (P, Event.COMPLETE): C,
    (P, Event.ABORT): A,
    (P, Event.FAIL): F,
    (H, Event.PARK): H,
    (H, Event.RESUME): R,
    (H, Event.QUEUE): Q,
    (H, Event.ABORT): A,
    (H, Event.FAIL): F,
    (F, Event.QUEUE): Q,
    (H, Event.REWIND): H,
    (F, Event.REWIND): H,
    (A, Event.REWIND): H,
    (C, Event.REWIND): H,
    (H, Event.RESTORE): H,
    (F, Event.RESTORE): H,
    (A, Event.RESTORE): H,
    (C, Event.RESTORE): H,
    (F, Event.ABORT): A,
}
ENDED = frozenset({C, A})


class Directive(Enum):
    """What the worker thread is to do now."""

    GO = "go"
    PAUSE = "pause"
    PARK = "park"  # end the prompt, the job stays paused
    FINISH = "finish"  # return the newest `denoised`
    STOP = "stop"  # end the prompt
