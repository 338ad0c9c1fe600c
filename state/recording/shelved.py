"""One recording on a shelf: which items it has, and what hides what.

Filled by the worker thread, and beside it while the model works; read by any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Generic, TypeVar

from .item_file import (
    decode_approach,
    decode_conditions,
    decode_evaluation,
    decode_inputs,
    decode_origin,
    decode_remembered,
    decode_rewound,
    decode_segment,
    decode_step,
)
from .items import (
    Approach,
    Begun,
    Conditions,
    Damaged,
    Evaluation,
    Inputs,
    Origin,
    Remembered,
    Rewound,
    Segment,
    Step,
    visible,
)
from .recording import with_denoised
from .shelf import Shelf

INPUTS, REWOUND = "inputs", "rewound"


REMEMBERED = "memory-"  # followed by a number
S = TypeVar("S", bound=Shelf)


class ShelvedRecording(Generic[S]):
    """One sampling call's. Its length counts what was put and not written yet, too."""

    def __init__(self, shelf: S) -> None:
        self.shelf = shelf
        self._begun = Begun()
        stems = shelf.stems()
        self._inputs_known = INPUTS in stems
        self._origin: Origin | None = None  # as the shelf has it, once it was read
        self._rewound: Rewound | None = None
        self._segments = _numbers("segment", stems)
        self._conditions = _numbers("conditions", stems)
        self._steps = _numbers("step", stems)
        self._approaches = _numbers("x", stems)
        self._memories = _numbers(REMEMBERED.rstrip("-"), stems)
        # A file that is missing in between is found, and told, when it is to be read.
        self._length = max((int(stem) + 1 for stem in stems if stem.isdigit()), default=0)
        if REWOUND in stems:
            self._rewound = self._read_rewound()

    def __len__(self) -> int:
        return self._length if self._rewound is None else min(self._length, self._rewound.evaluations)

    @property
    def origin(self) -> Origin | None:
        known = self._begun.inputs or self.shelf.unwritten(INPUTS)
        if isinstance(known, Inputs):
            return Origin(known.node, known.begun, known.own_loop)
        if self._origin is None and self._inputs_known:
            self._origin = self._read_origin()
        return self._origin

    @property
    def inputs(self) -> Inputs | None:
        if self._begun.inputs is not None or not self._inputs_known:
            return self._begun.inputs
        return self.shelf.get(INPUTS, decode_inputs)

    @inputs.setter
    def inputs(self, inputs: Inputs) -> None:
        if self._rewound is None:
            self.shelf.put(INPUTS, inputs)
            self._inputs_known, self._origin = True, None
        else:
            self._begun.inputs = inputs

    def append(self, evaluation: Evaluation) -> None:
        self.settle()
        self.shelf.put(_evaluation(self._length), evaluation)
        self._length += 1

    def settle(self) -> None:
        begun = self._begun
        if self._rewound is not None:
            self.truncate(len(self))
        self._begun = Begun()
        if begun.inputs is not None:
            self.inputs = begun.inputs
        if begun.segment is not None:
            self.shelf.put(_segment(begun.segment.first), begun.segment)
            self._segments.add(begun.segment.first)
        if begun.approach is not None:
            self.approached(begun.approach)
        if begun.conditions is not None:
            self.shelf.put(_conditions(begun.conditions.first), begun.conditions)
            self._conditions.add(begun.conditions.first)

    def forget_begun(self) -> None:
        self._begun = Begun()

    def read(self, index: int) -> Evaluation:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.shelf.get(_evaluation(index), decode_evaluation)

    def truncate(self, length: int) -> None:
        self._begun = Begun()
        gone = [_evaluation(index) for index in range(length, self._length)]
        gone += [_x(index) for index in self._approaches if index > length]
        self._approaches = {index for index in self._approaches if index <= length}
        gone += [_memory(index) for index in self._memories if index > length]
        self._memories = {index for index in self._memories if index <= length}
        gone += [_segment(first) for first in self._segments if first > length]
        self._segments = {first for first in self._segments if first <= length}
        gone += [_conditions(first) for first in self._conditions if first >= length]
        self._conditions = {first for first in self._conditions if first < length}
        gone += [_step(number) for number in self._steps if self._is_beyond(number, length)]
        self._length = min(length, self._length)
        self._steps -= {int(name[len("step-") :]) for name in gone if name.startswith("step-")}
        self.shelf.delete(*sorted(gone, reverse=True))  # the last first, so that a crash leaves no gap
        if self._rewound is not None:
            self.shelf.delete(REWOUND, write_first=True)  # after what it hid, which must not come back
            self._rewound = None
        self.shelf.save_now()

    def clear(self) -> None:
        """As if the call had never begun."""
        self.truncate(0)
        self.forget(0)
        self._inputs_known, self._origin = False, None
        self.shelf.delete(INPUTS)
        self.shelf.save_now()

    def mark(self, step: Step) -> None:
        if self._rewound is None and step.number not in self._steps:
            self.shelf.put(_step(step.number), step)
            self._steps.add(step.number)

    def approach(self, evaluations: int) -> Approach | None:
        return self.shelf.get(_x(evaluations), decode_approach) if evaluations in self._approaches else None

    def approached(self, approach: Approach) -> None:
        if self._rewound is None and self._begun.segment is None:
            self.shelf.put(_x(approach.evaluations), approach)
            self._approaches.add(approach.evaluations)
        else:
            self._begun.approach = approach

    def begin(self, segment: Segment) -> None:
        self._begun.segment = segment

    def segment(self, length: int | None = None) -> Segment | None:
        end = len(self) if length is None else length
        if self._begun.segment is not None and self._begun.segment.first <= end:
            return self._begun.segment
        firsts = [first for first in self._segments if first <= end]
        return self.shelf.get(_segment(max(firsts)), decode_segment) if firsts else None

    def condition(self, conditions: Conditions) -> None:
        self._begun.conditions = conditions

    def conditions(self, length: int | None = None) -> Conditions | None:
        end = len(self) if length is None else min(length, len(self))
        firsts = [first for first in self._conditions if first < end]
        return self.shelf.get(_conditions(max(firsts)), decode_conditions) if firsts else None

    def remember(self, remembered: Remembered) -> None:
        if remembered.evaluations:
            self.settle()
        self.shelf.put(_memory(remembered.evaluations), remembered)
        self._memories.add(remembered.evaluations)

    def remembered(self, evaluations: int) -> Remembered:
        if evaluations not in self._memories:
            raise KeyError(evaluations)
        return self.shelf.get(_memory(evaluations), decode_remembered)

    def forget(self, evaluations: int) -> None:
        if evaluations in self._memories:
            self._memories.discard(evaluations)
            self.shelf.delete(_memory(evaluations))

    def memories(self) -> list[int]:
        return sorted(index for index in self._memories if index <= len(self))

    def steps(self) -> list[int]:
        return sorted(number for number in self._steps if visible(number, self._rewound))

    def step(self, number: int) -> Step:
        return with_denoised(self.mark_of(number), self)

    def mark_of(self, number: int) -> Step:
        if number not in self._steps or not visible(number, self._rewound):
            raise KeyError(number)
        return self.shelf.get(_step(number), decode_step)

    def rewind(self, step: int) -> None:
        if step and step not in self._steps:
            raise KeyError(step)
        evaluations = self.shelf.get(_step(step), decode_step).evaluations if step else 0
        self._begun = Begun()
        self._rewound = Rewound(step, evaluations)
        self.shelf.put(REWOUND, self._rewound)
        self.shelf.save_now()

    def restore(self) -> None:
        self._begun = Begun()
        if self._rewound is not None:
            self._rewound = None
            self.shelf.delete(REWOUND)
            self.shelf.save_now()

    @property
    def rewound(self) -> bool:
        return self._rewound is not None

    def save(self) -> None:
        self.shelf.save()

    # -- inside ----------------------------------------------------------------------------------------

    def _read_origin(self) -> Origin | None:
        try:
            return decode_origin(self.shelf.about(INPUTS))
        except (Damaged, KeyError, TypeError, ValueError):
            return None

    def _read_rewound(self) -> Rewound | None:
        try:
            return self.shelf.get(REWOUND, decode_rewound)
        except Damaged:
            return None

    def _is_beyond(self, number: int, length: int) -> bool:
        """Whether the step needed more evaluations than that."""
        if self._rewound is not None and length == self._rewound.evaluations:
            return number > self._rewound.step  # without a look at the disk
        try:
            return self.shelf.get(_step(number), decode_step).evaluations > length
        except Damaged:
            return True


def is_within(stem: str, end: Rewound | None) -> bool:
    """Whether a file of a recording is of what comes up to there."""
    if stem == REWOUND:
        return False
    kind, _, number = stem.rpartition("-")
    if end is None or not number.isdigit():
        return True
    if kind == "step":
        return int(number) <= end.step
    of_evaluations = kind in ("", "conditions")
    return int(number) < end.evaluations if of_evaluations else int(number) <= end.evaluations


def _numbers(kind: str, stems: Iterable[str]) -> set[int]:
    return {int(found[1]) for stem in stems if (found := re.fullmatch(rf"{kind}-(\d+)", stem))}


def _evaluation(index: int) -> str:
    return f"{index:06}"


def _x(evaluations: int) -> str:
    return f"x-{evaluations:06}"


def _segment(first: int) -> str:
    return f"segment-{first:06}"


def _memory(evaluations: int) -> str:
    return f"{REMEMBERED}{evaluations:06}"


def _conditions(first: int) -> str:
    return f"conditions-{first:06}"


def _step(number: int) -> str:
    return f"step-{number:06}"
