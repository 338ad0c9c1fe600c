"""What is left of a job that did not reach its end: its newest `denoised`, as a latent file and a picture.

Runs on the recordings' writer thread and, for GET latent, on a thread of its own.
"""

from __future__ import annotations

import io
import logging
from pathlib import Path

import torch
from comfy.cli_args import args
from PIL import Image

from ...state.errors import NoLatent
from ...state.job.job import Job
from ...state.job.view import Change, JobView
from ...state.recording.disk import DiskRecordings
from ...state.recording.recording import Damaged, Inputs, Recording, Step
from ...state.recording.tensor_file import flush, write
from ...state.states import AbortMode
from ..comfyui.latents import latent_file, png_info, restore, unpacked, workflow_metadata
from .decoders import Unusable, latent2rgb
from .pictures import enlarged, grid

log = logging.getLogger(__name__)
PICTURE_SIZE = 512  # pixels of the longer side, nearly


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
            inputs, found = self._find(job.job_id, name, step, iteration)
            return f"{_name(found)}.latent", latent_file(found.denoised, inputs.latent_format, _metadata(job))
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
    ) -> tuple[Inputs, Step]:
        recording = None if name is None else self._recordings.find(job_id, name, iteration)
        steps = [] if recording is None else recording.steps()
        if not steps or recording is None or (number is not None and number not in steps):
            raise NoLatent(job_id, number)
        return _read(job_id, recording, steps[-1] if number is None else number)

    def _keep(self, job: Job, view: JobView) -> None:
        try:
            inputs, step = self._find(job.job_id, view.node_id, None)
            directory = self._recordings.kept(job.job_id)
            directory.mkdir(parents=True, exist_ok=True)
            files = {"latent": self._write_latent(directory, job, inputs, step)}
            shown = _picture(step, inputs)
            if shown is not None:
                content = io.BytesIO()
                shown.save(content, "PNG", pnginfo=png_info(_metadata(job)))
                files["picture"] = directory / f"{_name(step)}.png"
                write(files["picture"], content.getvalue())
            flush(files.values())
            job.note("kept", {"step": step.number} | {kind: str(file) for kind, file in files.items()})
        except NoLatent:
            return  # it had not finished a step
        except Exception as error:  # noqa: BLE001  a latent format of another pack may raise anything
            log.warning("Midrun could not keep the partial result of job %r: %s", job.job_id, error)
            job.note("not_kept", {"error": str(error)})

    def _write_latent(self, directory: Path, job: Job, inputs: Inputs, step: Step) -> Path:
        place = directory / f"{_name(step)}.latent"
        write(place, latent_file(step.denoised, inputs.latent_format, _metadata(job)))
        return place


def _read(job_id: str, recording: Recording, number: int) -> tuple[Inputs, Step]:
    try:
        inputs, step = recording.inputs, recording.step(number)
    except (Damaged, KeyError, IndexError) as error:
        raise NoLatent(job_id, number) from error
    if inputs is None or step.denoised is None:
        raise NoLatent(job_id, number)
    return inputs, step


def _picture(step: Step, inputs: Inputs) -> Image.Image | None:
    """Quick colours of the whole batch, of a video its middle frame. None where ComfyUI knows none."""
    x0 = unpacked(step.denoised, inputs.latent_format).to(torch.float32)
    try:
        images = latent2rgb(x0, restore(inputs.latent_format), 1)
    except Unusable:
        return None
    return enlarged(grid([frames[0] for frames in images]), PICTURE_SIZE)


def _name(step: Step) -> str:
    return f"step-{step.number:06}"


def _metadata(job: Job) -> dict[str, str]:
    return {} if args.disable_metadata else workflow_metadata(job.request.prompt, job.request.extra_data)
