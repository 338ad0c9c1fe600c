"""Takes a bundle apart into a directory, and checks it on the way. Any thread that may wait for the disk.

What the directory holds afterwards is what was sent, under names that are known. Whether it makes sense as a
job is for others to say.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

from .layout import BAGIT, DECLARATION, INFO, JOB, MANIFEST, TAG_MANIFEST, TAGS, BadBundle, Limits
from .listing import listed, not_a_bundle
from .writing import PIECE

LINE = re.compile(r"([0-9a-f]{64})[ \t]+(\S+)")
BOOKKEEPING = (DECLARATION, INFO, MANIFEST, TAG_MANIFEST)
RESERVE = 2 * 1024**3  # bytes that are left free on the disk, as by recordings


def unpacked(file: Path, place: Path, limits: Limits, reserve: int = RESERVE) -> dict[str, Any]:
    """Put `data/` of the bundle below `place`, which must not exist; what job.json says.

    Raises BadBundle; what is in `place` then is to be deleted.
    """
    with file.open("rb") as opened:
        archive, named = listed(opened, file.stat().st_size, limits)
        missing = [name for name in (*BOOKKEEPING, JOB) if name not in named]
        if missing:
            raise BadBundle(f"it lacks {missing[0]}, which every bundle has.")
        tags = {name: _small(archive, named[name], limits) for name in BOOKKEEPING}
        if tags[DECLARATION] != BAGIT:
            raise BadBundle("it is a bag of another version of BagIt.")
        _check_tags(tags)
        expected = _digests(tags[MANIFEST], MANIFEST)
        payload = {name: info for name, info in named.items() if name.startswith("data/")}
        different = sorted(expected.keys() ^ payload.keys())
        if different:
            raise BadBundle(f"its list of files and its files differ by {different[0]}.")
        _check_sum(tags[INFO], payload)
        place.mkdir(parents=True)
        _check_room(place, sum(info.file_size for info in payload.values()), reserve)
        for name, info in payload.items():
            if _extract(archive, info, place / name) != expected[name]:
                raise BadBundle(f"{name} is not what was exported: its SHA-256 is another.")
    if payload[JOB].file_size > limits.small:
        raise BadBundle(f"{JOB} has more than {limits.small} bytes.")
    return _parsed((place / JOB).read_bytes())


def _check_tags(tags: dict[str, bytes]) -> None:
    told = _digests(tags[TAG_MANIFEST], TAG_MANIFEST)
    for name in TAGS:
        if told.get(name) != hashlib.sha256(tags[name]).hexdigest():
            raise BadBundle(f"{name} is not what was exported: its SHA-256 is another.")


def _digests(content: bytes, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _text(content, name).splitlines():
        read = LINE.fullmatch(line)
        if read is None or read[2] in found:
            raise BadBundle(f"{name} has a line that cannot be read.")
        found[read[2]] = read[1]
    return found


def _check_sum(info: bytes, payload: dict[str, zipfile.ZipInfo]) -> None:
    size = sum(one.file_size for one in payload.values())
    lines = _text(info, INFO).splitlines()
    if f"Payload-Oxum: {size}.{len(payload)}" not in lines:
        raise BadBundle("it has other sizes, or another number of files, than it says.")


def _check_room(place: Path, size: int, reserve: int) -> None:
    free = shutil.disk_usage(place).free
    if free - size < reserve:
        raise BadBundle(f"it takes {size / 1000**3:.1f} GB, and only {free / 1000**3:.1f} GB are free here.")


def _small(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> bytes:
    if info.file_size > limits.small:
        raise BadBundle(f"{info.filename} has more than {limits.small} bytes.")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise not_a_bundle(error) from error


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> str:
    """The SHA-256 of what was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with archive.open(info) as entry, target.open("xb") as written:
            while piece := entry.read(PIECE):
                digest.update(piece)
                written.write(piece)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise not_a_bundle(error) from error
    return digest.hexdigest()


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadBundle(f"{name} is not UTF-8.") from error


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(_text(content, JOB), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadBundle(f"{JOB} cannot be read ({type(error).__name__}).") from error
    if not isinstance(told, dict):
        raise BadBundle(f"{JOB} cannot be read.")
    return told


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
