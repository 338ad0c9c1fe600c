"""One run of a job in ComfyUI: what begins anew each time the job is queued. Guarded by the job's lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..node import Node
from .transitions import Event


@dataclass
class Run:
    """The present run. Runs are told apart by identity.

    came_to: where the job stood when it was queued
    leaving: prompt id of a run that was told to end, and had not yet, when this one was queued
    trial: it tries edits, and has not answered an evaluation with them
    total_before: steps of the call as it was in the run before
    steps_left: steps to do before it pauses, None is all
    passed: nodes (as they execute) before which the job was paused and went on, until it is rewound
    """

    came_to: tuple[Node, ...] = ()
    leaving: str | None = None
    trial: bool = False
    total_before: int | None = None
    steps_left: int | None = None
    passed: set[str] = field(default_factory=set)
    active: bool = False  # in ComfyUI's queue or executing
    started: bool = False  # reached the front of the queue
    ordinals: dict[str, int] = field(default_factory=dict)  # node_id -> sampling calls begun there
    in_call: bool = False  # inside a watched sampling call
    own_loop: bool = False  # of the call: a sampling loop that is not ComfyUI's
    finished: bool = False  # an abort with mode finish has been carried out


@dataclass(frozen=True)
class NextRun:
    """What becomes of the job once the run that is being validated is queued."""

    event: Event
    fields: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None
