"""ComfyUI's modules in this process, on the CPU, without a server: for training the demo model."""

from __future__ import annotations

import importlib
import sys

from harness import as_package, comfyui_path
from launch_comfyui import mend_torchvision


def use_comfyui() -> list[object]:
    """Make `comfy` and the pack, as `midrun`, importable. Keep what is returned alive."""
    kept: list[object] = [mend_torchvision()]
    sys.path.insert(0, str(comfyui_path()))
    arguments = importlib.import_module("comfy.cli_args").args
    arguments.cpu = arguments.use_pytorch_cross_attention = True
    as_package()
    return kept
