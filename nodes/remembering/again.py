"""What patches remember, where recorded evaluations are only asked again: given back, and never kept.

ComfyUI's worker thread.
"""

from __future__ import annotations

from typing import Any

import torch

from ...state.recording.items import Damaged, Remembered
from ...state.recording.recording import Recording
from .encoding import Unkeepable
from .keeper import Keeper
from .picture import TooMuch
from .roots import Roots

LIMIT = 2 * 1000**3  # bytes of copies of what there was


class Untouched:
    """A recording that is only read: what a Keeper would put on record goes nowhere."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recording, name)

    def __len__(self) -> int:
        return len(self._recording)

    def remember(self, remembered: Remembered) -> None:
        pass

    def forget(self, evaluations: int) -> None:
        pass


class Memory:
    """in_order: whether all evaluations have to be asked, one after the other, as it cannot be given back"""

    def __init__(self, recording: Recording, roots: Roots, device: torch.device) -> None:
        untouched: Any = Untouched(recording)
        self._recording = recording
        try:
            self._keeper = Keeper(untouched, roots, device, LIMIT)
        except TooMuch:
            self._keeper = None
        self.in_order = self._keeper is None or bool(self._keeper.opaque)

    def before(self, index: int) -> None:
        """Evaluation `index`, from 0, is about to be asked: make it what it was then."""
        if self._keeper is None or self.in_order or 0 not in self._recording.memories():
            return
        try:
            self._keeper.give_back(index)
        except (Unkeepable, Damaged):
            self.in_order = True

    def put_back(self) -> None:
        """As it was when the call began."""
        if self._keeper is not None:
            self._keeper.put_back()
