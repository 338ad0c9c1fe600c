"""What is left of a job that did not reach its end: its newest `denoised`, as a latent file and a picture.

Runs on the recordings' writer thread and, for GET latent, on a thread of its own.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import Any

import torch
from comfy.cli_args import args
from PIL import Image

from ...state.errors import NoLatent
from ...state.job.job import Job
from ...state.job.view import Change, JobView
from ...state.recording.disk import DiskRecordings
from ...state.recording.items import Damaged
from ...state.recording.recording import Recording
from ...state.recording.tensor_file import flush, write
from ...state.states import AbortMode
from ..comfyui.latents import latent_file, png_info, restore, unpacked, workflow_metadata
from .decoders import Unusable, latent2rgb
from .pictures import enlarged, grid

log = logging.getLogger(__name__)
PICTURE_SIZE = 512  # pixels of the longer side, nearly


@dataclass(frozen=True)
class StepResult:
    """Of a step. latent_format: as `describe` tells it"""

    number: int
    denoised: torch.Tensor
    latent_format: dict[str, Any]

    @property
    def name(self) -> str:
        return f"step-{self.number:06}"

    def file(self, job: Job) -> bytes:
        return latent_file(self.denoised, self.latent_format, _metadata(job))


class Results:
    """Of all jobs."""

    def __init__(self, recordings: DiskRecordings) -> None:
        self._recordings = recordings

    def on_change(self, job: Job, view: JobView, change: Change | None) -> None:
        """A listener of the registry: what was stopped is kept, whatever becomes of its recording."""
        if (
            change is not None
            and change.kind == "abort"
            and view.abort_mode is AbortMode.STOP
            and view.node_id
        ):
            self._recordings.writer.put(lambda: self._keep(job, view))

    def keep(self, job: Job) -> None:
        """Before its recording goes: make up for what a crash right after an abort left undone."""
        view = job.view()
        if view.abort_mode is AbortMode.STOP and not any(self._recordings.kept(job.job_id).glob("*.latent")):
            self._recordings.writer.submit(lambda: self._keep(job, view)).result()

    def latent(
        self, job: Job, node_id: str | None, step: int | None, iteration: int | None = None
    ) -> tuple[str, bytes]:
        """(file name, a `.latent`) of that step; by default the newest of the node that sampled last.

        node_id: any name of the node; iteration: of the loop that it is in. Raises NoLatent.
        """
        view = job.view()
        is_present = iteration is None and (
            node_id is None or (view.node is not None and view.node.is_called(node_id))
        )
        name = view.node_id if is_present else view.display_node_id if node_id is None else node_id
        try:
            found = self._find(job.job_id, name, step, iteration)
            return f"{found.name}.latent", found.file(job)
        except NoLatent:
            kept = sorted(self._recordings.kept(job.job_id).glob("*.latent"))
            if step is not None or not is_present or not kept:
                raise
            return kept[-1].name, kept[-1].read_bytes()
        except Exception as error:
            log.exception("Midrun could not make a latent file of job %r", job.job_id)
            raise NoLatent(job.job_id, step) from error

    def _find(
        self, job_id: str, name: str | None, number: int | None, iteration: int | None = None
    ) -> StepResult:
        recording = None if name is None else self._recordings.find(job_id, name, iteration)
        steps = [] if recording is None else recording.steps()
        if not steps or recording is None or (number is not None and number not in steps):
            raise NoLatent(job_id, number)
        return _read(job_id, recording, steps[-1] if number is None else number)

    def _keep(self, job: Job, view: JobView) -> None:
        try:
            found = self._find(job.job_id, view.node_id, None)
            directory = self._recordings.kept(job.job_id)
            directory.mkdir(parents=True, exist_ok=True)
            files = {"latent": directory / f"{found.name}.latent"}
            write(files["latent"], found.file(job))
            shown = _picture(found)
            if shown is not None:
                content = io.BytesIO()
                shown.save(content, "PNG", pnginfo=png_info(_metadata(job)))
                files["picture"] = directory / f"{found.name}.png"
                write(files["picture"], content.getvalue())
            flush(files.values())
            job.note("kept", {"step": found.number} | {kind: str(file) for kind, file in files.items()})
        except NoLatent:
            return  # it had not finished a step
        except Exception as error:  # noqa: BLE001  a latent format of another pack may raise anything
            log.warning("Midrun could not keep the partial result of job %r: %s", job.job_id, error)
            job.note("not_kept", {"error": str(error)})


def _read(job_id: str, recording: Recording, number: int) -> StepResult:
    try:
        inputs, step = recording.inputs, recording.step(number)
    except (Damaged, KeyError, IndexError) as error:
        raise NoLatent(job_id, number) from error
    if inputs is None or step.denoised is None:
        raise NoLatent(job_id, number)
    return StepResult(number, step.denoised, inputs.latent_format)


def _picture(found: StepResult) -> Image.Image | None:
    """Quick colours of the whole batch, of a video its middle frame. None where ComfyUI knows none."""
    x0 = unpacked(found.denoised, found.latent_format).to(torch.float32)
    try:
        images = latent2rgb(x0, restore(found.latent_format), 1)
    except Unusable:
        return None
    return enlarged(grid([frames[0] for frames in images]), PICTURE_SIZE)


def _metadata(job: Job) -> dict[str, str]:
    return {} if args.disable_metadata else workflow_metadata(job.request.prompt, job.request.extra_data)
