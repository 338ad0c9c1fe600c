"""From a latent to images by ComfyUI's quick colours or its tiny decoders (TAESD, TAEHV). The preview thread.

What decodes here never looks at ComfyUI's interrupt flag, which belongs to the sampling thread, and goes past
ComfyUI's model management, which is not made for a second thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

import comfy.utils
import folder_paths
import latent_preview
import torch
from comfy.sd import VAE
from comfy.taesd.taesd import TAESD
from PIL import Image

log = logging.getLogger(__name__)
FOLDER = "vae_approx"
VIDEO_TAES = getattr(latent_preview, "VIDEO_TAES", [])
Images = list[list[Image.Image]]  # of each image of the batch, its frames


class Missing(Exception):
    """The model has such a decoder, and its file is not there; the message says where it belongs."""


class Unusable(Exception):
    """Something cannot decode this latent; the message says why."""


def latent2rgb(x0: torch.Tensor, latent_format: Any, most: int) -> Images:
    """One pixel a latent pixel, at most `most` frames. Raises Unusable.

    x0: [B, C, H, W] or [B, C, T, H, W]
    """
    factors = latent_format.latent_rgb_factors
    if factors is None:
        raise Unusable(f"no colours are known for latents of the format {type(latent_format).__name__}")
    if x0.ndim not in (4, 5) or x0.shape[1] != latent_format.latent_channels:
        raise Unusable(f"a latent of the shape {tuple(x0.shape)} is not a picture")
    more = (latent_format.latent_rgb_factors_bias, getattr(latent_format, "latent_rgb_factors_reshape", None))
    decode = latent_preview.Latent2RGBPreviewer(factors, *more).decode_latent_to_preview
    if x0.ndim == 4:
        return [[decode(one)] for one in x0.split(1)]
    chosen = evenly(x0.shape[2], most)
    return [[decode(one[:, :, frame : frame + 1]) for frame in chosen] for one in x0.split(1)]


def evenly(count: int, most: int) -> list[int]:
    """At most so many of the indexes below count, with the middle one."""
    if count <= most:
        return list(range(count))
    if most < 3:
        return [count // 2]
    chosen = {round(number * (count - 1) / (most - 1)) for number in range(most)}
    middle = count // 2
    chosen.discard(min(chosen, key=lambda index: abs(index - middle)))
    return sorted({*chosen, middle})


class NoDecoder(Unusable):
    """Nobody has made a tiny decoder for that kind of latent."""


@dataclass
class Tiny:
    """A tiny decoder that was loaded from a file."""

    module: torch.nn.Module
    dtype: torch.dtype
    frames: Callable[[torch.Tensor], list[Image.Image]]  # of one image of a batch

    def __call__(self, x0: torch.Tensor, device: torch.device) -> Images:
        """x0: [B, C, H, W] or [B, C, T, H, W], on the CPU. On a GPU the caller chooses the stream."""
        self.module.to(device)
        return [self.frames(one.to(device, self.dtype)) for one in x0.split(1)]


class TinyDecoders:
    """Keeps the one that was used last, in host memory between calls."""

    def __init__(self) -> None:
        self._loaded: tuple[Any, Tiny | Unusable] | None = None  # by its file, as it was then

    def find(self, latent_format: Any) -> Tiny:
        """ComfyUI's own look-up. Raises Missing or Unusable."""
        name = latent_format.taesd_decoder_name
        if name is None:
            raise NoDecoder(f"there is no TAESD for latents of the format {type(latent_format).__name__}")
        file = _file(name)
        about = file.stat()
        key = (file, about.st_mtime_ns, about.st_size, latent_format.latent_channels)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = key, _loaded(file, latent_format)
        found = self._loaded[1]
        if isinstance(found, Unusable):
            raise found
        return found

    def rest(self) -> None:
        """Leave the GPU."""
        if self._loaded is not None and isinstance(self._loaded[1], Tiny):
            self._loaded[1].module.to("cpu")


def _file(name: str) -> Path:
    """Of the first file whose name begins so, as latent_preview.get_previewer looks for it."""
    known = folder_paths.get_filename_list(FOLDER)
    found = next((file for file in known if file.startswith(name)), None)
    path = folder_paths.get_full_path(FOLDER, found) if found else None
    if path is None:
        directory = next(iter(folder_paths.get_folder_paths(FOLDER)), f"models/{FOLDER}")
        raise Missing(f"{name}.safetensors (or .pth) belongs in {directory}")
    return Path(path)


def _loaded(file: Path, latent_format: Any) -> Tiny | Unusable:
    try:
        if latent_format.taesd_decoder_name in VIDEO_TAES:
            return _video(file)
        return _image(file, latent_format.latent_channels)
    except Exception as error:  # noqa: BLE001  a file may hold anything, and torch may raise anything at it
        log.warning("Midrun cannot use the decoder %s: %s", file, error)
        return Unusable(f"{file.name} cannot be used as a decoder: {_first_line(error)}")


def _image(file: Path, channels: int) -> Tiny:
    taesd = TAESD(None, str(file), latent_channels=channels).eval()
    _keep_from_the_interrupt_flag(taesd)

    def frames(x0: torch.Tensor) -> list[Image.Image]:
        # As TAESDPreviewerImpl, but on the host before ComfyUI reads it there: it does not wait for its copy.
        shown = taesd.decode(x0[:1])[0].movedim(0, 2).cpu()
        return [latent_preview.preview_to_image(shown)]

    return Tiny(taesd, torch.float32, frames)


def _video(file: Path) -> Tiny:
    vae = VAE(comfy.utils.load_torch_file(str(file), safe_load=True))
    vae.throw_exception_if_invalid()
    taehv = vae.first_stage_model.eval()
    taehv.show_progress_bar = False
    _keep_from_the_interrupt_flag(taehv)

    def frames(x0: torch.Tensor) -> list[Image.Image]:
        x0 = x0[:, :, None] if x0.ndim == 4 else x0
        decoded = vae.process_output(taehv.decode(x0).to("cpu", torch.float32))  # [1, 3, frames, H, W]
        shown = decoded[0].movedim(0, -1)
        return [latent_preview.preview_to_image(frame, do_scale=False) for frame in shown]

    return Tiny(taehv, vae.vae_dtype, frames)


def _keep_from_the_interrupt_flag(module: torch.nn.Module) -> None:
    """Give the layers torch's own forward: that of comfy.ops takes interrupts meant for the sampler."""
    for layer in module.modules():
        kind = type(layer)
        if kind.__module__ == "comfy.ops":
            plain = next(base for base in kind.__mro__ if base.__module__.startswith("torch."))
            layer.forward = MethodType(plain.forward, layer)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
