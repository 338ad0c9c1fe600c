"""Digests of large files, kept as long as the files stay the same. Any thread that may wait for the disk.

Files are told apart by their path, size and time. The SHA-256 is what people look a model up by; the digest
of samples tells in no time whether another file has its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIECE = 4 * 1024**2  # bytes
SAMPLES, SAMPLE = 64, 64 * 1024  # how many, and bytes of each; a file of less is read whole
LONGEST_S = 60.0  # that anybody waits for the SHA-256 of all files together
KEPT = 2000  # files that are remembered


@dataclass(frozen=True)
class Hashed:
    """size: bytes; sha256: None where it was not made, and `why`"""

    size: int
    samples: str
    sha256: str | None = None
    why: str | None = None


class Deadline:
    """So much time for several files."""

    def __init__(self, seconds: float = LONGEST_S) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._end


class FileHashes:
    """cache: a JSON file that outlives this server; without one that can be read, files are read again"""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._reading = threading.Lock()  # one file is read whole at a time
        self._known: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(cache.read_text(encoding="utf-8"))
            self._known = found if isinstance(found, dict) else {}

    def of(self, path: Path, deadline: Deadline | None) -> Hashed:
        """Raises OSError. deadline: of the SHA-256; None leaves out what is not known already"""
        found = path.stat()
        mark = [found.st_size, found.st_mtime_ns]
        with self._lock:
            known = self._known.get(str(path))
        if not isinstance(known, dict) or known.get("mark") != mark:
            known = {"mark": mark, "samples": _samples(path, found.st_size), "sha256": None}
        whole = known["sha256"]
        if whole is None and deadline is not None:
            with self._reading:
                whole = _whole(path, deadline)
        with self._lock:
            self._keep(str(path), known | {"sha256": whole})
        why = None
        if whole is None:
            limit = deadline.seconds if deadline is not None else LONGEST_S
            why = f"the file is large: it was not read to its end within {limit:g} s"
        return Hashed(found.st_size, known["samples"], whole, why)

    def _keep(self, path: str, known: dict[str, Any]) -> None:
        if self._known.get(path) == known:
            return
        self._known.pop(path, None)
        self._known[path] = known
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        temporary = self._cache.with_name(self._cache.name + ".tmp")
        with contextlib.suppress(OSError):  # then it is made again after a restart
            temporary.write_text(json.dumps(self._known), encoding="utf-8")
            temporary.replace(self._cache)


def _samples(path: Path, size: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= SAMPLES * SAMPLE:
            digest.update(file.read())
        else:
            for index in range(SAMPLES):
                file.seek(index * (size - SAMPLE) // (SAMPLES - 1), os.SEEK_SET)
                digest.update(file.read(SAMPLE))
    return digest.hexdigest()


def _whole(path: Path, deadline: Deadline) -> str | None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            if deadline.over:
                return None
            digest.update(piece)
    return digest.hexdigest()
