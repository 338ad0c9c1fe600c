"""Writes a bundle, a piece at a time: neither it nor a file of it is ever in memory as a whole.

Each file is hashed while it passes, so the manifest comes last. Any thread that may wait for the disk.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .layout import BAG, BAGIT, DECLARATION, INFO, MANIFEST, TAG_MANIFEST, TAGS

PIECE = 1024**2  # bytes
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # a zip has no earlier time; nobody needs to know when files were made


@dataclass(frozen=True)
class Part:
    """A file of the bag. size: bytes that `pieces` gives, as far as it is known"""

    name: str
    size: int
    pieces: Callable[[], Iterable[bytes]]


def file_part(name: str, file: Path) -> Part:
    def pieces() -> Iterator[bytes]:
        with file.open("rb") as opened:
            while piece := opened.read(PIECE):
                yield piece

    return Part(name, file.stat().st_size, pieces)


def text_part(name: str, content: bytes) -> Part:
    return Part(name, len(content), lambda: [content])


def bag(parts: Iterable[Part], about: dict[str, str]) -> Iterator[bytes]:
    """The bundle. parts: what lies in `data/`; about: lines of bag-info.txt. Raises OSError."""
    outlet = _Outlet()
    digests: dict[str, str] = {}
    sizes: dict[str, int] = {}

    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[arg-type]

        def put(part: Part) -> Iterator[bytes]:
            digest, size = hashlib.sha256(), 0
            info = zipfile.ZipInfo(f"{BAG}/{part.name}", LONG_AGO)
            info.file_size = part.size  # tells whether it needs Zip64
            info.external_attr = 0o100644 << 16
            with archive.open(info, "w") as entry:
                for piece in part.pieces():
                    digest.update(piece)
                    size += len(piece)
                    entry.write(piece)
                    if outlet.size >= PIECE:
                        yield outlet.take()
            digests[part.name], sizes[part.name] = digest.hexdigest(), size

        yield from put(text_part(DECLARATION, BAGIT))
        for part in parts:
            yield from put(part)
        payload = {name: digest for name, digest in digests.items() if name.startswith("data/")}
        oxum = f"{sum(sizes[name] for name in payload)}.{len(payload)}"
        lines = {"Payload-Oxum": oxum, **about}
        told = "".join(f"{name}: {value}\n" for name, value in lines.items())
        yield from put(text_part(INFO, told.encode()))
        yield from put(text_part(MANIFEST, manifest(payload)))
        tags = {name: digests[name] for name in TAGS}
        yield from put(text_part(TAG_MANIFEST, manifest(tags)))
    yield outlet.take()


def manifest(digests: dict[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


class _Outlet:
    """What a ZipFile writes into where nothing can be sought: bytes until somebody takes them."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        self.size += len(piece)
        return len(piece)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken, self._pieces, self.size = b"".join(self._pieces), [], 0
        return taken
