"""What kind of thing a value is, to somebody who looks for what patches remember. ComfyUI's worker thread.

Nothing here knows a patch; a type that nobody knows is opaque: it may remember something that cannot be seen.
"""

from __future__ import annotations

import functools
import io
import logging
import random
import re
import sys
import threading
import types
import weakref
from collections import deque
from enum import Enum, auto
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy
import torch

OWN = __name__.rpartition(".nodes.")[0]  # the package of Midrun
PARTS = __name__.rpartition(".")[0] + ".places"
DECLARES = "midrun_remembers"  # a function, class or module that has it, False, is not looked into
# Whose functions and objects remember nothing between evaluations.
HARMLESS = sys.stdlib_module_names | {"comfy", "comfy_api", "comfy_execution", "comfy_kitchen", "comfy_aimdo"}
HARMLESS |= {"torch", "torchvision", "torchsde", "numpy", "einops", "PIL", "safetensors", "transformers"}
HARMLESS |= {"nodes", "server", "execution", "folder_paths", "latent_preview", "aiohttp", "tqdm", "triton"}
LOOKED_INTO = ("comfy.hooks", "comfy.patcher_extension")  # of ComfyUI


class PartKind(Enum):
    PLAIN = auto()  # equal values are the same
    TENSOR = auto()
    ARRAY = auto()  # of NumPy
    RANDOM = auto()  # a generator of random numbers
    PLACE = auto()  # holds values, and may hold others later
    WRAPPING = auto()  # holds values, for good
    FIXED = auto()  # not looked into: it is taken to remember nothing
    OPAQUE = auto()  # whether it remembers something cannot be seen


PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), Enum, UUID)
PLAIN += (PurePath, slice, range, numpy.generic, numpy.dtype, torch.Size)
PLAIN += (torch.dtype, torch.device, torch.layout, torch.memory_format)
RANDOM = (torch.Generator, random.Random, numpy.random.Generator)
PLACES = (dict, list, set, deque, types.FunctionType, types.CellType, types.SimpleNamespace, numpy.poly1d)
WRAPPING = (tuple, frozenset, types.MethodType, functools.partial)
FIXED = (
    type,
    types.ModuleType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MappingProxyType,
    types.CodeType,
    types.FrameType,
    property,
    staticmethod,
    classmethod,
    type(functools.lru_cache(lambda: None)),
    re.Pattern,
    logging.Logger,
    logging.Handler,
    io.IOBase,
    threading.Thread,
    threading.Event,
    threading.Condition,
    threading.Semaphore,
    type(threading.Lock()),
    type(threading.RLock()),
    threading.local,
    weakref.ref,
    torch.nn.Parameter,
    torch.finfo,
    torch.iinfo,
    torch.Stream,
    torch.Event,
)
HEAP_TYPE = 1 << 9  # made by a class statement, not in C


def kind_of(value: Any) -> PartKind:
    return of_type(type(value))


@functools.lru_cache(maxsize=4096)
def of_type(kind: type) -> PartKind:
    for known, types_ in (
        (PartKind.PLAIN, PLAIN),
        (PartKind.FIXED, FIXED),
        (PartKind.TENSOR, (torch.Tensor,)),
        (PartKind.ARRAY, (numpy.ndarray,)),
        (PartKind.RANDOM, RANDOM),
        (PartKind.PLACE, PLACES),
        (PartKind.WRAPPING, WRAPPING),
    ):
        if issubclass(kind, types_):
            return known
    if is_declared_harmless(kind):
        return PartKind.FIXED
    if issubclass(kind, torch.nn.Module):
        return PartKind.FIXED if kind.__module__ == "comfy.model_base" else PartKind.PLACE
    top = (kind.__module__ or "").partition(".")[0]
    if kind.__module__.startswith(OWN + ".") and kind.__module__ != PARTS:
        return PartKind.FIXED
    if top in HARMLESS and top not in sys.stdlib_module_names and kind.__module__ not in LOOKED_INTO:
        return PartKind.FIXED
    seen = [one for one in kind.__mro__ if one is not object]
    if all(one.__flags__ & HEAP_TYPE and _shows_itself(one) for one in seen):
        return PartKind.PLACE
    return PartKind.OPAQUE


def _shows_itself(kind: type) -> bool:
    """Whether all that instances hold for this class is in a `__dict__` or in slots."""
    return "__slots__" in kind.__dict__ or kind.__dictoffset__ != 0


def is_declared_harmless(value: Any) -> bool:
    """Whether its author says that it remembers nothing."""
    if getattr(value, DECLARES, None) is False:
        return True
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return getattr(module, DECLARES, None) is False


def is_foreign(value: Any, depth: int = 6) -> bool:
    """Whether it is, or leads to, code that ComfyUI's own and the usual libraries' is not."""
    kind = kind_of(value)
    if kind in (PartKind.PLAIN, PartKind.TENSOR, PartKind.ARRAY, PartKind.FIXED) or depth == 0:
        return False
    if isinstance(value, dict):
        return any(is_foreign(one, depth - 1) for one in value.values())
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return any(is_foreign(one, depth - 1) for one in value)
    if isinstance(value, functools.partial):
        return is_foreign(value.func, depth) or is_foreign(value.args, depth - 1)
    if isinstance(value, types.MethodType):
        return is_foreign(value.__self__, depth - 1) or is_foreign(value.__func__, depth - 1)
    if _is_of_strangers(value):
        return True
    if isinstance(value, types.FunctionType):
        return any(is_foreign(held, depth - 1) for held in _held_by(value))
    return False


def _is_of_strangers(value: Any) -> bool:
    module = value.__module__ if isinstance(value, types.FunctionType) else type(value).__module__
    module = module or ""
    own = module == OWN or module.startswith(OWN + ".")
    return not own and module.partition(".")[0] not in HARMLESS and not is_declared_harmless(value)


def _held_by(function: types.FunctionType) -> list[Any]:
    held = []
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # empty yet
            continue
    return held


def name_of(value: Any) -> str:
    """As a person may know it: what the function or class is called."""
    if isinstance(value, functools.partial):
        return name_of(value.func)
    if isinstance(value, types.MethodType):
        return type(value.__self__).__name__
    if isinstance(value, types.FunctionType):
        return value.__qualname__.partition(".")[0]
    return type(value).__name__
