"""After a start, the rows of unfinished jobs say what their recordings hold, whatever was written last.

Start-up, before anybody asks for a job. The recording is the truth: it is written after each evaluation, a
row when there is time for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, replace

from ..breakpoints.breakpoints import AT_STEPS, Breakpoints
from ..job.view import JobView, Moment
from ..pictures.previews import source_url
from ..recording.disk import DiskRecordings
from ..recording.items import Damaged, Step
from ..recording.recording import Call, Recording
from ..server_directory import directory_name
from ..store.store import Store
from ..telemetry import Telemetry
from .moments import end_of
from .preview_files import PreviewFiles

log = logging.getLogger(__name__)
Calls = dict[Call, Recording]


def recover(store: Store, recordings: DiskRecordings, previews: PreviewFiles, crashed: bool) -> None:
    """crashed: whether the earlier server did not end in order, so that every row may be out of date."""
    suspects = dict.fromkeys(store.database.interrupted, True)
    if crashed:
        suspects = dict.fromkeys(store.left_off(), False) | suspects
    for job_id, interrupted in suspects.items():
        try:
            _recover(job_id, interrupted, store, recordings, previews)
        except Exception:  # noqa: BLE001  one job that cannot be read must not keep the server from starting
            log.exception("Midrun could not look after job %r", job_id)
    recordings.flush()


def _recover(
    job_id: str, interrupted: bool, store: Store, recordings: DiskRecordings, previews: PreviewFiles
) -> None:
    stored = store.find(job_id).result()
    calls = recordings.read(job_id)
    if stored is not None and calls and (interrupted or _differs(stored.view, calls)):
        _take_back_unfinished_rewind(stored.view, calls)
        view = corrected(stored.view, calls)
        measured = missing(store.telemetry(job_id).result(), calls)
        if view != stored.view or measured:
            store.correct(view, measured)
        if view.take is None and view.node_id is not None:
            previews.forget_from(job_id, view.node_id, view.step + 1)
            previews.save(job_id)


def corrected(view: JobView, calls: Calls) -> JobView:
    """The job as its recordings tell it; as the row tells it where they tell nothing."""
    newest = _newest(view, calls)
    if newest is None:
        return view
    call, end = newest
    recording = calls[call]
    taken = view.take is not None and not recording.rewound
    if taken:  # an evaluation was computed since the rewind
        view = replace(view, take=None)
    if end == view.moment:
        return view
    step = _step(recording, end.step)
    here = (view.node_id, view.call) == (end.node_id, end.call)
    return replace(
        view,
        **asdict(end),
        paused_at_step=end.step,
        telemetry=None if step is None else step.measured,
        breakpoints=_counted(view.breakpoints, _hits(calls)),
        source_url=view.source_url if here else _source(view, recording, end),
    )


def missing(known: Iterable[Telemetry], calls: Calls) -> list[Telemetry]:
    """What was measured of steps on record and is not known, of the newest call of each node, in order."""
    newest: dict[str, Call] = {}
    for node, number in calls:
        newest[node] = max(newest.get(node, (node, 0)), (node, number))
    told = {(one.node_id, one.step) for one in known}
    found = []
    for call in sorted(newest.values(), key=lambda call: _begun(calls[call])):
        steps = (_step(calls[call], number) for number in calls[call].steps())
        measured = [step.measured for step in steps if step is not None and step.measured is not None]
        first = next((i for i, one in enumerate(measured) if (one.node_id, one.step) not in told), None)
        found += [] if first is None else measured[first:]
    return found


# -- inside ----------------------------------------------------------------------------------------------


def _differs(view: JobView, calls: Calls) -> bool:
    """At a glance: by the names of files alone where there is one call."""
    own = calls.get(_call(view))
    if own is None or len(calls) > 1 or own.rewound != (view.take is not None):
        return True
    return (len(own), max(own.steps(), default=0)) != (view.evaluations, view.step)


def _take_back_unfinished_rewind(view: JobView, calls: Calls) -> None:
    """A crash came between the recordings' rewind and the row's, or between the two of its undoing."""
    own = calls.get(_call(view))
    if view.take is None and own is not None and own.rewound and view.evaluations > len(own):
        for recording in calls.values():
            recording.restore()


def _newest(view: JobView, calls: Calls) -> tuple[Call, Moment] | None:
    """The call that the job has come to: that which began last, but for what a rewind left behind."""
    own = _call(view)
    sound = {call: one for call, one in calls.items() if call == own or not one.rewound}
    for call in sorted(sound, key=lambda call: _begun(sound[call]), reverse=True):
        recording = sound[call]
        try:
            if recording.inputs is not None or len(recording):  # else nothing is in it yet
                return call, end_of(recording, call[1])
        except (KeyError, Damaged) as error:
            log.warning("Midrun: a recording of job %r is not readable: %s", view.job_id, error)
    return None


def _call(view: JobView) -> Call:
    return directory_name(view.node_id or ""), view.call


def _begun(recording: Recording) -> float:
    """Raises nothing: a recording without readable inputs began before all others."""
    try:
        origin = recording.origin
    except Damaged:
        return 0.0
    return 0.0 if origin is None else origin.begun


def _step(recording: Recording, number: int) -> Step | None:
    try:
        return recording.mark_of(number)
    except (KeyError, Damaged):
        return None


def _hits(calls: Calls) -> dict[str, int]:
    """As they were at the newest step of all."""
    for call in sorted(calls, key=lambda call: _begun(calls[call]), reverse=True):
        step = _step(calls[call], max(calls[call].steps(), default=0))
        if step is not None:
            return step.hits
    return {}


def _counted(breakpoints: Breakpoints, hits: dict[str, int]) -> Breakpoints:
    """What is met at no step, as a NaN is, is counted in the row alone."""
    return tuple(
        replace(one, hits=hits.get(one.id, 0)) if one.kind in AT_STEPS else one for one in breakpoints
    )


def _source(view: JobView, recording: Recording, end: Moment) -> str | None:
    inputs = recording.inputs
    from_something = inputs is not None and bool(inputs.latent_image.any())
    return source_url(view.job_id, end.node_id) if from_something and end.node_id is not None else None
