"""Where the networks on a node's wires were when it began, and bringing them back. ComfyUI's worker thread.

ComfyUI does not know these models, so that nobody else gives the GPU back when their job is paused.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Any

import torch

MOST = 2000  # objects that are looked into
LEAVES = (str, bytes, int, float, bool, type(None), torch.Tensor, torch.dtype, torch.device, type)
LEAVES += (types.FunctionType, types.MethodType, types.ModuleType, types.BuiltinFunctionType)
OFFLOADED_BY_OTHERS = "_hf_hook"  # what accelerate puts on a module that it moves by itself
HOST = torch.device("cpu")
Places = dict[str, torch.device]  # of a module's parameters and buffers, by name


class Whereabouts:
    """Of all modules that a node was given."""

    def __init__(self, given: Iterable[Any]) -> None:
        self._found: list[tuple[Any, Places]] = [(one, _places(one)) for one in modules_in(given)]

    def bring_back(self) -> Whereabouts:
        """What has left its place is put there again, but for what moves by itself. Answers where it was.

        What had no data yet gets no data taken: it goes to the host.
        """
        until_now = Whereabouts(module for module, _ in self._found)
        for module, places in self._found:
            if any(hasattr(part, OFFLOADED_BY_OTHERS) for part in module.modules()):
                continue
            for name, tensor in _tensors(module):
                place = places.get(name, HOST)
                place = HOST if place.type == "meta" else place
                if tensor.device != place and tensor.device.type != "meta":
                    tensor.data = tensor.data.to(place)
        return until_now


def modules_in(given: Iterable[Any]) -> list[Any]:
    """The outermost torch modules in dicts, lists and objects, as models are handed from node to node."""
    waiting, seen, found = list(given), set[int](), []
    while waiting and len(seen) < MOST:
        value = waiting.pop(0)
        if isinstance(value, LEAVES) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.nn.Module):
            found.append(value)
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value
        else:
            waiting += getattr(value, "__dict__", {}).values()
    return found


def _places(module: Any) -> Places:
    return {name: tensor.device for name, tensor in _tensors(module)}


def _tensors(module: Any) -> Iterator[tuple[str, Any]]:
    yield from module.named_parameters()
    yield from module.named_buffers()
