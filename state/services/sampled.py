"""Which nodes of a job have sampled, how far, and in which order: what its recordings hold, and its view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..job.request import Request
from ..job.view import JobView
from ..recording.items import Damaged, Origin
from ..recording.recording import Call, Recording
from ..server_directory import directory_name
from ..workflow.graph import Prompt
from ..workflow.verdicts import Progress, Sampled


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
    origins = {call: origin for call in calls if (origin := _origin(calls[call])) is not None}
    computed = [call for call in origins if len(calls[call])]
    computed.sort(key=lambda call: origins[call].begun)
    made = {origins[call].node.display_id: origins[call].own_loop for call in computed}
    found = {name: Sampled(name, Progress.DONE, own_loop=own_loop) for name, own_loop in made.items()}
    name = view.display_node_id
    if view.node_id is not None and name is not None:
        mine = directory_name(view.node_id), view.call
        recording = calls.get(mine)
        own_loop = mine in origins and origins[mine].own_loop
        if not view.evaluations and not recording:
            progress = Progress.GOING if name in found else Progress.BEGUN  # another call of it
            found[name] = Sampled(name, progress, recording is not None, own_loop)
        elif not computed or mine == computed[-1]:
            found[name] = Sampled(name, _progress(view, recording), recording is not None, own_loop)
    return tuple(one for one in found.values() if one.node_id in prompt)


def _progress(view: JobView, recording: Recording | None) -> Progress:
    """Of the node that samples now, or did so last."""
    if view.total_steps is None or not view.step >= view.total_steps > 0:
        return Progress.GOING
    try:
        segment = None if recording is None else recording.segment(view.evaluations)
    except Damaged:
        segment = None
    return Progress.CUT if segment is not None and len(segment.sigmas) == 1 else Progress.DONE


def _origin(recording: Recording) -> Origin | None:
    try:
        return recording.origin
    except Damaged:
        return None
