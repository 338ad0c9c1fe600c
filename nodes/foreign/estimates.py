"""The `denoised` of the steps of a loop that shows none, from what its network was asked and answered.

Noted on ComfyUI's worker thread, computed elsewhere. Where a scheduler does not tell how, there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from ...state.recording.tree import Tree
from .guidance import guided, is_twice_the_same
from .schedulers import Formula, Place, Schedule, Unknown

NO_SCHEDULER = "no scheduler that tells how its network answers is at work in it"
OF_PARTS = "it asks its network about parts of what it samples"
NO_PICTURE = "what its network is asked about has not the form of pictures"
CHANGED = "it changes what its network answers before its scheduler gets it"
ALIKE = 0.1  # the least cosine of where a sample moves and where its step's `denoised` is


@dataclass(frozen=True)
class Shown:
    """A step's, on the host. guided: by the cfg; else it is the conditional one of several answers"""

    denoised: torch.Tensor
    guided: bool


@dataclass(frozen=True)
class Asked:
    """What a network was. place, formula: of its time step"""

    sample: torch.Tensor
    place: Place
    formula: Formula


@dataclass(frozen=True)
class Told:
    """One evaluation."""

    asked: Asked
    answer: Tree


@dataclass(frozen=True)
class Estimate:
    """Of one step. told: its evaluations in their order; after: what was asked next, if anything was

    scale: its cfg, where that is known
    """

    told: tuple[Told, ...]
    scale: float | None
    after: Asked | None

    def shown(self) -> Shown:
        """Of the newest that were asked before the scheduler went on. Any thread. Raises Unknown."""
        fitting = [one for one in self.told if _answers(one) is not None]
        if not fitting:
            raise Unknown("its network's answers have not the form of what it is asked about")
        last = fitting[-1].asked
        at_once = [one for one in fitting if one.asked.place == last.place]
        if any(not torch.equal(one.asked.sample, last.sample) for one in at_once):
            raise Unknown(OF_PARTS)
        if len(at_once) > 1:
            return self._of(last, [_answer(one) for one in at_once], last.sample)
        if is_twice_the_same(last.sample):
            uncond, cond = _answer(fitting[-1]).chunk(2)
            return self._of(last, [cond, uncond], last.sample.chunk(2)[0])
        if _has_twins(last.sample):
            raise Unknown("it asks its network several times at once, in an order that Midrun does not know")
        return self._of(last, [_answer(fitting[-1])], last.sample)

    def _of(self, asked: Asked, answers: list[torch.Tensor], sample: torch.Tensor) -> Shown:
        """answers: the conditional one, then the unconditional one, as far as there are several"""
        answer, known = answers[0], len(answers) == 1
        if len(answers) == 2 and self.scale is not None:
            answer, known = guided(answer, answers[1], self.scale), True
        denoised = asked.formula.denoised(sample, answer)
        if self.after is not None and not _moved_on(asked, sample, denoised, self.after):
            raise Unknown(CHANGED)
        return Shown(denoised, known)


class Estimates:
    """Of one loop. ComfyUI's worker thread."""

    def __init__(self, schedulers: Callable[[], Iterable[list[Any]]], scale: float | None) -> None:
        """schedulers: those at work, nearest first, each list of the same nearness; scale: of `Estimate`"""
        self._schedulers, self._scale = schedulers, scale
        self._schedule: Schedule | None = None  # that the newest question stands in
        self._asked: Asked | None = None  # and not answered yet
        self._told: list[Told] = []  # since the newest step
        self.needless = False  # the node itself shows its steps
        self.unknown: str | None = None  # why there are none; from then on none is looked for

    def stop(self) -> None:
        """There is no need for any."""
        self.needless, self.unknown, self._asked, self._told = True, None, None, []

    def asked(self, sample: torch.Tensor | None, time: torch.Tensor | None) -> None:
        """The network is. On the host; None: not one tensor"""
        self._asked = None
        if self.needless or self.unknown is not None:
            return
        try:
            if sample is None or sample.dim() < 4 or not sample.is_floating_point() or time is None:
                raise Unknown(NO_PICTURE)
            self._asked = Asked(sample, *self._place(time))
        except Unknown as why:
            self.unknown, self._told = str(why), []
        except Exception as error:  # noqa: BLE001  another pack's scheduler must never harm the job
            self.unknown, self._told = f"its scheduler cannot be read: {error}", []

    def answered(self, answer: Tree) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._told.append(Told(asked, answer))

    def of_step(self) -> Estimate | None:
        """Of that which ended; None where there is none."""
        told, self._told = self._told, []
        return Estimate(tuple(told), self._scale, self._asked) if told and self.unknown is None else None

    def _place(self, time: torch.Tensor) -> tuple[Place, Formula]:
        if self._schedule is not None:
            try:
                place = self._schedule.place(time)
                return place, self._schedule.formula(place)
            except Unknown:
                self._schedule = None  # another one may be at work by now
        why = Unknown(NO_SCHEDULER)
        for near in self._schedulers():
            found: dict[Formula, tuple[Schedule, Place]] = {}
            for schedule in map(Schedule, near):
                try:
                    place = schedule.place(time)
                    found[schedule.formula(place)] = schedule, place
                except Unknown as one:
                    why = one
            if len(found) > 1:
                raise Unknown("several schedulers are at work in it")
            for formula, (self._schedule, place) in found.items():
                return place, formula
        raise why


def _answers(one: Told) -> torch.Tensor | None:
    """The network's answer, if it is of the form of its sample."""
    answer, sample = one.answer.main, one.asked.sample
    channels = sample.shape[1]
    if one.asked.formula.with_variance and answer.dim() > 1 and answer.shape[1] == 2 * channels:
        answer = answer[:, :channels]
    return answer if answer.shape == sample.shape else None


def _answer(one: Told) -> torch.Tensor:
    answer = _answers(one)
    assert answer is not None
    return answer


def _has_twins(sample: torch.Tensor) -> bool:
    """Whether two of its batch are the same, as noise never is."""
    return any(torch.equal(sample[0], other) for other in sample[1:])


def _moved_on(asked: Asked, sample: torch.Tensor, denoised: torch.Tensor, after: Asked) -> bool:
    """Whether the sample moved towards it, as every solver does that was given what the network answered.

    Solvers that look back or add noise do so less straight on. True where the next is of something else.
    """
    following = after.sample.chunk(2)[0] if is_twice_the_same(after.sample) else after.sample
    if after.formula.sigma >= asked.formula.sigma or following.shape != sample.shape:
        return True
    at = sample.to(torch.float32) * asked.formula.spread
    moved = following.to(torch.float32) * after.formula.spread - at
    alike = torch.nn.functional.cosine_similarity(moved.flatten(), (denoised - at).flatten(), dim=0)
    return not bool(alike < ALIKE)  # what is not finite says nothing
