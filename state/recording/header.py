"""What a file of a recording says it holds, without its tensors being read: for files from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import torch

from .tensor_file import FORMAT, Tensors

MOST_DIMS = 8
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class Unsound(Exception):
    """A file is not what a recording has; the message says which and why."""


def read_header(path: Path, limit: int) -> tuple[Tensors, dict[str, Any]]:
    """Tensors that have a dtype and a shape and no memory, and the `about` of tensor_file. Raises Unsound.

    limit: bytes of the header
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > limit:
            raise Unsound(f"{path.name} has a header of {length} bytes; the limit is {limit}")
        with safetensors.safe_open(str(path), "pt") as opened:  # checks that the data is as long as it says
            metadata = opened.metadata() or {}
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  no dictionary
            shaped = {name: (one.get_dtype(), one.get_shape()) for name, one in slices.items()}
        if metadata.get("format") != FORMAT:
            raise Unsound(f"{path.name} has the format {str(metadata.get('format'))[:40]!r}")
        told = json.loads(metadata["midrun"])
        about, orders, checksums = told["about"], told["orders"], told["crc32"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        raise Unsound(f"{path.name} cannot be read ({type(error).__name__})") from error
    tensors = {name: _empty(path.name, name, *found) for name, found in shaped.items()}
    _check(path.name, tensors, orders, checksums)
    if not isinstance(about, dict):
        raise Unsound(f"{path.name} does not say what it is")
    return tensors, about


def _empty(file: str, name: str, dtype: str, shape: list[int]) -> torch.Tensor:
    if dtype not in DTYPES or len(shape) > MOST_DIMS:
        raise Unsound(f"{name[:40]} in {file} is of the dtype {dtype} and has {len(shape)} dimensions")
    return torch.empty(shape, dtype=DTYPES[dtype], device="meta")


def _check(file: str, tensors: Tensors, orders: Any, checksums: Any) -> None:
    """Reading relies on these: each order is one of the dimensions, each tensor has its checksum."""
    if not isinstance(orders, dict) or not isinstance(checksums, dict) or checksums.keys() != tensors.keys():
        raise Unsound(f"{file} does not say how its tensors are to be read")
    for name, order in orders.items():
        dims = tensors[name].dim() if name in tensors else 0
        if not isinstance(order, list) or not all(type(dim) is int for dim in order):
            raise Unsound(f"{file} does not say how its tensors are to be read")
        if sorted(order) != list(range(dims)):
            raise Unsound(f"{file} says of {name[:40]} that it has other dimensions than it has")
