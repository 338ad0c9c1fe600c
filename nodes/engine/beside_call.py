"""A sampling call in a prompt beside a job: the sampler is replayed, and the model asked beside it.

Each evaluation that is wanted is asked once more with what was asked then; the sampler goes on with the
recorded answer, so no error grows. Nothing of the job or its recording changes. On ComfyUI's worker thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import comfy.model_management as mm
import torch

from ...state.node import Node
from ...state.recording.items import Damaged, Evaluation, Inputs
from ...state.recording.recording import Recording
from ...state.services.running_beside import RunningBeside
from ..comfyui import gpu
from ..remembering.again import Memory
from ..remembering.roots import roots_of
from .copies import host_copy
from .guider import KEY, OWN_POST_CFG, clean_up, copy_conds, wrapped
from .hold import end_prompt
from .inputs import CallArguments, inputs_now, with_seed
from .live import Unwound
from .segments import starting_at
from .tape import Tape, capture_rng, restore_rng

T = TypeVar("T")
R = TypeVar("R", bound=RunningBeside)


class CannotAsk(ValueError):
    """It cannot go on; the message says why."""


class BesideCall(Generic[R]):
    """One of a guider's calls of outer_sample."""

    def __init__(
        self,
        running: R,
        node: Node,
        executor: Any,
        given: CallArguments,
        sampler: Any,
    ) -> None:
        self._running, self._node, self._executor, self._given = running, node, executor, given
        self._sampler = sampler
        self._guider: Any = executor.class_obj
        self._conds = copy_conds(self._guider.conds)
        self._shared_post_cfg = len(self._guider.model_options.get(OWN_POST_CFG, ()))
        self._memory: Memory | None = None
        self._ordinal, part = running.enter(node)
        if part is None:
            running.stops(f"node {node.display_id} samples once more than it did.")
            end_prompt()
        self._part = part
        self._tape = Tape(part.recording, _lost)

    # -- what is asked for -----------------------------------------------------------------------------

    def _begins(self, inputs: Inputs, now: Inputs) -> None:
        """inputs: what the call was given when it was recorded; now: what it is given here"""

    def _asks_from(self, x: torch.Tensor, then: torch.Tensor) -> None:
        """x: what the sampler asks about now; then: what it asked about when that was recorded"""

    def _answered(
        self, index: int, answer: torch.Tensor, recorded: Evaluation, timestep: torch.Tensor
    ) -> None:
        """answer: of the model, on the host. May raise CannotAsk."""
        raise NotImplementedError

    def _ends(self) -> None:
        """All is asked."""

    # -- the call --------------------------------------------------------------------------------------

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        """The result as it was recorded; ends the prompt where there is none, or nothing is left to ask."""
        try:
            output = self._replay(args, kwargs)
        except CannotAsk as error:
            self._running.stops(str(error))
            end_prompt()
        if self._running.leave(self._node, self._ordinal):
            end_prompt()
        if output is None and (output := self._cut(args, kwargs)) is None:
            node = self._node.display_id
            self._running.stops(f"the recording of node {node} ends early; nothing after it can be asked.")
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
        if self._part.count:  # else it is only replayed
            self._begins(inputs, now)
        schedule, rng, sampler = inputs.sigmas, inputs.rng, self._sampler
        segment = read(lambda: recording.segment(self._part.end - 1))
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
            self._ends()
            if output is not None and tape.position < self._part.end:
                raise CannotAsk(
                    f"the sampler of node {self._node.display_id} asks the model {tape.position} times, and "
                    f"{self._part.end} are on record."
                )
        return output

    def _recorded(self, recording: Recording, now: Inputs) -> Inputs:
        inputs = read(lambda: recording.inputs)
        if inputs is None:
            raise CannotAsk("what the sampling began with is not on record.")
        for name in ("noise", "latent_image", "denoise_mask"):
            then, new = getattr(inputs, name), getattr(now, name)
            if (then is None) != (new is None) or (then is not None and then.shape != new.shape):
                raise CannotAsk(f"the {name} of node {self._node.display_id} has another shape than it had.")
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
        recorded = read(lambda: tape.recording.read(index))
        ask = partial(executor, model_options=options, seed=seed)
        if self._part.wants(index):
            self._answered(index, self._ask(ask, index, x, timestep), recorded, timestep)
        elif self._memory is not None and self._memory.in_order:
            self._ask(ask, index, x, timestep)
        args = {"sigma": timestep, "input": x, "model_options": options}
        args |= {"cond_scale": getattr(self._guider, "cfg", 1.0), "model": self._guider.inner_model}
        return tape.replay(recorded, own, args, x.device)

    def _ask(self, ask: Any, index: int, x: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Leaves the random generators as they were."""
        approach = read(lambda: self._tape.recording.approach(index))
        asked, level = x, timestep
        if approach is not None:
            asked = approach.x.to(x.device, copy=True)
            level = torch.full_like(timestep, approach.sigma)
            self._asks_from(x, approach.x)
        if self._memory is not None:
            self._memory.before(index)
        rng = capture_rng(x.device)
        answer = host_copy(ask(asked, level))
        restore_rng(rng, x.device)
        return answer


def read(look: Callable[[], T]) -> T:
    """Of a recording, which somebody may rewind or delete meanwhile. Raises CannotAsk."""
    try:
        return look()
    except (Damaged, IndexError, KeyError) as error:
        raise CannotAsk(f"the recording cannot be read any more ({error}).") from error


def _lost(count: int, first: int, why: str) -> None:
    raise CannotAsk(f"{count} evaluations from number {first} on cannot be read ({why}).")
