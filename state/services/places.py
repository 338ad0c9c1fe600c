"""A moment in the recordings of a job, and the job as it would be after a rewind to it. Any thread."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from ..job.job import Job
from ..job.view import Moment
from ..recording.items import Approach, Rewound
from ..recording.memory import in_memory
from ..recording.recording import Call, Recording
from ..server_directory import directory_name
from ..states import State
from ..workflow.edits import Edit, taken_back
from .sampled import Standpoint, sampled


@dataclass(frozen=True)
class Place:
    """later: the calls that began after the one it is in

    end: where that one came to its end, of a job that is to go on from there with more steps
    """

    moment: Moment
    call: Call | None
    calls: dict[Call, Recording]
    later: frozenset[Call]
    end: Approach | None = None

    def is_later(self, edit: Edit) -> bool:
        """Whether an edit was applied after the moment."""
        if edit.in_node == self.moment.node_id:
            first = self.moment.step + (not edit.chosen)
            return (edit.from_step or 0) >= first
        if edit.in_node is None and edit.chosen:  # before the first sampler
            return self.moment.step == 0 and set(self.calls) <= self.later | {self.call}
        return edit.in_node is not None and directory_name(edit.in_node) in {node for node, _ in self.later}

    def ends(self) -> dict[Call, Rewound | None]:
        """How much of each call belongs to a job that goes on from here; None is all."""
        ends: dict[Call, Rewound | None] = {call: None for call in self.calls if call not in self.later}
        if self.call is not None:
            ends[self.call] = Rewound(self.moment.step, self.moment.evaluations)
        return ends


def standpoint(job: Job, place: Place) -> Standpoint:
    """The job as it would be after a rewind to that place. May read the disk."""
    moment = place.moment
    edits, undoing = taken_back(job.view().edits, place.is_later)
    there = replace(job.view(), state=State.PAUSED, edits=edits, **asdict(moment))
    request = job.request.gone_back(moment.display_node_id, undoing)
    earlier = {call: recording for call, recording in place.calls.items() if call not in place.later}
    if place.call is not None and not moment.evaluations:
        earlier[place.call] = in_memory()  # nothing of it is computed there
    return Standpoint(job.job_id, request, there, sampled(there, request.prompt, earlier))
