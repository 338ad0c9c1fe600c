"""Giving the GPU back while a job is paused, and measuring that it was. ComfyUI's worker thread only."""

from __future__ import annotations

import gc
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import comfy.model_management as mm
import torch

log = logging.getLogger(__name__)
# Bytes on the device with no model loaded: most are workspaces of cuBLAS, 32 MB a stream on a Hopper card.
LEFT_OVER = 192 * 1024 * 1024


@dataclass(frozen=True)
class Released:
    """What unloading achieved. Bytes are torch's own count on the device; None where it keeps none.

    others: there were models that ComfyUI does not know, so that only the count tells
    free: on the device afterwards, for any program; None where the device is the processor
    """

    models_left: int
    allocated_before: int | None
    allocated_after: int | None
    others: bool = False
    free: int | None = None

    @property
    def complete(self) -> bool:
        counted = self.allocated_after if self.others else None
        return self.models_left == 0 and (counted is None or counted <= LEFT_OVER)

    def to_json(self) -> dict[str, Any]:
        return {
            "models_left": self.models_left,
            "allocated_before": self.allocated_before,
            "allocated_after": self.allocated_after,
            "free": self.free,
        }


def release() -> Released:
    """Unload every model of ComfyUI and empty torch's cache, as ComfyUI itself does."""
    before = allocated()
    gc.collect(1)  # an interrupted forward pass may leave cycles that hold activations
    end_forward()
    _free_cast_buffers()
    staying = sum(map(_stays, mm.current_loaded_models))
    mm.unload_all_models()
    if _much_is_left():  # not always: it stops every thread of the server for a third of a second
        gc.collect()
    mm.soft_empty_cache()
    left = staying + sum(_occupies(entry) for entry in mm.current_loaded_models)
    if left:
        log.warning("Midrun: %d models stayed loaded on a pause", left)
    return Released(left, before, allocated(), free=free())


def _free_cast_buffers() -> None:
    """Of streams that bring weights to the device: without dynamic VRAM ComfyUI keeps them for good."""
    reset = getattr(mm, "reset_cast_buffers", None)
    if reset is not None and mm.get_torch_device().type != "cpu":
        reset()


def _much_is_left() -> bool:
    """More than workspaces of libraries and small tensors of other nodes. Unknown counts as much."""
    if mm.get_torch_device().type == "cpu":
        return False
    held = allocated()
    return held is None or held > LEFT_OVER


def _stays(entry: Any) -> bool:
    """Whether the weights of a LoadedModel remain there when ComfyUI unloads it, as with --highvram."""
    offload = getattr(entry.model, "offload_device", None)
    return offload is not None and offload.type != "cpu" and offload == entry.device


def _occupies(entry: Any) -> bool:
    """Whether a LoadedModel still has weights on the device.

    One whose patcher was collected before it was unloaded stays listed; its weights left with another patcher
    of the same model, or are still there and cannot be unloaded through ComfyUI.
    """
    if entry.model is not None:
        return True
    model = entry.real_model() if entry.real_model is not None else None
    return getattr(model, "model_loaded_weight_memory", 0) > 0


def end_forward() -> None:
    """After a forward pass that may not have reached its end: what ComfyUI's executor does after each node.

    Only where dynamic VRAM is on, as there. The prefetch queues come first: since ComfyUI 0.34 that also
    aborts an open malloc graph, into which nothing may be allocated or freed until then. Before that the
    executor has the other order, and either will do: the one unpins weights, the other waits for the streams.
    """
    if not getattr(_module("comfy.memory_management"), "aimdo_enabled", False):
        return
    for module, name in _AFTER_A_NODE:
        clean = getattr(_module(module), name, None)
        if clean is not None:
            clean()


_AFTER_A_NODE = (
    ("comfy.model_prefetch", "cleanup_prefetch_queues"),
    ("comfy.model_management", "reset_cast_buffers"),
    ("comfy_aimdo.model_vbar", "vbars_reset_watermark_limits"),
)


def _module(name: str) -> Any:
    """None where this ComfyUI has no such module."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def free() -> int | None:
    """Bytes that are free on the device, as ComfyUI counts them; None where the device is the processor."""
    on = mm.get_torch_device()
    return None if on.type == "cpu" else int(mm.get_free_memory(on))


def allocated() -> int | None:
    """Bytes that torch holds on the device, by its own count; None where it keeps none."""
    return counter()()


def counter() -> Callable[[], int | None]:
    """What tells `allocated` of the device of now, more quickly."""
    device = mm.get_torch_device()
    module = getattr(torch, device.type, None)
    nested = getattr(module, "memory_stats_as_nested_dict", None)
    if device.type == "cuda" and nested is not None:  # what follows sorts all of torch's figures each time
        return lambda: int(nested(device).get("allocated_bytes", {}).get("all", {}).get("current", 0))
    count = getattr(module, "memory_allocated", None)
    return _nothing if device.type == "cpu" or count is None else lambda: int(count(device))


def device() -> torch.device:
    """The one that ComfyUI computes on."""
    return mm.get_torch_device()


def _nothing() -> None:
    return None
