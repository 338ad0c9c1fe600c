"""What is made of a sampling call's evaluations and steps: recorded, measured, told, shown.

Called by the Journal: most often on a thread beside the sampling thread, while the model works.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...state.breakpoints.breakpoints import BreakpointKind, Observation
from ...state.job.job import Job
from ...state.recording.items import Approach, Evaluation, Step
from ..previews.previews import CallPreviews
from .copies import Copies
from .tape import Tape, finite, first_of, norm_of


class Asked:
    """What the sampler asks the model about, on its way to the host. evaluations: before this one"""

    def __init__(self, evaluations: int, x: torch.Tensor, timestep: torch.Tensor) -> None:
        """timestep: the sigmas, [B]"""
        self.evaluations = evaluations
        self._copies = Copies()
        self._x, self._levels = self._copies.of(x), self._copies.of(timestep)

    @property
    def sigma(self) -> float:
        """Waits for x, which is there long before the model's answer."""
        self._copies.wait()
        return first_of(self._levels)

    def approach(self) -> Approach:
        return Approach(self.evaluations, self.sigma, self._x)


@dataclass(frozen=True)
class Done:
    """A step that the sampler finished, after so many evaluations; sigma and live are the newest one's.

    denoised: on the host; own: the same, where it is not the newest answer; memory: bytes on the device
    shown: whether that is what previews are made of
    """

    number: int
    evaluations: int
    sigma: float
    live: bool
    denoised: torch.Tensor
    own: torch.Tensor | None
    memory: int | None
    shown: bool = True


class Entries:
    """Of one sampling call, in the order in which things happened."""

    def __init__(self, job: Job, tape: Tape, previews: CallPreviews, pause_at: int) -> None:
        self._job = job
        self._recording = tape.recording
        self._previews = previews
        self._pause_at = pause_at
        self._newest: Done | None = None  # step
        self._seen: Observation | None = None  # of the newest step
        self._norm: tuple[torch.Tensor, float] | None = None  # of the newest answer
        self._difference: torch.Tensor | None = None  # of the two newest steps
        self.void = False  # an answer was not a number: what followed from it is worth nothing

    @property
    def denoised(self) -> torch.Tensor | None:
        """Of the newest step."""
        return None if self._newest is None else self._newest.denoised

    def begin(self) -> None:
        """Another attempt."""
        self._seen, self.void = None, False

    def approached(self, asked: Asked) -> None:
        if not self.void:
            self._recording.approached(asked.approach())

    def answered(self, evaluation: Evaluation, evaluations: int, sigma: float, seconds: float) -> None:
        """Live. evaluations: with this one; seconds: that it took"""
        if self.void:
            self._job.call.not_a_number(seconds)
            return
        answer = evaluation.main
        norm = norm_of(answer)
        if not finite(answer, norm) and self._job.call.hit(BreakpointKind.NAN):
            self.void = True
            self._job.call.not_a_number(seconds)
            return
        self._norm = answer, norm
        self._recording.append(evaluation)
        self._job.call.recorded(evaluations, sigma, True, seconds)

    def stepped(self, done: Done) -> None:
        if self.void:
            return
        seen = self._observed(done)
        self._seen, self._newest = seen, done
        if done.shown:
            self._previews.stepped(done.number, done.sigma, done.denoised, done.live)
        left = self._job.call.stepped(seen, done.live, self._pause_at)
        step = Step(done.number, done.evaluations, done.sigma, done.own, left.measured, left.hits)
        self._recording.mark(step)

    def entered(self) -> None:
        """All of a while; the model works, and nobody waits for what others are given to do."""
        if not self.void:
            self._recording.save()
            self._previews.hand_over()
            self._job.call.tell()

    def _observed(self, done: Done) -> Observation:
        known = self._norm
        norm = known[1] if known is not None and known[0] is done.denoised else norm_of(done.denoised)
        before, than = self._seen, self._newest
        if before is None or than is None or not _comparable(done, than):
            return Observation(done.number, done.sigma, norm=norm, memory=done.memory)
        change = norm_of(self._subtracted(done.denoised, than.denoised)) / max(norm, 1e-12)
        return Observation(done.number, done.sigma, before.sigma, change, before.change, norm, done.memory)

    def _subtracted(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """In memory that is used at each step: to be given new memory takes longer than to subtract."""
        kept = self._difference
        if kept is None or kept.shape != one.shape or kept.dtype is not one.dtype or one.dtype != other.dtype:
            kept = self._difference = one - other
            return kept
        return torch.sub(one, other, out=kept)


def _comparable(one: Done, other: Done) -> bool:
    """A loop of its own may tell of some steps only, or work on other frames."""
    return one.shown is other.shown and one.denoised.shape == other.denoised.shape
