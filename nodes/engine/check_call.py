"""A sampling call of a job that is checked: the sampler is replayed, and the model asked beside it.

Each recorded evaluation is asked once more with what was asked then; the sampler goes on with the recorded
answer, so no error grows. Nothing of the job or its recording changes. On ComfyUI's worker thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import comfy.model_management as mm
import torch

from ...state.checks import SAMPLER_CODE, Compared, Same
from ...state.node import Node
from ...state.recording.items import Damaged, Evaluation, Inputs
from ...state.recording.recording import Recording
from ...state.services.running_check import Part, RunningCheck
from ...state.surroundings import Difference, unflat
from ..comfyui import gpu
from ..remembering.again import Memory
from ..remembering.roots import roots_of
from .call import clean_up, wrapped
from .computed_with import OF_MODEL, of_model
from .differing import of_conditions, of_inputs, of_values
from .fingerprint import SAMPLER
from .guider import KEY, OWN_POST_CFG, copy_conds
from .hold import end_prompt
from .inputs import CallArguments, conditions_of, different, inputs_now, with_seed
from .live import Unwound
from .segments import starting_at
from .tape import Tape, capture_rng, first_of, host_copy, restore_rng

ROUNDING = {  # relative to the largest value of an answer: what another order of additions may change
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.float16: 1e-2,
}
COARSE = 4e-2  # of bfloat16 and what is coarser
T = TypeVar("T")


class CannotCheck(ValueError):
    """The check cannot go on; the message says why."""


class CheckCall:
    """One of a guider's calls of outer_sample."""

    def __init__(
        self,
        check: RunningCheck,
        node: Node,
        executor: Any,
        given: CallArguments,
        sampler: Any,
    ) -> None:
        self._check, self._node, self._executor, self._given = check, node, executor, given
        self._sampler = sampler
        self._guider: Any = executor.class_obj
        self._conds = copy_conds(self._guider.conds)
        self._shared_post_cfg = len(self._guider.model_options.get(OWN_POST_CFG, ()))
        self._memory: Memory | None = None
        self._ordinal, part = check.enter(node)
        if part is None:
            check.stops(f"node {node.display_id} samples once more than it did.")
            end_prompt()
        self._part = part
        self._tape = Tape(part.recording, _lost)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        """The result as it was recorded; ends the prompt where there is none, or nothing is left to ask."""
        try:
            output = self._replay(args, kwargs)
        except CannotCheck as error:
            self._check.stops(str(error))
            end_prompt()
        if self._check.leave(self._node, self._ordinal):
            end_prompt()
        if output is None and (output := self._cut(args, kwargs)) is None:
            node = self._node.display_id
            self._check.stops(f"the recording of node {node} ends early; nothing after it can be asked.")
            end_prompt()
        return output

    def _cut(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor | None:
        """The result where an edited schedule ended at what is recorded; None where none did."""
        recording = self._part.recording
        try:
            inputs, segment = recording.inputs, recording.segment()
        except Damaged:
            return None
        if inputs is None or segment is None or segment.first != self._part.end or len(segment.sigmas) > 1:
            return None
        self._guider.conds = copy_conds(self._conds)
        args, kwargs = with_seed(inputs.seed, args, kwargs)
        noise, latent, mask = self._given.again(inputs)
        levels = segment.sigmas.to(self._given.sigmas.device, copy=True)
        sampler = starting_at(self._sampler, segment.x)
        return self._executor(noise, latent, sampler, levels, mask, None, *args, **kwargs)

    def _replay(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor | None:
        """None where the sampler was left at the end of what is recorded."""
        recording, tape = self._part.recording, self._tape
        now = inputs_now(self._node, self._given, self._guider, self._sampler, kwargs.get("latent_shapes"))
        inputs = self._recorded(recording, now)
        if self._part.count:  # else all was asked before an edit
            self._tell_inputs(inputs, now)
        self._now, self._steps = now, _read(lambda: _steps_of(recording))
        schedule, rng, sampler = inputs.sigmas, inputs.rng, self._sampler
        segment = _read(lambda: recording.segment(self._part.end - 1))
        if segment is not None:
            schedule, rng, sampler = segment.sigmas, segment.rng, starting_at(sampler, segment.x)
            tape.first = segment.first
        tape.rewind()
        args, kwargs = with_seed(inputs.seed, args, kwargs)
        restore_rng(rng, mm.get_torch_device())
        noise, latent, mask = self._given.again(inputs)
        levels = schedule.to(self._given.sigmas.device, copy=True)
        output = None
        try:
            with wrapped(self._guider, self._predict_noise):
                output = self._executor(noise, latent, sampler, levels, mask, None, *args, **kwargs)
        except Unwound:
            clean_up(self._guider, self._conds)
        finally:
            if output is None:
                gpu.end_forward()  # nobody else does so
            if self._memory is not None:
                self._memory.put_back()
        if self._part.count:
            self._tell_changed(self._part)
            if output is not None and tape.position < self._part.end:
                raise CannotCheck(
                    f"the sampler of node {self._node.display_id} asks the model {tape.position} times, and "
                    f"{self._part.end} are on record."
                )
        return output

    def _recorded(self, recording: Recording, now: Inputs) -> Inputs:
        inputs = _read(lambda: recording.inputs)
        if inputs is None:
            raise CannotCheck("what the sampling began with is not on record.")
        for name in ("noise", "latent_image", "denoise_mask"):
            then, new = getattr(inputs, name), getattr(now, name)
            if (then is None) != (new is None) or (then is not None and then.shape != new.shape):
                raise CannotCheck(
                    f"the {name} of node {self._node.display_id} has another shape than it had."
                )
        return inputs

    # -- an evaluation ---------------------------------------------------------------------------------

    def _predict_noise(
        self,
        executor: Any,
        x: torch.Tensor,
        timestep: torch.Tensor,
        model_options: dict[str, Any] | None = None,
        seed: int | None = None,
    ) -> torch.Tensor:
        """x: [B, ...]; timestep: the sigmas, [B]. Answers the recorded `denoised`."""
        options = {} if model_options is None else model_options
        own = options.get(OWN_POST_CFG, [])[self._shared_post_cfg :]
        tape, index = self._tape, self._tape.position
        if index >= self._part.end:
            raise Unwound
        if index == tape.first:
            roots = roots_of(options, self._guider, KEY, own)
            if roots is not None:
                self._memory = Memory(tape.recording, roots, x.device)
        recorded = _read(lambda: tape.recording.read(index))
        ask = partial(executor, model_options=options, seed=seed)
        if self._part.wants(index):
            self._compare(index, recorded, ask, x, timestep)
        elif self._memory is not None and self._memory.in_order:
            self._ask(ask, index, x, timestep)
        args = {"sigma": timestep, "input": x, "model_options": options}
        args |= {"cond_scale": getattr(self._guider, "cfg", 1.0), "model": self._guider.inner_model}
        return tape.replay(recorded, own, args, x.device)

    def _ask(self, ask: Any, index: int, x: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Leaves the random generators as they were."""
        approach = _read(lambda: self._tape.recording.approach(index))
        asked, level = x, timestep
        if approach is not None:
            asked = approach.x.to(x.device, copy=True)
            level = torch.full_like(timestep, approach.sigma)
            if compare(host_copy(x), approach.x, x.dtype)[0] is Same.DIFFERENT:
                self._check.differs(SAMPLER_DIFFERS)
        if self._memory is not None:
            self._memory.before(index)
        rng = capture_rng(x.device)
        answer = host_copy(ask(asked, level))
        restore_rng(rng, x.device)
        return answer

    def _compare(
        self, index: int, recorded: Evaluation, ask: Any, x: torch.Tensor, timestep: torch.Tensor
    ) -> None:
        kind = getattr(self._guider.inner_model, "get_dtype", lambda: x.dtype)()
        same, difference, relative = compare(self._ask(ask, index, x, timestep), recorded.main, kind)
        step = next((number for number, ends in self._steps if index < ends), len(self._steps) + 1)
        where = self._node.display_id, self._ordinal, index + 1, step, first_of(timestep)
        self._check.compared(Compared(*where, same, difference, relative))

    # -- what changed ----------------------------------------------------------------------------------

    def _tell_inputs(self, inputs: Inputs, now: Inputs) -> None:
        kind = getattr(self._guider.model_patcher.model, "get_dtype", lambda: torch.float32)()
        names, rounded = [], []
        for name in different(inputs, now):
            then, new = getattr(inputs, name), getattr(now, name)
            (names if compare(new, then, kind)[0] is Same.DIFFERENT else rounded).append(name)
        segment = _read(self._part.recording.segment)
        sampler = inputs.fingerprints.get(SAMPLER) if segment is None else segment.sampler
        if sampler != now.fingerprints.get(SAMPLER):
            names.append("sampler")
        self._check.differs(*of_inputs(names, self._node.display_id))
        self._check.differs(*of_inputs(rounded, self._node.display_id, rounded=True))

    def _tell_changed(self, part: Part) -> None:
        """Against what was in force when the first evaluation that is answered otherwise was recorded."""
        mine = [one for one in self._check.check.compared if one.node_id == self._node.display_id]
        apart = [one.evaluation for one in mine if one.call == self._ordinal and one.same is not Same.EQUAL]
        try:
            conditions = part.recording.conditions(min(apart, default=part.first + 1))
            inputs = part.recording.inputs
        except (Damaged, KeyError):
            return
        if inputs is None:
            return
        then = conditions_of(inputs) if conditions is None else conditions.fingerprints
        self._check.differs(*of_conditions(then, conditions_of(self._now)))
        if conditions is not None and conditions.surroundings:
            now = of_model(self._guider.model_patcher)
            self._check.differs(*of_values(conditions.surroundings, now))
            rest = conditions.surroundings.items()
            told = {name: text for name, text in rest if name not in OF_MODEL}
            self._check.computed_with(unflat(told))


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


def _read(read: Callable[[], T]) -> T:
    """Of a recording, which somebody may rewind or delete meanwhile. Raises CannotCheck."""
    try:
        return read()
    except (Damaged, IndexError, KeyError) as error:
        raise CannotCheck(f"the recording cannot be read any more ({error}).") from error


def _lost(count: int, first: int, why: str) -> None:
    raise CannotCheck(f"{count} evaluations from number {first} on cannot be read ({why}).")
