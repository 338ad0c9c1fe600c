"""Recording the evaluations of a sampler and answering them again. Plain torch; ComfyUI's worker thread.

Recorded answers live on the host, so that a paused job has no tensor left on the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from ...state.recording.items import Damaged, Evaluation, RngState
from ...state.recording.recording import Recording
from ...state.recording.tree import Tree
from .copies import Copies

Args = dict[str, Any]  # what ComfyUI hands to a post-CFG function
PostCfg = Callable[[Args], torch.Tensor]
OF_A_LOOP = "what is on record is of a node with a sampling loop of its own, not of ComfyUI's."
TAPPED = ("denoised", "cond_denoised", "uncond_denoised")


class InputsChanged(ValueError):
    """A resumed sampling call was given something that it cannot go on with."""


def first_of(tensor: torch.Tensor) -> float:
    """Its first element; waits for the device, if it is on one."""
    values = tensor.tolist()
    while isinstance(values, list):
        values = values[0]
    return values


def norm_of(tensor: torch.Tensor) -> float:
    """Euclidean; in float32 at least."""
    if tensor.dtype is torch.float32:
        return torch.linalg.vector_norm(tensor).item()
    return float(torch.linalg.vector_norm(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32)))


def finite(tensor: torch.Tensor, norm: float) -> bool:
    """Whether there is neither a NaN nor an infinity in it: either would be in its norm, too."""
    return math.isfinite(norm) or bool(torch.isfinite(tensor).all())


def capture_rng(device: torch.device) -> RngState:
    """The global generators of the CPU and of `device`. Both are told from the host's memory: no GPU waits.

    CUDA's state is a seed and a count of numbers given out, which torch keeps on the host.
    """
    if device.type == "cpu":
        return RngState(torch.get_rng_state())
    module = _generators(device)
    return RngState(torch.get_rng_state(), None if module is None else module.get_rng_state(*_where(device)))


def restore_rng(state: RngState, device: torch.device) -> None:
    torch.set_rng_state(state.cpu)
    module = _generators(device)
    if module is None or state.device is None:
        return
    if state.device.shape == module.get_rng_state(*_where(device)).shape:  # else of another kind of device
        module.set_rng_state(state.device, *_where(device))


def _generators(device: torch.device) -> Any:
    module = None if device.type == "cpu" else getattr(torch, device.type, None)
    return module if hasattr(module, "get_rng_state") else None


def _where(device: torch.device) -> tuple[torch.device, ...]:
    return () if device.type == "mps" else (device,)  # torch.mps has one device and no such argument


class Tape:
    """A recording under a read head. Each attempt at sampling rewinds it, replays it, and records on."""

    def __init__(self, recording: Recording, lost: Callable[[int, int, str], object]) -> None:
        """`lost(count, first, why)` is told of evaluations that cannot be read back; they count from 1."""
        self.recording = recording
        self.first = 0  # evaluations before the stretch that is sampled
        self.position = 0
        self._lost = lost

    def rewind(self) -> None:
        self.position = self.first

    def next(self) -> Evaluation | None:
        """What is to be replayed now, or None where the recording ends.

        It ends, for good, before an evaluation that cannot be read back.
        """
        if self.position >= len(self.recording):
            return None
        try:
            return self.recording.read(self.position)
        except Damaged as damaged:
            lost = len(self.recording) - self.position
            self.recording.truncate(self.position)
            self._lost(lost, self.position + 1, str(damaged))
            return None

    def replay(
        self, evaluation: Evaluation, own: list[PostCfg], args: Args, device: torch.device
    ) -> torch.Tensor:
        """The recorded answer on `device`.

        own: the sampler's own post-CFG functions, called as they were, with what they were given
        args: the rest of what they may read, of the present call

        Raises InputsChanged for what another kind of node recorded.
        """
        answer = evaluation.answer
        if isinstance(answer, Tree):
            raise InputsChanged(f"Midrun cannot go on with this sampling call: {OF_A_LOOP}")
        for tap in evaluation.taps:
            given = args | {name: tensor.to(device, copy=True) for name, tensor in tap.items()}
            for function in own:
                given["denoised"] = function(given)
        if evaluation.rng is not None:
            restore_rng(evaluation.rng, device)
        self.position += 1
        return answer.to(device, copy=True)

    def passed(self) -> None:
        """An evaluation that was not recorded yet was answered; it is recorded in a moment."""
        self.position += 1


class Tap:
    """A post-CFG function that changes nothing and keeps what the functions after it are given."""

    def __init__(self, copies: Copies) -> None:
        """copies: to which it adds; what is in `calls` may be read after waiting for them"""
        self.calls: list[Args] = []
        self._copies = copies

    def __call__(self, args: Args) -> torch.Tensor:
        given = {name: args[name] for name in TAPPED if isinstance(args.get(name), torch.Tensor)}
        self.calls.append({name: self._copies.of(tensor) for name, tensor in given.items()})
        return args["denoised"]
