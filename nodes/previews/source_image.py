"""What an img2img or inpaint job began from. The preview thread; on the CPU."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import folder_paths
import torch
from PIL import Image, ImageOps

from ...state.recording.items import Inputs
from ...state.workflow import graph
from ..comfyui.latents import restore, unpacked
from .pictures import Picture, bounded
from .previewer import Made

log = logging.getLogger(__name__)
ORIGINAL = "original"  # the method of a picture that was decoded from nothing
ALIKE = 0.05  # by how much of itself the proportion of a picture may differ from the latent's


def source_of(
    prompt: graph.Prompt, node_id: str, inputs: Inputs, max_size: int
) -> Made | torch.Tensor | None:
    """The picture that Load Image fed into the latent, where the graph shows it.

    Else the latent itself, as the model sees it, to be decoded. None where the job began from an empty one.
    """
    if not bool(inputs.latent_image.any()):
        return None
    latent = unpacked(inputs.latent_image, inputs.latent_format)
    image = _loaded(graph.loaded_image(prompt, node_id))
    if image is not None and _alike(image.size, (latent.shape[-1], latent.shape[-2])):
        return Made(Picture([bounded(image, max_size)]), ORIGINAL)
    return restore(inputs.latent_format).process_in(latent)


def _loaded(name: str | None) -> Image.Image | None:
    """As Load Image reads it, but only from ComfyUI's own directories: the name comes from a client."""
    if name is None:
        return None
    try:
        file = Path(folder_paths.get_annotated_filepath(name)).resolve()
        if not any(file.is_relative_to(directory) for directory in _directories()):
            return None
        with Image.open(file) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # noqa: BLE001  Pillow raises anything at a file that is no picture
        log.info("Midrun could not read the picture %r that a job began from: %s", name, error)
        return None


def _directories() -> list[Path]:
    known = [folder_paths.get_directory_by_type(name) for name in ("input", "output", "temp")]
    return [Path(directory).resolve() for directory in known if directory]


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    one, two = size[0] / size[1], other[0] / other[1]
    return abs(one - two) <= ALIKE * two


def as_one(described: dict[str, Any]) -> dict[str, Any]:
    """The format of a latent that was unpacked already."""
    return described | {"shapes": None}
