"""From a model's `denoised` to what a workflow calls a latent. Any thread; on the CPU.

A latent format is described in plain JSON, so that a recording can be read when its model is not loaded.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import comfy.latent_formats
import comfy.utils
import safetensors.torch
import torch
from PIL.PngImagePlugin import PngInfo

VAES = {  # a diffusers autoencoder's class -> the formats that its latents may have
    "AutoencoderKL": ("SD15", "SDXL", "SD_X4", "SD3", "Flux"),
    "AutoencoderKLWan": ("Wan21", "Wan22"),
    "AutoencoderKLQwenImage": ("Wan21",),
    "AutoencoderKLHunyuanVideo": ("HunyuanVideo",),
    "AutoencoderKLLTXVideo": ("LTXV",),
    "AutoencoderKLMochi": ("Mochi",),
}
SCALARS = ("scale_factor", "shift_factor")  # of a latent format; some models set their own


def describe(latent_format: Any, shapes: list[Any] | None) -> dict[str, Any]:
    """`shapes`: of the latents that are packed into one tensor, where they are."""
    kind = type(latent_format)
    scalars = {name: getattr(latent_format, name, None) for name in SCALARS}
    return {
        "module": kind.__module__,
        "name": kind.__qualname__,
        "scalars": {name: value for name, value in scalars.items() if isinstance(value, (int, float))},
        "shapes": [list(shape) for shape in shapes] if shapes and len(shapes) > 1 else None,
    }


def restore(described: dict[str, Any]) -> Any:
    """The latent format again; ComfyUI's neutral one where its class is not to be had."""
    module = sys.modules.get(described.get("module", ""))  # looked up, never imported: it comes from a file
    kind = getattr(module, described.get("name", ""), None)
    neutral = comfy.latent_formats.LatentFormat
    latent_format = kind() if isinstance(kind, type) and issubclass(kind, neutral) else neutral()
    for name, value in described.get("scalars", {}).items():
        if name in SCALARS and hasattr(latent_format, name):
            setattr(latent_format, name, value)
    return latent_format


def format_of_vae(vae: Any) -> Any:
    """The latent format for what a diffusers autoencoder decodes; None where there is none like that."""
    config = getattr(vae, "config", None) if type(vae).__name__ in VAES else None
    if not isinstance(config, Mapping):  # ComfyUI's own has none
        return None
    channels = config.get("latent_channels", config.get("z_dim"))
    numbers = config.get("scaling_factor") or 1.0, config.get("shift_factor") or 0.0
    for name in VAES[type(vae).__name__]:
        kind = getattr(comfy.latent_formats, name, None)
        found = None if kind is None else kind()
        if found is None or found.latent_channels != channels:
            continue
        own = found.scale_factor, getattr(found, "shift_factor", None) or 0.0
        if all(math.isclose(one, other, rel_tol=1e-4) for one, other in zip(own, numbers, strict=True)):
            return found
    return None


def unpacked(denoised: torch.Tensor, described: dict[str, Any]) -> torch.Tensor:
    """The first of several packed latents, or the only one."""
    shapes = described.get("shapes")
    return comfy.utils.unpack_latents(denoised, [torch.Size(s) for s in shapes])[0] if shapes else denoised


def latent_file(denoised: torch.Tensor, described: dict[str, Any], metadata: dict[str, str]) -> bytes:
    """A ComfyUI `.latent`, as SaveLatent writes it and Load Latent reads it."""
    samples = restore(described).process_out(unpacked(denoised, described).to(torch.float32))
    tensors = {"latent_tensor": samples.contiguous(), "latent_format_version_0": torch.tensor([])}
    return safetensors.torch.save(tensors, metadata)


def workflow_metadata(prompt: dict[str, Any], extra_data: dict[str, Any]) -> dict[str, str]:
    """What ComfyUI embeds in what it saves."""
    extra = extra_data.get("extra_pnginfo")
    extra = extra if isinstance(extra, dict) else {}
    return {"prompt": json.dumps(prompt)} | {str(name): json.dumps(value) for name, value in extra.items()}


def png_info(metadata: dict[str, str]) -> PngInfo:
    info = PngInfo()
    for name, value in metadata.items():
        info.add_text(name, value)
    return info
