"""Named tensors in a safetensors file: exact dtypes and memory layouts, checksums, a format version.

Whole files appear at once: written under a temporary name, then renamed, so that they survive this process;
flushed to the disk, they survive the machine. The checksums tell what a power failure before that leaves.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from .items import Damaged

FORMAT = "midrun-1"
SUFFIX = ".safetensors"
Tensors = dict[str, torch.Tensor]


def encode(tensors: Tensors, about: dict[str, Any]) -> bytes:
    """`about` is plain JSON. Raises ValueError for tensors that safetensors cannot hold."""
    orders = {name: _order(tensor) for name, tensor in tensors.items()}
    flat: Tensors = {}
    for name, tensor in tensors.items():
        dense = tensor.permute(orders[name]).contiguous()
        shared = any(dense.data_ptr() == other.data_ptr() for other in flat.values())
        flat[name] = dense.clone() if shared else dense  # safetensors refuses tensors that share memory
    told = {
        "about": about,
        "orders": {name: order for name, order in orders.items() if order != sorted(order)},
        "crc32": {name: _crc32(tensor) for name, tensor in flat.items()},
    }
    try:
        return safetensors.torch.save(flat, {"format": FORMAT, "midrun": json.dumps(told)})
    except safetensors.SafetensorError as error:
        raise ValueError(str(error)) from error


def write(path: Path, content: bytes) -> None:
    """Not yet flushed. Raises OSError; then the file is as it was."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def flush(paths: Iterable[Path]) -> None:
    """To the disk. What was deleted meanwhile needs none. Raises OSError."""
    places = set()
    for path in paths:
        with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
            os.fsync(file.fileno())
            places.add(path.parent)
    for place in places:
        _flush_directory(place)


def read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """What `encode` was given. Raises Damaged."""
    try:
        content = path.read_bytes()  # not mapped: the file may be deleted while its tensors are in use
        flat = safetensors.torch.load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        if metadata.get("format") != FORMAT:
            raise Damaged(f"{path.name} has the format {metadata.get('format')!r}, not {FORMAT!r}")
        told = json.loads(metadata["midrun"])
        crc32, orders, about = told["crc32"], told["orders"], told["about"]
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise Damaged(f"{path.name}: {error}") from error
    wrong = [name for name, tensor in flat.items() if crc32.get(name) != _crc32(tensor)]
    if wrong or crc32.keys() != flat.keys():
        raise Damaged(f"{path.name}: the checksum of {', '.join(wrong) or 'its tensors'} is wrong")
    return {name: _restored(tensor, orders.get(name)) for name, tensor in flat.items()}, about


def read_about(path: Path) -> dict[str, Any]:
    """The `about` of `encode`, without its tensors. Raises Damaged."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return json.loads(header["__metadata__"]["midrun"])["about"]
    except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        raise Damaged(f"{path.name}: {error}") from error


def _order(tensor: torch.Tensor) -> list[int]:
    """The dimensions from the outermost in memory to the innermost."""
    return sorted(range(tensor.dim()), key=lambda dim: (-tensor.stride(dim), dim))


def _restored(tensor: torch.Tensor, order: list[int] | None) -> torch.Tensor:
    if order is None:
        return tensor
    return tensor.permute([order.index(dim) for dim in range(len(order))])


def _crc32(tensor: torch.Tensor) -> int:
    return zlib.crc32(raw(tensor).numpy())  # type: ignore[arg-type]


def raw(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a contiguous tensor: uint8, [N]. One of a single element may have any stride."""
    if not tensor.numel():
        return torch.empty(0, dtype=torch.uint8)
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8)


def _flush_directory(directory: Path) -> None:
    """The names in it. Windows has no such thing."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
