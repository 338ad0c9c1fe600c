"""A lens while its prompt is in the queue, and what it found. Any thread."""

from __future__ import annotations

from dataclasses import replace

from ..checks import Progress
from ..lens import Heat, Lens
from ..recording.recording import Call
from .running_beside import Part, RunningBeside


class RunningLens(RunningBeside):
    """at: the call whose evaluation is asked; the others are only replayed"""

    def __init__(self, lens: Lens, parts: dict[Call, Part], at: Call) -> None:
        super().__init__(lens.job_id, lens.prompt_id, parts, [at])
        self.lens = lens  # set by the event loop alone
        self.heat: Heat | None = None  # set by the worker thread alone

    def found(self, heat: Heat) -> None:
        self.heat = heat

    @property
    def is_queued(self) -> bool:
        return self.lens.progress is Progress.QUEUED

    def starts(self) -> None:
        if self.lens.progress is Progress.QUEUED:
            self.lens = replace(self.lens, progress=Progress.RUNNING)

    def ends(self, progress: Progress, error: str | None = None) -> None:
        self.lens = replace(self.lens, progress=progress, heat=self.heat, error=error)
