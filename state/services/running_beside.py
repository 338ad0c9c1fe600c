"""A prompt beside a job while it runs: which recorded evaluations are asked once more. Any thread.

ComfyUI's worker thread asks; the event loop reads how far it came.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..node import Node
from ..recording.recording import Call, Recording
from ..server_directory import directory_name


@dataclass(frozen=True)
class Part:
    """What is asked again of one sampling call: evaluations from `first` on (from 0), before `end`"""

    recording: Recording
    first: int
    end: int
    chosen: frozenset[int] | None = None  # of these; None is all

    @property
    def count(self) -> int:
        return self.end - self.first if self.chosen is None else len(self.chosen)

    def wants(self, index: int) -> bool:
        return self.first <= index < self.end and (self.chosen is None or index in self.chosen)


class RunningBeside:
    """needed: the calls that have to be left before it is over"""

    def __init__(self, job_id: str, prompt_id: str, parts: dict[Call, Part], needed: Iterable[Call]) -> None:
        self.job_id = job_id
        self.prompt_id = prompt_id
        self.parts = parts
        self.error: str | None = None  # why it cannot go on
        self._ordinals: dict[str, int] = {}
        self._left = set(needed)
        self._lengths = {call: len(part.recording) for call, part in parts.items()}

    def enter(self, node: Node) -> tuple[int, Part | None]:
        """A sampling call begins: which one of its node it is, and what is to be asked of it."""
        ordinal = self._ordinals.get(node.node_id, 0)
        self._ordinals[node.node_id] = ordinal + 1
        return ordinal, self.parts.get((directory_name(node.node_id), ordinal))

    def leave(self, node: Node, ordinal: int) -> bool:
        """All of that call is asked. Whether there is nothing left to be asked."""
        self._left.discard((directory_name(node.node_id), ordinal))
        return not self._left

    @property
    def is_over(self) -> bool:
        """Whether it came to the end of what is to be asked."""
        return not self._left

    @property
    def is_other(self) -> bool:
        """Whether a recording is longer or shorter than it was."""
        return any(len(part.recording) != self._lengths[call] for call, part in self.parts.items())

    @property
    def is_queued(self) -> bool:
        raise NotImplementedError

    def stops(self, error: str) -> None:
        """It cannot go on; its prompt is about to end."""
        self.error = error

    def starts(self) -> None:
        """It has come to the front of the queue; told again and again. The event loop."""
        raise NotImplementedError
