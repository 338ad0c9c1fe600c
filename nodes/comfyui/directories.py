"""Where ComfyUI keeps what is a user's, and where Midrun keeps its own. At start-up."""

from __future__ import annotations

from pathlib import Path

import folder_paths


def comfyui_user_directory() -> Path:
    return Path(folder_paths.get_user_directory())


def own_directory() -> Path:
    """`<ComfyUI user directory>/__midrun`: ComfyUI does not serve directories with such names."""
    system_directory = getattr(folder_paths, "get_system_user_directory", None)
    return Path(system_directory("midrun")) if system_directory else comfyui_user_directory() / "__midrun"
