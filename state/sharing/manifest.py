"""What the store has of a job: what is told of it, and which bytes of which object are which of its files.

Pure functions, but for `packed`, which reads files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..recording.recording import Call

FORMAT = "midrun-store-1"
PACK = 32 * 1024**2  # bytes of files that share an object; a larger file has one of its own
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Made:
    """A sampling call of a node. digest: of all that it depends on; whole: of the rest of the graph, too"""

    node_id: str
    whole: bool
    digest: str


@dataclass(frozen=True)
class Piece:
    """A file: so many bytes of an object of that SHA-256."""

    blob: str
    start: int
    size: int


@dataclass(frozen=True)
class Manifest:
    """job: as job.json of a bundle; files: by their names in a bundle; ended: nothing is left to do

    inputs: SHA-256 of the input files, as the graph names them
    """

    job: dict[str, Any]
    files: dict[str, Piece] = field(default_factory=dict)
    made: dict[Call, Made] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    ended: bool = False

    def to_bytes(self) -> bytes:
        files = {name: [one.blob, one.start, one.size] for name, one in self.files.items()}
        made = [[*call, one.node_id, one.whole, one.digest] for call, one in self.made.items()]
        told = {"format": FORMAT, "job": self.job, "files": files, "made": made, "ended": self.ended}
        told |= {"inputs": self.inputs}
        return json.dumps(told, separators=(",", ":")).encode()


def manifest_of(content: bytes) -> Manifest:
    """Raises ValueError for anything that is none."""
    try:
        told = json.loads(content)
        if told["format"] != FORMAT:
            raise ValueError(f"its format is {str(told['format'])[:40]!r}")
        files = {str(name): _piece(*one) for name, one in told["files"].items()}
        made = {(str(n), int(k)): Made(str(i), bool(w), str(d)) for n, k, i, w, d in told["made"]}
        inputs = {str(value): str(digest) for value, digest in told["inputs"].items()}
        return Manifest(dict(told["job"]), files, made, inputs, bool(told["ended"]))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it makes no sense ({type(error).__name__})") from error


def _piece(blob: Any, start: Any, size: Any) -> Piece:
    if not HASH.fullmatch(blob) or not 0 <= start < 2**63 or not 0 <= size < 2**63:
        raise ValueError("it names no sensible part of an object")
    return Piece(blob, int(start), int(size))


@dataclass(frozen=True)
class Pack:
    """An object to be sent. content: None where it is a file of its own"""

    blob: str
    files: dict[str, Piece]
    content: bytes | None
    file: Path | None = None


def packed(files: dict[str, Path]) -> Iterator[Pack]:
    """Small files together. Raises OSError where one is gone."""
    small: dict[str, bytes] = {}
    for name, path in files.items():
        size = path.stat().st_size
        if size > PACK:
            blob = digest_of(path)
            yield Pack(blob, {name: Piece(blob, 0, size)}, None, path)
            continue
        if sum(map(len, small.values())) + size > PACK:
            yield _pack(small)
            small = {}
        small[name] = path.read_bytes()
    if small:
        yield _pack(small)


def _pack(small: dict[str, bytes]) -> Pack:
    content = b"".join(small.values())
    blob, start, files = hashlib.sha256(content).hexdigest(), 0, {}
    for name, one in small.items():
        files[name] = Piece(blob, start, len(one))
        start += len(one)
    return Pack(blob, files, content)


def digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while piece := opened.read(1024**2):
            digest.update(piece)
    return digest.hexdigest()
