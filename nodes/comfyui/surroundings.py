"""What this ComfyUI computes a graph with: versions, the device, node packs, models. Any thread.

Reads the files of models, which takes its time: never on the event loop.
"""

from __future__ import annotations

import hashlib
import importlib
import platform
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import folder_paths
import torch

from ...state.bundles.file_hashes import Deadline, FileHashes
from ...state.surroundings import ModelFile, Pack, Surroundings, flat
from ...state.workflow.graph import Prompt, class_type, inputs
from .comfy_nodes import node_class
from .input_files import InputFile, bare_name, files_of
from .model_folders import folder_of, path_of
from .node_definitions import Definitions

VERSION = re.compile(r'^version\s*=\s*"([^"\n]{1,60})"', re.MULTILINE)
CUSTOM = "custom_nodes."
MOST_CODE = 50_000_000  # bytes of a pack's Python files
NO_CODE = ("tests", "test", "venv", "node_modules")  # folders of a pack in which nothing is that it runs
OWN = Path(__file__).resolve().parents[2]


class ComfySurroundings:
    """Of this server."""

    def __init__(self, definitions: Definitions, hashes: FileHashes) -> None:
        self._definitions = definitions
        self._hashes = hashes
        self._newest: tuple[str, dict[str, str]] = "", {}

    def describe(self, prompts: list[Prompt], quick: bool = False) -> Surroundings:
        """What these graphs are computed with here. quick: read no model that is not known yet"""
        deadline = None if quick else Deadline()
        named = {found: None for prompt in prompts for found in self._models(prompt)}
        models = tuple(self._model(folder, name, deadline) for folder, name in named)
        return self._surroundings(prompts, models)

    def of_run(self, prompt_id: str, prompt: Prompt) -> dict[str, str]:
        """What a run of the graph is computed with, as texts; looked up once a run."""
        if self._newest[0] != prompt_id:
            self._newest = prompt_id, flat(self.describe([prompt], quick=True))
        return self._newest[1]

    def again(self, then: Surroundings, prompt: Prompt, thoroughly: bool) -> Surroundings:
        """The same of a graph that was computed elsewhere. thoroughly: read models that are not known yet"""
        values = {value for node in prompt for value in inputs(prompt, node).values() if type(value) is str}
        deadline = Deadline() if thoroughly else None
        asked = [model for model in then.models if model.name in values]
        models = tuple(self._model(model.folder, model.name, deadline) for model in asked)
        return self._surroundings([prompt], models)

    def files(self, prompt: Prompt) -> list[InputFile]:
        """Of the input folder, that the graph loads."""
        return list(files_of(prompt, self._definitions))

    def paths(self, prompt: Prompt) -> Iterator[Path]:
        """Of all files that the graph names and that are there: models and what it loads."""
        yield from (one.path for one in self.files(prompt) if one.path is not None)
        yield from (path for found in self._models(prompt) if (path := path_of(*found)) is not None)

    def loaders(self, prompt: Prompt) -> frozenset[str]:
        """The nodes that name a file of a model."""
        return frozenset(node for node in prompt if any(self._models({node: prompt[node]})))

    def bare_name(self, value: str) -> str:
        return bare_name(value)

    def _surroundings(self, prompts: list[Prompt], models: tuple[ModelFile, ...]) -> Surroundings:
        kinds = {class_type(prompt, node): None for prompt in prompts for node in prompt}
        missing = tuple(kind for kind in kinds if kind is not None and node_class(kind) is None)
        files = {one.value: one.path for prompt in prompts for one in files_of(prompt, self._definitions)}
        gone = tuple(value for value, path in files.items() if path is None)
        return Surroundings(_values(), _packs(kinds), models, missing, gone)

    def _models(self, prompt: Prompt) -> Iterator[tuple[str, str]]:
        """(folder, name) of the files that inputs choose from a folder of models."""
        for node in prompt:
            declared = self._definitions.inputs(class_type(prompt, node) or "")
            for name, value in inputs(prompt, node).items():
                definition = declared.get(name)
                if type(value) is str and definition is not None and value in (definition.options or ()):
                    folder = folder_of(value)
                    if folder is not None:
                        yield folder, value

    def _model(self, folder: str, name: str, deadline: Deadline | None) -> ModelFile:
        path = path_of(folder, name)
        if path is None:
            return ModelFile(folder, name)
        try:
            hashed = self._hashes.of(path, deadline)
        except OSError as error:
            return ModelFile(folder, name, why=f"the file cannot be read: {error.strerror}")
        return ModelFile(folder, name, hashed.size, hashed.sha256, hashed.samples, hashed.why)


