"""The temperature of the GPU by NVIDIA's library, where nvidia-ml-py is installed. A thread of its own."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import comfy.model_management as mm
import torch

from ...state.services.guard import Unreadable

MODULE = "pynvml"


class Thermometer:
    """Of the GPU that ComfyUI uses; of the hottest where that is not known."""

    def __init__(self) -> None:
        self._nvml: Any = None

    def __call__(self) -> float:
        """Degrees Celsius. Raises Unreadable."""
        if importlib.util.find_spec(MODULE) is None:
            raise Unreadable("the Python package nvidia-ml-py is not installed")
        nvml = importlib.import_module(MODULE)
        try:
            if self._nvml is None:
                nvml.nvmlInit()
                self._nvml = nvml
            return max(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU) for gpu in _gpus(nvml))
        except (nvml.NVMLError, ValueError) as error:
            self._nvml = None
            raise Unreadable(str(error) or type(error).__name__) from error


def _gpus(nvml: Any) -> list[Any]:
    device = mm.get_torch_device()
    if device.type == "cuda":
        uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
        if uuid is not None:
            try:
                return [nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")]
            except nvml.NVMLError:
                pass
    return [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
