"""Files in ComfyUI's folders of models, by the names that nodes have for them. Any thread."""

from __future__ import annotations

from pathlib import Path

import folder_paths

NO_MODELS = frozenset({"custom_nodes"})


def folder_of(name: str) -> str | None:
    """The folder that has a file with that name; None where none has."""
    if "." not in name:  # no file that a model comes in
        return None
    folders = (folder for folder in folder_paths.folder_names_and_paths if folder not in NO_MODELS)
    return next((folder for folder in folders if path_of(folder, name) is not None), None)


def path_of(folder: str, name: str) -> Path | None:
    """None where there is no such file in the folder; a name does not lead out of it."""
    if folder in NO_MODELS or folder not in folder_paths.folder_names_and_paths:
        return None
    found = folder_paths.get_full_path(folder, name)
    return None if found is None else Path(found)
