"""What a breakpoint does to a job that meets it. Pure values."""

from __future__ import annotations

from enum import Enum
from typing import Any

from ..errors import BadRequest

ASK_S = 10.0  # that an answer may take where nothing else is said
SHORTEST_S, LONGEST_S = 1, 3600


class Action(str, Enum):
    PAUSE = "pause"
    LOG = "log"  # it is noted in the audit trail, and the job goes on
    ABORT = "abort"
    FINISH = "finish"  # with the newest `denoised`; it pauses where there is none
    ASK = "ask"  # the webhook, whose answer decides; without one it goes on


# Of several that are met at once, the first of these counts.
STRENGTH = (
    Action.ABORT,
    Action.FINISH,
    Action.PAUSE,
    Action.ASK,
    Action.LOG,
)
ENDS = (Action.ABORT, Action.FINISH)


def action_of(given: Any) -> Action:
    """From JSON; raises BadRequest."""
    try:
        return Action(given)
    except ValueError:
        names = ", ".join(action.value for action in Action)
        raise BadRequest(f"The action of a breakpoint must be one of {names}.") from None


def timeout_of(given: Any) -> float:
    """Seconds, from JSON; raises BadRequest."""
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not is_number or not SHORTEST_S <= given <= LONGEST_S:
        told = f"a number of seconds from {SHORTEST_S} to {LONGEST_S}"
        raise BadRequest(f"timeout_s of a breakpoint must be {told}.")
    return float(given)
