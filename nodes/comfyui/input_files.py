"""Files of ComfyUI's input folder that a graph loads: found, and put there. Any thread that may wait."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ...state.workflow.graph import Prompt, class_type, inputs
from ...state.workflow.input_values import Definition
from .model_folders import folder_of
from .node_definitions import Definitions

FOLDER = re.compile(r"\s*\[(input|output|temp)\]$")
MEDIA = ("image", "video", "audio", "model")
OTHERS = (".latent", ".safetensors", ".webp", ".avif", ".exr", ".hdr", ".mkv", ".flac", ".opus", ".glb")
OTHERS += (".gltf", ".obj", ".fbx", ".stl", ".ply", ".webm", ".m4a", ".ogg")
REFUSED = (".svg", ".svgz")  # which a browser would run scripts of
ODD = re.compile(r"[^\w .()@+-]+")
LONGEST = 100  # characters of a name
PAINTED = {"MidrunChoose": ("painted",)}  # masks, which the panel uploads


@dataclass(frozen=True)
class InputFile:
    """path: None where there is no such file, or one that is not to leave this machine"""

    node_id: str
    input: str
    value: str
    path: Path | None


def files_of(prompt: Prompt, definitions: Definitions) -> Iterator[InputFile]:
    """By what the nodes declare of their inputs: such as are uploaded, or chosen from the input folder."""
    for node_id in prompt:
        kind = class_type(prompt, node_id) or ""
        declared = definitions.inputs(kind)
        for name, value in inputs(prompt, node_id).items():
            definition = declared.get(name)
            if definition is None or type(value) is not str or not value or value == "none":
                continue
            path = _path_of(value)
            is_uploaded = definition.upload or name in PAINTED.get(kind, ())
            if is_uploaded or (path is not None and _is_chosen(value, definition)):
                yield InputFile(node_id, name, value, path)


def _is_chosen(value: str, definition: Definition) -> bool:
    """Whether it is one of the files that a node offers, and not of a folder of models."""
    return "." in value and value in (definition.options or ()) and folder_of(value) is None


def bare_name(value: str) -> str:
    """Without the folder that ComfyUI notes behind it, and without directories."""
    return FOLDER.sub("", value).replace("\\", "/").rpartition("/")[2]


def may_travel(name: str) -> bool:
    """Whether files with such a name are pictures and their like."""
    suffix = Path(name).suffix.lower()
    kind = (mimetypes.guess_type(name)[0] or "").partition("/")[0]
    return suffix not in REFUSED and (suffix in OTHERS or kind in MEDIA)


def put_there(file: Path, name: str) -> tuple[str, bool]:
    """The name under which the content of `file` is in the input folder from now on, and whether it is new.

    No file that is there is overwritten: one with the same name and another content leaves it its name.
    """
    directory = Path(folder_paths.get_input_directory())
    directory.mkdir(parents=True, exist_ok=True)
    stem, suffix = os.path.splitext(ODD.sub("_", bare_name(name)).strip(" ."))
    digest = _digest(file)
    stem = stem[:LONGEST] or "input"
    for wanted in (f"{stem}{suffix}", *(f"{stem}-{digest[:length]}{suffix}" for length in (8, 16, 64))):
        target = directory / wanted
        if _copied(file, target):
            return wanted, True
        if target.is_file() and _digest(target) == digest:
            return wanted, False
    raise FileExistsError(f"{name} and all names like it are taken in the input folder")


def _copied(file: Path, target: Path) -> bool:
    """Whether there was nothing. Raises OSError; then there is still nothing."""
    try:
        opened = target.open("xb")
    except FileExistsError:
        return False
    try:
        with opened, file.open("rb") as content:
            shutil.copyfileobj(content, opened, 1024**2)
    except OSError:
        target.unlink()
        raise
    return True


def take_away(name: str) -> None:
    """A file that was just put there."""
    (Path(folder_paths.get_input_directory()) / name).unlink(missing_ok=True)


def _path_of(value: str) -> Path | None:
    """Only of what lies in a folder that ComfyUI gives out, wherever a name or a link leads."""
    try:
        path = Path(folder_paths.get_annotated_filepath(value)).resolve()
    except (OSError, ValueError):
        return None
    kinds = ("input", "output", "temp")
    places = [Path(getattr(folder_paths, f"get_{kind}_directory")()).resolve() for kind in kinds]
    inside = any(path.is_relative_to(place) for place in places)
    return path if inside and path.is_file() and may_travel(path.name) else None


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(1024**2):
            digest.update(piece)
    return digest.hexdigest()
