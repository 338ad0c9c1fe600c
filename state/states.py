"""The states of a job, and what a client chooses from. Leaves: everything else may import them."""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    COMPLETED = "completed"
    ABORTED = "aborted"
    FAILED = "failed"


class PauseReason(str, Enum):
    USER = "user"
    STEP = "step"
    BREAKPOINT = "breakpoint"
    NAN = "nan"
    ASKED = "asked"  # somebody else is asked what to do; without an answer once the server was restarted
    SERVER_RESTART = "server_restart"
    CHOICE = "choice"  # somebody is to choose what goes on
    DRAIN = "drain"  # the server was told that it is about to end


LEFT_BEHIND = (PauseReason.SERVER_RESTART, PauseReason.DRAIN)  # by a server, and by no person


class AbortMode(str, Enum):
    STOP = "stop"
    FINISH = "finish"


class QueuePolicy(str, Enum):
    """What a paused job does with ComfyUI's queue worker."""

    AUTO = "auto"  # hold it while nobody waits
    HOLD = "hold"
    PARK = "park"
