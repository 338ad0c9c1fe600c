"""Masks that were painted on a picture: files of ComfyUI's input folder."""

from __future__ import annotations

import folder_paths
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError


def trouble(name: str) -> str | None:
    """Why there is no such mask, a sentence; None where there is one, or none is named."""
    if not name or folder_paths.exists_annotated_filepath(name):
        return None
    return f"There is no mask {name[:80]!r} in ComfyUI's input folder."


def mask_of(name: str, height: int, width: int) -> torch.Tensor:
    """[1, H, W] from 0 to 1: how bright the picture is, brought to that size. Raises OSError."""
    try:
        with Image.open(folder_paths.get_annotated_filepath(name)) as image:
            grey = image.convert("L")
            sized = grey if grey.size == (width, height) else grey.resize((width, height))
            return torch.from_numpy(np.asarray(sized, dtype=np.float32) / 255.0)[None]
    except UnidentifiedImageError as error:
        raise OSError(f"The mask {name[:80]!r} is no picture.") from error
