"""Places in a recording: after a step, and where it ends. Pure functions over what is on record."""

from __future__ import annotations

from ..job.view import Moment
from ..recording.recording import Recording


def moment_at(recording: Recording, call: int, number: int) -> Moment:
    """After that step; 0 is before anything was evaluated. Raises KeyError or Damaged."""
    step = recording.step(number) if number else None
    evaluations = step.evaluations if step is not None else 0
    return _moment(recording, call, number, evaluations, None if step is None else step.sigma)


def end_of(recording: Recording, call: int) -> Moment:
    """After the newest evaluation, which may be in the middle of a step. Raises KeyError or Damaged."""
    evaluations = len(recording)
    approach = recording.approach(evaluations - 1) if evaluations else None
    number = max(recording.steps(), default=0)
    return _moment(recording, call, number, evaluations, None if approach is None else approach.sigma)


def _moment(recording: Recording, call: int, number: int, evaluations: int, sigma: float | None) -> Moment:
    inputs = recording.inputs
    if inputs is None:
        raise KeyError(number)
    segment = recording.segment(evaluations) if evaluations else None
    sigmas, before = (inputs.sigmas, 0) if segment is None else (segment.sigmas, segment.step)
    total: int | None = before + len(sigmas) - 1
    if number > total:  # as of samplers that choose their steps themselves
        total = None
    sigma = float(sigmas[0]) if sigma is None and len(sigmas) else sigma
    where = inputs.node_id, number, evaluations, total, sigma, call
    return Moment(*where, inputs.display_id, inputs.loops)
