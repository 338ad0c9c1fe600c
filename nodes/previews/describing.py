"""What a value on a wire is, in figures and words. Plain torch on the host; the preview thread."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...state.wire import MOST_TEXT, Value, WireKind

LISTED = 12  # numbers of a short list, as sigmas are; names of parts
MOST_NAME = 60  # characters of a type or a part
PIECE = 1 << 22  # elements that are measured at once
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
    type_name = _cut(standing.type or type(value).__name__, MOST_NAME)
    known = Value(standing.name, kind, type_name, standing.count)
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
    """minimum, maximum, mean of its finite numbers, and how many are none; {} where there are none.

    Piece by piece: a video may be larger than the memory that is free.
    """
    if not tensor.numel() or tensor.is_complex():
        return {}
    low, high, total, count = math.inf, -math.inf, 0.0, 0
    for piece in map(_finite, _pieces(tensor)):
        if piece.numel():
            low, high = min(low, float(piece.min())), max(high, float(piece.max()))
            total, count = total + float(piece.sum(dtype=torch.float64)), count + piece.numel()
    not_finite = {"not_finite": tensor.numel() - count}
    if not count:
        return not_finite
    figures = {"minimum": low, "maximum": high, "mean": total / count}
    return {name: one for name, one in figures.items() if math.isfinite(one)} | not_finite


def _pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """All of it, [N] each, of at most PIECE elements: views where they lie side by side, else copies."""
    if tensor.is_contiguous():
        yield from tensor.view(-1).split(PIECE)
    elif tensor[0].numel() > PIECE:
        for one in tensor:
            yield from _pieces(one)
    else:
        for some in tensor.split(PIECE // tensor[0].numel()):
            yield some.reshape(-1)


def _finite(piece: torch.Tensor) -> torch.Tensor:
    if piece.dtype is torch.bool or piece.element_size() == 1:  # torch has no minimum of 8-bit floats
        piece = piece.float()
    if not piece.is_floating_point():
        return piece
    finite = torch.isfinite(piece)
    return piece if finite.all() else piece[finite]


def _parts(value: Any) -> tuple[str, ...]:
    given = value[0][1] if is_conditioning(value) else value
    if not isinstance(given, dict):
        return ()
    main = ("samples", "waveform")
    names = [str(name) for name, part in given.items() if name not in main and part is not None]
    more = (f"… +{len(names) - LISTED}",) if len(names) > LISTED else ()  # as of the weights of a LoRA
    return (*(_cut(name, MOST_NAME) for name in names[:LISTED]), *more)


def _text(value: Any, made_of: str | None) -> str | None:
    if isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        return _cut(value, MOST_TEXT)
    if is_conditioning(value):
        return None if made_of is None else _cut(made_of, MOST_TEXT)
    inner = getattr(value, "model", None)  # of ComfyUI's patchers: what they patch
    return type(inner).__name__ if isinstance(inner, torch.nn.Module) else None


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _listed(tensor: torch.Tensor) -> str:
    numbers = ", ".join(f"{float(one):.4g}" for one in tensor[:LISTED])
    return numbers + (", …" if len(tensor) > LISTED else "")
