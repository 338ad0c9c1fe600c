"""What a paused job's worker thread does: it gives the GPU back and waits, if the queue policy lets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import comfy.model_management as mm

from ...state.job.job import Job
from ...state.job.transitions import Directive
from ...state.recording.recording import Recordings
from ..comfyui import gpu
from ..previews.full_quality import FullQuality

FLUSH_S = 0.3  # that a pause may take longer for what was computed to reach the disk
POLL_S = 0.1  # how often a held job looks at ComfyUI's interrupt flag and queue


@dataclass(frozen=True)
class Holding:
    """Of all jobs."""

    full: FullQuality
    recordings: Recordings
    makes_way: Callable[[Job], bool]  # whether a paused job gives its place to what waits in the queue

    def wait_while_paused(self, job: Job, release: Callable[[], gpu.Released] | None = None) -> Directive:
        """Until the job goes on, ends or makes way. A user's own Cancel cancels it.

        release: where more than ComfyUI's own models is to leave the GPU
        """
        released = (release or gpu.release)()
        self.recordings.flush(FLUSH_S)  # a job that is called paused survives a crash
        with self.full.held(job):
            told = {"gpu": released.to_json()}
            makes_way = self.makes_way(job)
            directive = job.worker.stopped(released.complete, told, makes_way, released.free)
            while directive is Directive.PAUSE:
                if mm.processing_interrupted():
                    job.cancel(job.prompt_id)
                elif self.makes_way(job) and job.worker.park():
                    return Directive.PARK
                self.full.serve(job)
                directive = job.worker.wait(POLL_S)
        return directive


def end_prompt() -> NoReturn:
    """End the prompt, as ComfyUI's Cancel does; raises. A Cancel that got us here is served."""
    mm.interrupt_current_processing(False)
    raise mm.InterruptProcessingException()
