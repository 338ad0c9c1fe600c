"""What a job was computed with, and what is otherwise where it is to go on. Frozen values and their JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

MODEL, PACK = "model ", "pack "  # before such names, where surroundings are flat


@dataclass(frozen=True)
class ModelFile:
    """A file that the graph names. folder: ComfyUI's name of where it lies; size: bytes.

    sha256: of all of it; None, and `why`, where that takes too long
    samples: a digest of parts of it, all of a small one; size and digests are None for a file that is missing
    """

    folder: str
    name: str
    size: int | None = None
    sha256: str | None = None
    samples: str | None = None
    why: str | None = None


@dataclass(frozen=True)
class Pack:
    """A folder of custom nodes. nodes: the classes of it in the graph; version: None where it tells none

    code: a digest of its Python files, where they were read
    """

    name: str
    version: str | None
    nodes: tuple[str, ...] = ()
    code: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """values: by name, such as torch's version; packs, models: that the graph needs.

    missing: classes of nodes, and files of the input folder, that the graph names and that are not there
    """

    values: dict[str, str] = field(default_factory=dict)
    packs: tuple[Pack, ...] = ()
    models: tuple[ModelFile, ...] = ()
    missing_nodes: tuple[str, ...] = ()
    missing_inputs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """message: what is otherwise, and what to do; arithmetic: the model may answer otherwise for it"""

    code: str
    name: str
    then: str | None
    now: str | None
    message: str
    arithmetic: bool = False


@dataclass(frozen=True)
class Checked:
    """The newest evaluation on record was asked once more. difference: the largest of all elements

    largest: of the recorded answer, for comparison, where it is known; None, too, is what was not compared
    """

    evaluation: int
    difference: float | None = None
    largest: float | None = None


@dataclass(frozen=True)
class Imported:
    """Of a job that came in a bundle. then: what it was computed with

    lost: files that the graph names and the bundle did not carry; signed_in: it was queued with a token
    checked: what the first resume found where the arithmetic may differ
    """

    at: str
    then: Surroundings
    lost: tuple[str, ...] = ()
    signed_in: bool = False
    differences: tuple[Difference, ...] = ()
    checked: Checked | None = None

    @property
    def wants_check(self) -> bool:
        """Whether a resume is to ask the newest recorded evaluation once more."""
        return self.checked is None and any(one.arithmetic for one in self.differences)

    def to_json(self) -> dict[str, Any]:
        """For the REST API."""
        checked = None if self.checked is None else asdict(self.checked)
        told = [asdict(one) for one in self.differences]
        return {"at": self.at, "differences": told, "wants_check": self.wants_check, "checked": checked}

    def to_row(self) -> dict[str, Any]:
        return asdict(self)


def surroundings_of(stored: dict[str, Any]) -> Surroundings:
    """From `Surroundings.to_json`. Raises KeyError or TypeError for anything else."""
    _only(Surroundings, stored)
    return Surroundings(
        {str(name): str(value) for name, value in dict(stored["values"]).items()},
        tuple(Pack(one["name"], one["version"], tuple(one["nodes"]), one["code"]) for one in stored["packs"]),
        tuple(ModelFile(**one) for one in stored["models"]),
        tuple(stored["missing_nodes"]),
        tuple(stored["missing_inputs"]),
    )


def flat(around: Surroundings) -> dict[str, str]:
    """As texts by name, without what is missing: to lie beside a recording, and to be read by anybody."""
    models = {
        f"{MODEL}{one.folder}/{one.name}": f"{one.size} {one.samples} {one.sha256 or ''}".strip()
        for one in around.models
        if one.size is not None
    }
    packs = {f"{PACK}{one.name}": f"{one.code or ''} {one.version or ''}" for one in around.packs}
    return around.values | models | packs


def unflat(told: dict[str, str]) -> Surroundings:
    """From `flat`. Of a text that makes no sense, what there is."""
    models, packs, values = [], [], {}
    for name, text in told.items():
        if name.startswith(MODEL):
            folder, _, file = name.removeprefix(MODEL).partition("/")
            size, samples, sha256, *_ = [*text.split(), None, None, None]
            is_known = size is not None and size.isdecimal()
            models.append(ModelFile(folder, file, int(size or 0) if is_known else None, sha256, samples))
        elif name.startswith(PACK):
            code, _, version = text.partition(" ")
            packs.append(Pack(name.removeprefix(PACK), version or None, (), code or None))
        else:
            values[name] = text
    return Surroundings(values, tuple(packs), tuple(models))


def imported_of(stored: dict[str, Any]) -> Imported:
    """From `Imported.to_row`."""
    _only(Imported, stored)
    checked = stored["checked"]
    return Imported(
        stored["at"],
        surroundings_of(stored["then"]),
        tuple(stored["lost"]),
        stored["signed_in"],
        tuple(Difference(**one) for one in stored["differences"]),
        None if checked is None else Checked(**checked),
    )


def _only(kind: Any, stored: Iterable[str]) -> None:
    unknown = set(stored) - {one.name for one in fields(kind)}
    if unknown:
        raise KeyError(sorted(unknown)[0])
