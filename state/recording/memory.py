"""Recordings in host memory. What the disk has to do, too: one suite of tests holds both."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

from ..server_directory import directory_name
from .items import (
    Approach,
    Begun,
    Conditions,
    Evaluation,
    Inputs,
    Origin,
    Remembered,
    Rewound,
    Segment,
    Step,
    visible,
)
from .recording import Call, Recording, newest_of, with_denoised


class MemoryRecording:
    """Evaluations in a list."""

    def __init__(self) -> None:
        self._inputs: Inputs | None = None
        self._begun = Begun()
        self._evaluations: list[Evaluation] = []
        self._approaches: dict[int, Approach] = {}
        self._steps: dict[int, Step] = {}
        self._segments: dict[int, Segment] = {}
        self._conditions: dict[int, Conditions] = {}
        self._memories: dict[int, Remembered] = {}
        self._rewound: Rewound | None = None

    def __len__(self) -> int:
        return len(self._evaluations) if self._rewound is None else self._rewound.evaluations

    @property
    def origin(self) -> Origin | None:
        return None if self.inputs is None else Origin(self.inputs.node, self.inputs.begun)

    @property
    def inputs(self) -> Inputs | None:
        return self._begun.inputs or self._inputs

    @inputs.setter
    def inputs(self, inputs: Inputs) -> None:
        if self._rewound is None:
            self._inputs = inputs
        else:
            self._begun.inputs = inputs

    def append(self, evaluation: Evaluation) -> None:
        self.settle()
        self._evaluations.append(evaluation)

    def settle(self) -> None:
        begun = self._begun
        if self._rewound is not None:
            self.truncate(len(self))
        self._begun = Begun()
        self._inputs = begun.inputs or self._inputs
        if begun.segment is not None:
            self._segments[begun.segment.first] = begun.segment
        if begun.approach is not None:
            self._approaches[begun.approach.evaluations] = begun.approach
        if begun.conditions is not None:
            self._conditions[begun.conditions.first] = begun.conditions

    def forget_begun(self) -> None:
        self._begun = Begun()

    def read(self, index: int) -> Evaluation:
        if index >= len(self):
            raise IndexError(index)
        return self._evaluations[index]

    def truncate(self, length: int) -> None:
        self._rewound, self._begun = None, Begun()
        del self._evaluations[length:]
        self._approaches = {n: approach for n, approach in self._approaches.items() if n <= length}
        self._memories = {n: remembered for n, remembered in self._memories.items() if n <= length}
        self._steps = {step.number: step for step in self._steps.values() if step.evaluations <= length}
        self._segments = {first: segment for first, segment in self._segments.items() if first <= length}
        self._conditions = {first: one for first, one in self._conditions.items() if first < length}

    def clear(self) -> None:
        self.__init__()

    def mark(self, step: Step) -> None:
        if self._rewound is None:
            self._steps.setdefault(step.number, step)

    def approach(self, evaluations: int) -> Approach | None:
        return self._approaches.get(evaluations)

    def approached(self, approach: Approach) -> None:
        if self._rewound is None and self._begun.segment is None:
            self._approaches[approach.evaluations] = approach
        else:
            self._begun.approach = approach

    def save(self) -> None:
        pass

    def begin(self, segment: Segment) -> None:
        self._begun.segment = segment

    def segment(self, length: int | None = None) -> Segment | None:
        end = len(self) if length is None else length
        if self._begun.segment is not None and self._begun.segment.first <= end:
            return self._begun.segment
        firsts = [first for first in self._segments if first <= end]
        return self._segments[max(firsts)] if firsts else None

    def condition(self, conditions: Conditions) -> None:
        self._begun.conditions = conditions

    def conditions(self) -> Conditions | None:
        firsts = [first for first in self._conditions if first < len(self)]
        return self._conditions[max(firsts)] if firsts else None

    def remember(self, remembered: Remembered) -> None:
        if remembered.evaluations:
            self.settle()
        self._memories[remembered.evaluations] = remembered

    def remembered(self, evaluations: int) -> Remembered:
        return self._memories[evaluations]

    def forget(self, evaluations: int) -> None:
        self._memories.pop(evaluations, None)

    def memories(self) -> list[int]:
        return sorted(number for number in self._memories if number <= len(self))

    def steps(self) -> list[int]:
        return sorted(number for number in self._steps if visible(number, self._rewound))

    def step(self, number: int) -> Step:
        return with_denoised(self.mark_of(number), self)

    def mark_of(self, number: int) -> Step:
        if not visible(number, self._rewound):
            raise KeyError(number)
        return self._steps[number]

    def rewind(self, step: int) -> None:
        self._rewound = Rewound(step, self._steps[step].evaluations if step else 0)
        self._begun = Begun()

    def restore(self) -> None:
        self._rewound, self._begun = None, Begun()

    @property
    def rewound(self) -> bool:
        return self._rewound is not None

    def up_to(self, end: Rewound | None) -> MemoryRecording:
        """Another one with the same beginning."""
        other = MemoryRecording()
        other.__dict__ |= {name: copy.copy(value) for name, value in self.__dict__.items()}
        if end is not None:
            other.truncate(end.evaluations)
            other._steps = {number: step for number, step in other._steps.items() if number <= end.step}
        return other


class MemoryRecordings:
    """Recordings that live as long as their job and the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[tuple[str, int], MemoryRecording]] = {}

    def flush(self, timeout_s: float | None = None) -> None:
        pass

    def open(self, job_id: str, node_id: str, ordinal: int) -> MemoryRecording:
        with self._lock:
            return self._jobs.setdefault(job_id, {}).setdefault((node_id, ordinal), MemoryRecording())

    def calls(self, job_id: str) -> dict[Call, Recording]:
        with self._lock:
            calls = self._jobs.get(job_id, {})
            return {(directory_name(node_id), ordinal): found for (node_id, ordinal), found in calls.items()}

    def share(self, job_id: str, with_id: str, calls: dict[Call, Rewound | None]) -> None:
        with self._lock:
            for (node_id, ordinal), found in self._jobs.get(job_id, {}).items():
                if (call := (directory_name(node_id), ordinal)) in calls:
                    shared = self._jobs.setdefault(with_id, {})
                    shared[node_id, ordinal] = found.up_to(calls[call])

    def find(self, job_id: str, name: str, iteration: int | None = None) -> Recording | None:
        found = newest_of(self.calls(job_id), name, iteration)
        return None if found is None else found[1]

    def exists(self, job_id: str) -> bool:
        with self._lock:
            return job_id in self._jobs

    def close(self, job_id: str) -> None:
        self.drop(job_id)

    def set_aside(self, job_id: str) -> None:
        self.drop(job_id)

    def drop(self, job_id: str, then: Callable[[], None] = lambda: None) -> None:
        with self._lock:
            self._jobs.pop(job_id, None)
        then()
