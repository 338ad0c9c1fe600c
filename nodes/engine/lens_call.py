"""A sampling call of a job that somebody looks into: one answer, without a word of the prompt, say, against
the recorded one. On ComfyUI's worker thread.
"""

from __future__ import annotations

import torch

from ...state.recording.items import Evaluation, Inputs
from ...state.services.running_lens import RunningLens
from ..comfyui.latents import unpacked
from .beside_call import BesideCall, CannotAsk
from .heat import NoMap, heat_of


class LensCall(BesideCall[RunningLens]):
    """One of a guider's calls of outer_sample."""

    def _begins(self, inputs: Inputs, now: Inputs) -> None:
        self._format = inputs.latent_format

    def _answered(
        self, index: int, answer: torch.Tensor, recorded: Evaluation, timestep: torch.Tensor
    ) -> None:
        if answer.shape != recorded.main.shape:
            raise CannotAsk("the model's answer has another shape than it had.")
        apart = (answer.float() - recorded.main.float()).abs()
        try:
            self._running.found(heat_of(unpacked(apart, self._format)))
        except NoMap as error:
            raise CannotAsk(str(error)) from error
