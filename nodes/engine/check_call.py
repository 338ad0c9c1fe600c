"""A sampling call of a job that is checked: each answer of the model is compared with the recorded one.

On ComfyUI's worker thread.
"""

from __future__ import annotations

import math

import torch

from ...state.checks import SAMPLER_CODE, Compared, Same
from ...state.recording.items import Damaged, Evaluation, Inputs
from ...state.recording.recording import Recording
from ...state.services.running_check import RunningCheck
from ...state.surroundings import Difference, unflat
from .beside_call import BesideCall, read
from .computed_with import OF_MODEL, of_model
from .copies import host_copy
from .differing import of_conditions, of_inputs, of_values
from .fingerprint import SAMPLER
from .inputs import conditions_of, different
from .tape import first_of

ROUNDING = {  # relative to the largest value of an answer: what another order of additions may change
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.float16: 1e-2,
}
COARSE = 4e-2  # of bfloat16 and what is coarser


class CheckCall(BesideCall[RunningCheck]):
    """One of a guider's calls of outer_sample."""

    def _begins(self, inputs: Inputs, now: Inputs) -> None:
        recording = self._part.recording
        self._now, self._steps = now, read(lambda: _steps_of(recording))
        kind = getattr(self._guider.model_patcher.model, "get_dtype", lambda: torch.float32)()
        names, rounded = [], []
        for name in different(inputs, now):
            then, new = getattr(inputs, name), getattr(now, name)
            (names if compare(new, then, kind)[0] is Same.DIFFERENT else rounded).append(name)
        segment = read(self._part.recording.segment)
        sampler = inputs.fingerprints.get(SAMPLER) if segment is None else segment.sampler
        if sampler != now.fingerprints.get(SAMPLER):
            names.append("sampler")
        self._running.differs(*of_inputs(names, self._node.display_id))
        self._running.differs(*of_inputs(rounded, self._node.display_id, rounded=True))

    def _asks_from(self, x: torch.Tensor, then: torch.Tensor) -> None:
        if compare(host_copy(x), then, x.dtype)[0] is Same.DIFFERENT:
            self._running.differs(SAMPLER_DIFFERS)

    def _answered(
        self, index: int, answer: torch.Tensor, recorded: Evaluation, timestep: torch.Tensor
    ) -> None:
        kind = getattr(self._guider.inner_model, "get_dtype", lambda: answer.dtype)()
        same, difference, relative = compare(answer, recorded.main, kind)
        step = next((number for number, ends in self._steps if index < ends), len(self._steps) + 1)
        where = self._node.display_id, self._ordinal, index + 1, step, first_of(timestep)
        self._running.compared(Compared(*where, same, difference, relative))

    def _ends(self) -> None:
        """What changed against what was in force when the first evaluation that differs was recorded."""
        part, check = self._part, self._running
        mine = [one for one in check.check.compared if one.node_id == self._node.display_id]
        apart = [one.evaluation for one in mine if one.call == self._ordinal and one.same is not Same.EQUAL]
        try:
            conditions = part.recording.conditions(min(apart, default=part.first + 1))
            inputs = part.recording.inputs
        except (Damaged, KeyError):
            return
        if inputs is None:
            return
        then = conditions_of(inputs) if conditions is None else conditions.fingerprints
        check.differs(*of_conditions(then, conditions_of(self._now)))
        if conditions is not None and conditions.surroundings:
            now = of_model(self._guider.model_patcher)
            check.differs(*of_values(conditions.surroundings, now))
            rest = conditions.surroundings.items()
            told = {name: text for name, text in rest if name not in OF_MODEL}
            check.computed_with(unflat(told))


SAMPLER_DIFFERS = Difference(
    SAMPLER_CODE,
    "sampler",
    None,
    None,
    "The sampler asks otherwise than it did: its code, or the noise that it draws, changed with ComfyUI, "
    "PyTorch or a node pack.",
    True,
)


def compare(
    answer: torch.Tensor, recorded: torch.Tensor, kind: torch.dtype
) -> tuple[Same, float | None, float | None]:
    """How they compare, the largest difference, and that of the largest recorded value; None is infinite.

    kind: in which the model computes
    """
    if answer.shape != recorded.shape:
        return Same.DIFFERENT, None, None
    if _is_equal(answer, recorded):
        return Same.EQUAL, 0.0, 0.0
    then = recorded.double()
    difference = float((answer.double() - then).abs().max())
    largest = float(then.abs().max())
    if not math.isfinite(difference) or not math.isfinite(largest):
        return Same.DIFFERENT, None, None
    relative = difference / max(largest, 1e-12)
    limit = max(ROUNDING.get(kind, COARSE), ROUNDING.get(recorded.dtype, COARSE))
    return (Same.ROUNDING if relative <= limit else Same.DIFFERENT), difference, relative


def _is_equal(answer: torch.Tensor, recorded: torch.Tensor) -> bool:
    """Bit by bit, with NaN where NaN is."""
    alike = answer.dtype == recorded.dtype and torch.equal(answer.isnan(), recorded.isnan())
    return alike and torch.equal(answer.nan_to_num(), recorded.nan_to_num())


def _steps_of(recording: Recording) -> list[tuple[int, int]]:
    """(number, evaluations by its end) of each step."""
    return [(number, recording.mark_of(number).evaluations) for number in recording.steps()]
