"""The pictures of what a job is to be chosen from: made and written before the job says that it waits.

Asked for on ComfyUI's worker thread, made on the preview thread.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management as mm
import torch
from latent_preview import preview_to_image

from ...state.choice import MOST, Choice, Kind, Otherwise
from ...state.job.job import Job
from ...state.job.machine import utc
from ...state.job.warnings import NOT_PREVIEWED
from ...state.pictures.previews import Method
from ...state.recording.items import Damaged
from ...state.recording.recording import Recordings
from ...state.services.choice_files import ChoiceFiles
from ..comfyui.batches import count, kind_of, some
from ..comfyui.latents import describe, restore
from .pictures import Picture, bounded, card, webp
from .previews import Previews

MAX_SIZE = 1024  # pixels of the longer side
LOOK_EVERY_S = 0.2  # whether the job is to end meanwhile


@dataclass(frozen=True)
class Terms:
    """What the node says of its choice. most: 0 is any number; wait_minutes: minutes, 0 is for ever"""

    most: int
    otherwise: Otherwise
    wait_minutes: float
    paints: bool


class ChoicePictures:
    """Of all jobs."""

    def __init__(self, previews: Previews, files: ChoiceFiles, recordings: Recordings) -> None:
        self._previews = previews
        self._files = files
        self._recordings = recordings

    def offer(self, job: Job, node_id: str, values: Sequence[Any], terms: Terms) -> Choice:
        """What is on the wire, as it is to be chosen from. Waits until the pictures are on the disk."""
        held = [_on_host(value) for value in values]
        version = self._awaited(job, self._previews.thread.submit(partial(self._written, job, held)))
        until = utc(time.time() + 60.0 * terms.wait_minutes) if terms.wait_minutes > 0 else None
        kind, number = kind_of(values[0]), sum(map(count, values))
        paints = terms.paints and kind is not Kind.LATENT
        return Choice(node_id, kind, number, terms.most, terms.otherwise, until, paints, version)

    def _awaited(self, job: Job, made: Future[str]) -> str:
        """The version of the pictures; "" where they failed. An end of the job is not kept waiting."""
        prompt_id = job.prompt_id
        while not job.worker.must_leave(prompt_id) and not mm.processing_interrupted():
            try:
                return made.result(LOOK_EVERY_S)
            except FutureTimeout:
                continue
            except Exception as error:  # noqa: BLE001  it can be chosen by numbers all the same
                job.warn(NOT_PREVIEWED, error)
                return ""
        made.cancel()
        return ""

    # -- on the preview thread -------------------------------------------------------------------------

    def _written(self, job: Job, values: Sequence[Any]) -> str:
        """The version of the pictures; "" where they cannot be written, which the job tells."""
        try:
            self._files.replace(job.job_id, [webp(one).picture for one in self._pictures(job, values)])
            job.unwarn(NOT_PREVIEWED)
        except OSError as error:
            job.warn(NOT_PREVIEWED, error)
            return ""
        return uuid.uuid4().hex[:12]

    def _pictures(self, job: Job, values: Sequence[Any]) -> Iterator[Picture]:
        for value in values:
            described = self._format(job, value) if kind_of(value) is Kind.LATENT else {}
            for index in range(min(count(value), MOST)):
                try:
                    yield self._picture(some(value, [index]), described)
                except Exception as error:  # noqa: BLE001  a latent format of another pack may raise anything
                    yield card(f"No preview: {error}.")

    def _picture(self, value: Any, described: dict[str, Any]) -> Picture:
        if not isinstance(value, dict):
            image = value[0]
            channels = image[..., None] if image.ndim == 2 else image
            rgb = channels[..., :3].expand(*channels.shape[:2], 3) if channels.shape[-1] == 1 else channels
            return Picture([bounded(preview_to_image(rgb[..., :3].float(), do_scale=False), MAX_SIZE)])
        samples = value["samples"]
        if getattr(samples, "is_nested", False):
            samples = samples.unbind()[0]
        if not described:
            return card("No preview: no model has sampled this kind of latent in this job yet.")
        latent = restore(described).process_in(samples.float())
        return self._previews.previewer.make(latent, described, Method.AUTO, MAX_SIZE).picture

    def _format(self, job: Job, value: dict[str, Any]) -> dict[str, Any]:
        """Of the latents that the job sampled last, with as many channels; {} where there is none."""
        channels = int(value["samples"].size()[1])
        for recording in reversed(self._recordings.calls(job.job_id).values()):
            try:
                inputs = recording.inputs
            except Damaged:
                continue
            if inputs is not None and restore(inputs.latent_format).latent_channels == channels:
                return describe(restore(inputs.latent_format), None)
        return {}


def _on_host(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu")
    return dict(value, samples=value["samples"].to("cpu")) if kind_of(value) is Kind.LATENT else value
