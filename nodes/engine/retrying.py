"""A job that began with what a dead server had computed of the same prompt: whether it is given the same.

A prompt that is sent again is the truth, so what is on record gives way to it. ComfyUI's worker thread.
"""

from __future__ import annotations

import logging

from ...state.job.job import Job
from ...state.recording.items import Damaged, Inputs
from ...state.recording.recording import Recording, Recordings
from .inputs import differing

log = logging.getLogger(__name__)


def drop_unless_same(job: Job, recordings: Recordings, recording: Recording, now: Inputs) -> None:
    """Forget the recording, and those that began after it, where something that it was given is otherwise."""
    if not job.call.is_retry or not len(recording):
        return
    recorded = _readable(recording)
    names = ["inputs"] if recorded is None else differing(recorded, now, recording)
    if not names:
        return
    since = 0.0 if recorded is None else recorded.begun
    others = recordings.calls(job.job_id).values()
    later = [one for one in others if one.origin is not None and one.origin.begun >= since]
    for one in {id(one): one for one in (*later, recording)}.values():
        one.clear()
    log.info("Midrun: job %s begins afresh, as its %s changed", job.job_id, ", ".join(names))
    job.call.begin_afresh(names)


def _readable(recording: Recording) -> Inputs | None:
    try:
        return recording.inputs
    except Damaged:
        return None
