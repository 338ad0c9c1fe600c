"""An edited cfg on the way: the steps that are done are replayed as what they were guided to.

Cond and uncond are on record before the cfg is applied to them, so another one would change the past. Where
both of such a step answer v = uncond + old * (cond - uncond), any cfg makes v of them again. They are two
calls, or the halves of one that is asked the same twice, uncond first, as in diffusers. Whether the node
guides like that shows by what it asks next: if not, the replay is off the track, and the edit is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from ...state.job.view import JobView
from ...state.recording.items import Evaluation
from ...state.recording.recording import Recording
from ...state.recording.tree import Tree
from ...state.workflow.edits import Edit
from ...state.workflow.graph import Prompt, inputs
from ...state.workflow.verdicts import CFGS


@dataclass(frozen=True)
class _Pair:
    """Two evaluations of one step that were asked the same."""

    cond: Evaluation
    uncond: Evaluation
    scale: float

    @property
    def answer(self) -> torch.Tensor:
        return guided(self.cond.main, self.uncond.main, self.scale)


class Guidance:
    """Of one replay. recording: of the node that a person knows by that name"""

    def __init__(self, recording: Recording, view: JobView, prompt: Prompt, name: str) -> None:
        self._pairs: dict[int, _Pair] = {}  # by the number of the evaluation, from 0
        self._scales: dict[int, float] = {}  # of those that are no pair
        edits = {
            slot: made
            for slot, made in view.edits.get(name, {}).items()
            if slot in CFGS and made and _is_number(inputs(prompt, name).get(slot))
        }
        if len(edits) == 1:  # more than one, and nobody knows how they work together
            ((slot, made),) = edits.items()
            self._find(recording, made, inputs(prompt, name)[slot])

    def answer(self, number: int, recorded: Evaluation, sample: Any) -> Evaluation:
        """What is to be replayed in the place of that evaluation, which was asked with that sample."""
        pair, scale = self._pairs.get(number), self._scales.get(number)
        if not isinstance(recorded.answer, Tree):
            return recorded
        if pair is not None:
            made = pair.answer
        elif scale is not None and is_twice_the_same(sample) and recorded.main.shape[0] == len(sample):
            uncond, cond = recorded.main.chunk(2)
            made = torch.cat([guided(cond, uncond, scale)] * 2)
        else:
            return recorded
        tree = recorded.answer
        mine = tree.main
        tensors = {name: made if tensor is mine else tensor for name, tensor in tree.tensors.items()}
        return replace(recorded, answer=replace(tree, tensors=tensors))

    def _find(self, recording: Recording, edits: tuple[Edit, ...], now: float) -> None:
        before = 0
        for number in recording.steps():
            end = recording.mark_of(number).evaluations
            scale = _in_force(edits, number)
            if _is_number(scale) and scale != now:
                self._pair(recording, before, end, scale)
            before = end

    def _pair(self, recording: Recording, first: int, end: int, scale: float) -> None:
        """Those from `first` on, before `end`."""
        while first < end:
            cond = recording.read(first)
            uncond = recording.read(first + 1) if first + 1 < end else None
            if uncond and cond.question == uncond.question and cond.main.shape == uncond.main.shape:
                self._pairs |= dict.fromkeys((first, first + 1), _Pair(cond, uncond, scale))
                first += 1
            else:
                self._scales[first] = scale
            first += 1


def scale_of(prompt: Prompt, name: str) -> float | None:
    """The cfg of the node that a person knows by that name; None where it has none, or several."""
    given = [value for slot, value in inputs(prompt, name).items() if slot in CFGS]
    return float(given[0]) if len(given) == 1 and _is_number(given[0]) else None


def guided(cond: torch.Tensor, uncond: torch.Tensor, scale: float) -> torch.Tensor:
    return uncond + scale * (cond - uncond)


def is_twice_the_same(sample: Any) -> bool:
    """Whether one call asks for cond and uncond."""
    if not isinstance(sample, torch.Tensor) or sample.dim() == 0 or len(sample) % 2:
        return False
    return torch.equal(*sample.chunk(2))


def _in_force(edits: tuple[Edit, ...], step: int) -> Any:
    """The value with which that step was computed."""
    made = [edit.after for edit in edits if edit.from_step is not None and edit.from_step < step]
    return made[-1] if made else edits[0].before


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
