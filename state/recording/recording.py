"""The evaluations of one sampling call, in order, and what that call was given: what all recordings can do.

Written and read by ComfyUI's worker thread, and beside it while the model works; dropped from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from ..server_directory import directory_name
from .items import (
    Approach,
    Conditions,
    Evaluation,
    Inputs,
    Origin,
    Remembered,
    Rewound,
    Segment,
    Step,
)
from .tree import Tree


class Recording(Protocol):
    """Append-only, but for `truncate`. Reading raises Damaged.

    A rewound one ends at an earlier step; what comes after it, the take, is kept until something is appended.
    """

    def forget_begun(self) -> None:
        """Another call begins."""
        ...

    @property
    def origin(self) -> Origin | None:
        """Of the inputs, without reading them all; None where there are none that can be read."""
        ...

    @property
    def inputs(self) -> Inputs | None: ...
    @inputs.setter
    def inputs(self, inputs: Inputs) -> None: ...
    def __len__(self) -> int: ...
    def append(self, evaluation: Evaluation) -> None: ...
    def read(self, index: int) -> Evaluation: ...
    def truncate(self, length: int) -> None:
        """Forget the evaluations from that index on, and the steps that needed them."""
        ...

    def clear(self) -> None:
        """As if the call had never begun."""
        ...

    def mark(self, step: Step) -> None:
        """A step was finished; one that is known already is left as it is."""
        ...

    def approach(self, evaluations: int) -> Approach | None:
        """To the evaluation after so many."""
        ...

    def approached(self, approach: Approach) -> None: ...
    def begin(self, segment: Segment) -> None:
        """One that begins where another does takes its place."""
        ...

    def settle(self) -> None:
        """The call ends with the segment that was begun, although nothing was evaluated in it."""
        ...

    def segment(self, length: int | None = None) -> Segment | None:
        """The newest, or the newest that begins within so many evaluations."""
        ...

    def condition(self, conditions: Conditions) -> None:
        """What the evaluations from here on are asked under."""
        ...

    def conditions(self, length: int | None = None) -> Conditions | None:
        """Of the newest evaluation, or the newest of so many; None where they are those of the inputs."""
        ...

    def remember(self, remembered: Remembered) -> None:
        """Before the evaluation after which it was so; another of that number takes its place."""
        ...

    def remembered(self, evaluations: int) -> Remembered:
        """Raises KeyError where there is none of that number."""
        ...

    def forget(self, evaluations: int) -> None:
        """What was remembered then; nothing, where it is not known."""
        ...

    def memories(self) -> list[int]:
        """The numbers of evaluations of which it is known, in order, as far as the recording goes."""
        ...

    def rewind(self, step: int) -> None:
        """End after that step from now on; 0 is before the first. Raises KeyError for an unknown one."""
        ...

    def restore(self) -> None:
        """Take a rewind back, if its take is still there."""
        ...

    @property
    def rewound(self) -> bool: ...
    def save(self) -> None:
        """Write what there is. Not at each part, so that the sampler shares the interpreter with the writer
        when it waits for the model, and not between two evaluations."""
        ...

    def steps(self) -> list[int]: ...
    def step(self, number: int) -> Step:
        """With its `denoised`. Raises KeyError where there is no such step."""
        ...

    def mark_of(self, number: int) -> Step:
        """As it was marked. Raises KeyError where there is no such step."""
        ...


R = TypeVar("R", bound=Recording)
Call = tuple[str, int]  # (a node's directory_name, ordinal): one sampling call of a job


class Recordings(Protocol):
    """All recordings, keyed by (job_id, node_id, ordinal)."""

    def calls(self, job_id: str) -> dict[Call, Recording]:
        """All there are of the job. May read the disk."""
        ...

    def share(self, job_id: str, with_id: str, calls: dict[Call, Rewound | None]) -> None:
        """Give a new job these calls of another, whole or up to there. Raises OSError. Takes its time."""
        ...

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything put so far is where it survives a crash, or until it takes too long."""
        ...

    def open(self, job_id: str, node_id: str, ordinal: int) -> Recording: ...
    def find(self, job_id: str, name: str, iteration: int | None = None) -> Recording | None:
        """The newest call's of the node with that name, in that iteration of the loop it is in, if any."""
        ...

    def exists(self, job_id: str) -> bool: ...
    def remembered_elsewhere(self, job_id: str, node_id: str, ordinal: int) -> int:
        """Bytes of what is remembered of the job's other calls than that one. May look at the disk."""
        ...

    def close(self, job_id: str) -> None:
        """The job ended: nothing of it needs to stay in memory."""
        ...

    def drop(self, job_id: str, then: Callable[[], None] = ...) -> None:
        """Delete all of the job's, and call `then`."""
        ...

    def set_aside(self, job_id: str) -> None:
        """A new job has that id: what is there of it belongs to another."""
        ...


def is_begun(recording: Recording) -> bool:
    """Whether its call began, and no rewind took that back."""
    return len(recording) > 0 or (not recording.rewound and recording.origin is not None)


def newest_of(calls: Mapping[Call, R], name: str, iteration: int | None = None) -> tuple[Call, R] | None:
    """The call that began last of the node with that name; one that a rewind left nothing of comes last."""
    of_its_own = {call: found for call, found in calls.items() if call[0] == directory_name(name)}
    found = list((of_its_own if iteration is None and of_its_own else calls).items())
    known = [(call, recording, recording.origin) for call, recording in found]
    mine = [
        (len(recording) > 0, 0.0 if origin is None else origin.begun, call[1], call)
        for call, recording, origin in known
        if _is_of(call, origin, name, iteration)
    ]
    call = max(mine)[-1] if mine else None
    return None if call is None else (call, calls[call])


def _is_of(call: Call, origin: Origin | None, name: str, iteration: int | None) -> bool:
    if iteration is not None and (origin is None or origin.node.iteration != iteration):
        return False
    return call[0] == directory_name(name) or (origin is not None and origin.node.is_called(name))


def with_denoised(step: Step, recording: Recording) -> Step:
    """The step with its `denoised`, which most often is an answer's. What a network answers is not that."""
    if step.denoised is not None or step.evaluations == 0:
        return step
    answer = recording.read(step.evaluations - 1).answer
    return step if isinstance(answer, Tree) else replace(step, denoised=answer)
