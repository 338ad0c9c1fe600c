"""Which nodes of a job have sampled, how far, and in which order: what its recordings hold, and its view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .graph import Prompt
from .places import directory_name
from .recording import Call, Damaged, Recording
from .request import Request
from .verdicts import Progress, Sampled
from .view import JobView


@dataclass(frozen=True)
class Standpoint:
    """A job at the moment at which its edits are judged: as it is now, or after a rewind."""

    job_id: str
    request: Request
    view: JobView
    sampled: tuple[Sampled, ...]

    @property
    def prompt(self) -> Prompt:
        return self.request.prompt


def sampled(view: JobView, prompt: Prompt, calls: Mapping[Call, Recording]) -> tuple[Sampled, ...]:
    """In the order in which they began. `calls`: those that began by then. May read the disk."""
    names = {directory_name(node_id): node_id for node_id in prompt}
    if view.node_id is not None:
        names[directory_name(view.node_id)] = view.node_id
    computed = [call for call, recording in calls.items() if len(recording) and call[0] in names]
    computed.sort(key=lambda call: _begun(calls[call]))
    found = {names[call[0]]: Sampled(names[call[0]], Progress.DONE) for call in computed}
    if view.node_id is not None:
        mine = max((call for call in calls if names.get(call[0]) == view.node_id), default=None)
        recording = None if mine is None else calls[mine]
        if not view.evaluations and not recording:
            found[view.node_id] = Sampled(view.node_id, Progress.BEGUN, recording is not None)
        elif not computed or mine == computed[-1]:
            found[view.node_id] = Sampled(view.node_id, _progress(view, recording), recording is not None)
    return tuple(found.values())


def _progress(view: JobView, recording: Recording | None) -> Progress:
    """Of the node that samples now, or did so last."""
    if view.total_steps is None or not view.step >= view.total_steps > 0:
        return Progress.GOING
    try:
        segment = None if recording is None else recording.segment(view.evaluations)
    except Damaged:
        segment = None
    return Progress.CUT if segment is not None and len(segment.sigmas) == 1 else Progress.DONE


def _begun(recording: Recording) -> float:
    try:
        inputs = recording.inputs
    except Damaged:
        return 0.0
    return 0.0 if inputs is None else inputs.begun
