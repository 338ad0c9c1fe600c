"""Digests of what a sampling call depends on and Midrun does not record: conditioning and model patches.

Quick rather than complete: of a large tensor, evenly spaced elements are read. ComfyUI's worker thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

SAMPLES = 4096  # elements of a tensor
SAMPLER = "sampler"  # the name of the one that tells of a new segment, too
PATCHES = "model patches"
CHANGING = frozenset({"uuid", "hooks"})  # new in every run
_newest: tuple[Any, str] = None, ""  # (patches_uuid, digest)
CONTROL = ("strength", "timestep_percent_range", "cond_hint_original", "previous_controlnet")


def fingerprints(conds: Mapping[str, Any], patcher: Any) -> dict[str, str]:
    """`conds`: a guider's, before they are processed; `patcher`: its ModelPatcher."""
    return {name: digest(entries) for name, entries in conds.items()} | {PATCHES: _of_patches(patcher)}


def _of_patches(patcher: Any) -> str:
    """The same for all calls of a tiler: computed once for each set of patches."""
    global _newest
    uuid = getattr(patcher, "patches_uuid", None)
    if uuid is None or _newest[0] != uuid:
        _newest = uuid, digest(getattr(patcher, "patches", {}))
    return _newest[1]


def sampler_digest(sampler: Any) -> str:
    """Of a ComfyUI Sampler: its function and options."""
    function = getattr(sampler, "sampler_function", None)
    options = [getattr(sampler, name, None) for name in ("extra_options", "inpaint_options")]
    return digest([type(sampler).__qualname__, getattr(function, "__qualname__", None), options])


def digest(value: Any) -> str:
    made = hashlib.blake2b(digest_size=12)
    _feed(made, value, set())
    return made.hexdigest()


def _feed(made: Any, value: Any, inside: set[int]) -> None:
    """`inside`: the containers around the value, as a structure may contain itself."""
    made.update(type(value).__name__.encode())
    if isinstance(value, torch.Tensor):
        made.update(f"{tuple(value.shape)}{value.dtype}".encode())
        made.update(_sampled(value))
    elif value is None or isinstance(value, (bool, int, float, str)):
        made.update(repr(value).encode(errors="surrogatepass"))
    elif id(value) not in inside:
        inside.add(id(value))
        for name, part in _parts(value):
            made.update(name.encode(errors="surrogatepass"))
            _feed(made, part, inside)
        inside.discard(id(value))


def _sampled(tensor: torch.Tensor) -> bytes:
    """Bytes of some of its elements; none of a kind that cannot be read so, as sparse tensors."""
    try:
        flat = tensor.detach().reshape(-1)
        chosen = flat[:: max(1, flat.numel() // SAMPLES)].to("cpu").contiguous()
        return chosen.view(torch.uint8).numpy().tobytes() if chosen.numel() else b""
    except (RuntimeError, NotImplementedError, TypeError):
        return b""


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(str(name), part) for name, part in value.items() if name not in CHANGING]
    if isinstance(value, (list, tuple)):
        return [("", part) for part in value]
    if hasattr(value, "cond_hint_original"):  # a ControlNet
        return [(name, getattr(value, name, None)) for name in CONTROL]
    return [("weights", value.weights)] if hasattr(value, "weights") else []  # a LoRA and its like
