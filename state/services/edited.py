"""Which recorded evaluations were asked what a job's graph says now. May read the disk."""

from __future__ import annotations

from collections.abc import Mapping

from ..recording.items import Damaged
from ..recording.recording import Call, Recording
from ..workflow.edits import History


def asked_from(edits: History, calls: Mapping[Call, Recording]) -> dict[Call, int]:
    """For each call of the job whose beginning is on record, the evaluations before its newest edit.

    An edit may reach any sampler, also one that had ended before it: a call that began before the one in
    which the newest edit was made is not asked at all. Edits do not tell which call of their node they were
    made in, so it is taken for the last one.
    """
    origins = [(found, call) for call, recording in calls.items() if (found := recording.origin) is not None]
    begun = sorted((origin.begun, call, origin.node.node_id) for origin, call in origins)
    last = {node_id: place for place, (_, _, node_id) in enumerate(begun)}
    steps: dict[int, int] = {}  # place in `begun` -> the step after which the newest edit was made
    for named in edits.values():
        for edit in (edit for some in named.values() for edit in some):
            if edit.from_step is not None and edit.in_node is not None:
                place = last.get(edit.in_node, len(begun))
                steps[place] = max(steps.get(place, 0), edit.from_step)
    newest = max(steps, default=-1)
    found = {call: len(calls[call]) if place < newest else 0 for place, (_, call, _) in enumerate(begun)}
    if 0 <= newest < len(begun):
        call = begun[newest][1]
        found[call] = _surely_after(calls[call], steps[newest])
    return found


def _surely_after(recording: Recording, step: int) -> int:
    """How many evaluations were asked before an edit that was made after that step.

    It may have been made in the middle of the next one, if that has more than one.
    """
    try:
        done = recording.mark_of(step).evaluations if step else 0
        ends = recording.mark_of(step + 1).evaluations
    except (KeyError, Damaged):
        return len(recording)
    return min(done if ends - done == 1 else ends, len(recording))
