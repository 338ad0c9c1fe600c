"""What a value on a wire is, in figures and words. Plain torch on the host; the preview thread."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...state.wire import MOST_TEXT, Value, WireKind

LISTED = 12  # numbers of a short list, as sigmas are
CHANNELS = (1, 3, 4)  # of an image
NAMED = {"IMAGE": WireKind.IMAGE, "MASK": WireKind.MASK}


@dataclass(frozen=True)
class Standing:
    """A value on the wire into an input. type: of the wire, None where it takes any; text: it was made of

    value: the first of the list, with its tensors on the host; device: that these came from
    """

    name: str
    value: Any
    type: str | None = None
    count: int = 1
    device: str | None = None
    text: str | None = None


def tensor_of(value: Any) -> torch.Tensor | None:
    """The one that a value is about: of a latent its samples, of a conditioning the first of its entries."""
    if isinstance(value, dict):
        found: Any = value.get("samples", value.get("waveform"))
        if getattr(found, "is_nested", False) and not isinstance(found, torch.Tensor):
            found = found.unbind()[0]
        return found if isinstance(found, torch.Tensor) else None
    if is_conditioning(value):
        return value[0][0]
    return value if isinstance(value, torch.Tensor) else None


def is_conditioning(value: Any) -> bool:
    """[[tensor, {...}], ...], as ComfyUI has it."""
    if not isinstance(value, list) or not value:
        return False
    entry = value[0]
    pair = isinstance(entry, (list, tuple)) and len(entry) == 2
    return pair and isinstance(entry[0], torch.Tensor) and isinstance(entry[1], dict)


def described(standing: Standing) -> Value:
    """Without a picture. What cannot be measured is left out."""
    value, tensor = standing.value, tensor_of(standing.value)
    kind = _kind(value, standing.type)
    known = Value(standing.name, kind, standing.type or type(value).__name__, standing.count)
    known = replace(known, parts=_parts(value), text=_text(value, standing.text))
    if tensor is None:
        return known
    known = replace(known, shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))
    known = replace(known, device=standing.device, **_measured(tensor))
    if kind is WireKind.CONDITIONING and tensor.ndim > 2:
        known = replace(known, tokens=int(tensor.shape[-2]))
    if known.text is None and tensor.ndim == 1 and tensor.numel():
        known = replace(known, text=_listed(tensor))
    return known


def _kind(value: Any, declared: str | None) -> WireKind:
    if isinstance(value, dict) and "samples" in value:
        return WireKind.LATENT
    if is_conditioning(value):
        return WireKind.CONDITIONING
    if isinstance(value, torch.Tensor):
        is_image = value.ndim == 4 and value.shape[-1] in CHANNELS and declared is None
        return NAMED.get(declared or "", WireKind.IMAGE if is_image else WireKind.TENSOR)
    if isinstance(value, (bool, int, float)):
        return WireKind.NUMBER
    return WireKind.TEXT if isinstance(value, str) else WireKind.OTHER


def _measured(tensor: torch.Tensor) -> dict[str, Any]:
    """minimum, maximum, mean of its finite numbers, and how many are none; {} where there are none."""
    if not tensor.numel() or tensor.is_complex():
        return {}
    if tensor.dtype is torch.bool or tensor.element_size() == 1:  # torch has no minimum of 8-bit floats
        tensor = tensor.float()
    not_finite = 0
    if tensor.is_floating_point():
        finite = torch.isfinite(tensor)
        not_finite = tensor.numel() - int(finite.sum())
        tensor = tensor[finite] if not_finite else tensor
    if not tensor.numel():
        return {"not_finite": not_finite}
    figures = {
        "minimum": float(tensor.min()),
        "maximum": float(tensor.max()),
        "mean": float(tensor.mean(dtype=torch.float64)),
    }
    return {name: one for name, one in figures.items() if math.isfinite(one)} | {"not_finite": not_finite}


def _parts(value: Any) -> tuple[str, ...]:
    given = value[0][1] if is_conditioning(value) else value
    if not isinstance(given, dict):
        return ()
    main = ("samples", "waveform")
    return tuple(str(name) for name, part in given.items() if name not in main and part is not None)


def _text(value: Any, made_of: str | None) -> str | None:
    if isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        return _short(value)
    if is_conditioning(value):
        return None if made_of is None else _short(made_of)
    inner = getattr(value, "model", None)  # of ComfyUI's patchers: what they patch
    return type(inner).__name__ if isinstance(inner, torch.nn.Module) else None


def _short(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"


def _listed(tensor: torch.Tensor) -> str:
    numbers = ", ".join(f"{float(one):.4g}" for one in tensor[:LISTED])
    return numbers + (", …" if len(tensor) > LISTED else "")