def _values() -> dict[str, str]:
    device = mm.get_torch_device()
    told = {
        "torch": torch.__version__,
        "device": f"{device.type} {_name_of(device)}".strip(),
        "attention": _attention(),
        "precision": " ".join(_flags()) or "as ComfyUI chooses",
        "threads": str(torch.get_num_threads()),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "comfyui": str(getattr(_module("comfyui_version"), "__version__", "unknown")),
        "midrun": _own_version(),
        "python": platform.python_version(),
    }
    return {name: value[:200] for name, value in told.items()}


def _name_of(device: torch.device) -> str:
    module = getattr(torch, device.type, None)
    named = getattr(module, "get_device_name", None)
    return "" if device.type == "cpu" or named is None else str(named(device))


def _attention() -> str:
    chosen = getattr(_module("comfy.ldm.modules.attention"), "optimized_attention", None)
    return getattr(chosen, "__name__", "unknown")


def _flags() -> list[str]:
    """The options of ComfyUI's command line that choose dtypes."""
    args = vars(getattr(_module("comfy.cli_args"), "args", object()))
    kinds = ("fp16", "fp32", "fp64", "bf16", "fp8", "fast", "deterministic")
    return [name for name, value in sorted(args.items()) if value and any(kind in name for kind in kinds)]


def _packs(kinds: dict[str | None, None]) -> tuple[Pack, ...]:
    nodes: dict[str, list[str]] = {}
    for kind in kinds:
        module = str(getattr(node_class(kind), "RELATIVE_PYTHON_MODULE", ""))
        if kind is not None and module.startswith(CUSTOM):
            nodes.setdefault(module.removeprefix(CUSTOM), []).append(kind)
    return tuple(
        Pack(name, _version_of(name), tuple(sorted(of)), _code_of(name)) for name, of in sorted(nodes.items())
    )


@lru_cache
def _code_of(pack: str) -> str | None:
    """A digest of its Python files, as they were when somebody asked first: what runs was read before."""
    place = next((place for place in _places(pack) if place.is_dir()), None)
    if place is None:
        return None
    digest, room = hashlib.blake2b(digest_size=12), MOST_CODE
    try:
        for path in sorted(place.rglob("*.py")):
            inside = path.relative_to(place)
            if inside.parts[0] in NO_CODE or any(part.startswith(".") for part in inside.parts):
                continue
            content = path.read_bytes()
            room -= len(content)
            if room < 0:
                return None
            digest.update(f"{inside.as_posix()} {len(content)} ".encode() + content)
    except (OSError, ValueError):  # a name may hold a lone surrogate
        return None
    return digest.hexdigest()


def _places(pack: str) -> list[Path]:
    return [Path(place) / pack for place in folder_paths.get_folder_paths("custom_nodes")]


@lru_cache
def _version_of(pack: str) -> str | None:
    """As its pyproject.toml says, else the commit that it is at."""
    found = (_version_in(place) for place in _places(pack) if place.is_dir())
    return next((version for version in found if version is not None), None)


@lru_cache
def _own_version() -> str:
    return _version_in(OWN) or "unknown"


def _version_in(place: Path) -> str | None:
    try:
        told = VERSION.search((place / "pyproject.toml").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        told = None
    return told[1] if told else _commit_in(place)


def _commit_in(place: Path) -> str | None:
    try:
        head = (place / ".git" / "HEAD").read_text(encoding="utf-8").strip()
        if head.startswith("ref: "):
            head = (place / ".git" / head.removeprefix("ref: ")).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return f"commit {head[:12]}" if re.fullmatch(r"[0-9a-f]{40,64}", head) else None


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
