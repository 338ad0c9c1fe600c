"""From what stands on a wire (images, latents, masks) to a picture. The preview thread."""

from __future__ import annotations

from typing import Any

import torch
from latent_preview import preview_to_image

from ...state.choice import Kind
from ...state.job.job import Job
from ...state.pictures.previews import Method
from ...state.recording.items import Damaged
from ...state.recording.recording import Recordings
from ..comfyui.batches import kind_of, some
from ..comfyui.latents import describe, restore
from .describing import is_conditioning
from .pictures import Picture, bounded, card
from .previews import Previews

LARGE = ("samples", "waveform")  # tensors in a dictionary on a wire
UNKNOWN = "No preview: no model has sampled this kind of latent in this job yet."


class ValuePictures:
    """Of all jobs. A latent is decoded as those that the job sampled last."""

    def __init__(self, previews: Previews, recordings: Recordings) -> None:
        self.thread = previews.thread
        self._previewer = previews.previewer
        self._recordings = recordings

    def format_of(self, job: Job, value: Any) -> dict[str, Any]:
        """The described format of a latent of the job; {} where nothing of the kind was sampled in it yet."""
        if kind_of(value) is not Kind.LATENT:
            return {}
        channels = int(value["samples"].size()[1])
        for recording in reversed(self._recordings.calls(job.job_id).values()):
            try:
                inputs = recording.inputs
            except Damaged:
                continue
            if inputs is not None and restore(inputs.latent_format).latent_channels == channels:
                return describe(restore(inputs.latent_format), None)
        return {}

    def one(self, value: Any, index: int, described: dict[str, Any], max_size: int) -> Picture:
        """That one of a batch, which lies on the host. max_size: pixels of the longer side"""
        value = some(value, [index])
        if not isinstance(value, dict):
            image = value[0]
            channels = image[..., None] if image.ndim == 2 else image
            rgb = channels[..., :3].expand(*channels.shape[:2], 3) if channels.shape[-1] == 1 else channels
            return Picture([bounded(preview_to_image(rgb[..., :3].float(), do_scale=False), max_size)])
        samples = value["samples"]
        if getattr(samples, "is_nested", False):
            samples = samples.unbind()[0]
        if not described:
            return card(UNKNOWN)
        latent = restore(described).process_in(samples.float())
        return self._previewer.make(latent, described, Method.AUTO, max_size).picture


def on_host(value: Any) -> Any:
    """The same, with what is looked at of it copied to the host, unless it is there."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu")
    if isinstance(value, dict):
        moved = {name: value[name].to("cpu") for name in LARGE if hasattr(value.get(name), "to")}
        return {**value, **moved}
    if is_conditioning(value):
        return [[value[0][0].to("cpu"), value[0][1]], *value[1:]]
    return value
