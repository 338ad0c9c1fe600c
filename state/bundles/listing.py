"""The list of files in a zip, checked before any of them is opened. Any thread that may wait for the disk.

How long the list is stands at the end of a zip, and is looked at first: a million names are not read.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from typing import IO

from .layout import BAG, NAMES, BadBundle, Limits

END, END64, LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
LOCAL_HEADER = 30  # bytes before a name
NOT_A_BUNDLE = "the file is not a Midrun bundle, or it was damaged on the way{}. Export the job again."


def listed(file: IO[bytes], size: int, limits: Limits) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """The opened zip, and name -> entry, without the directory that all are in. Raises BadBundle."""
    count = _check_end(file, size, limits)
    try:
        archive = zipfile.ZipFile(file)
        infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, UnicodeDecodeError) as error:
        raise not_a_bundle(error) from error
    if len(infos) != count:
        raise not_a_bundle()
    named: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = _checked(info)
        if name in named:
            raise BadBundle(f"it has two files with the name {name}.")
        named[name] = info
    _check_places(infos, size)
    return archive, named


def _check_end(file: IO[bytes], size: int, limits: Limits) -> int:
    """The last bytes are the end of a zip without a comment, and what they tell is within the limits.

    How many files there are to be.
    """
    if size < END.size:
        raise not_a_bundle()
    file.seek(size - END.size)
    mark, disk, _, _, count, length, at, comment = END.unpack(file.read(END.size))
    if mark != b"PK\x05\x06" or disk or comment:
        raise not_a_bundle()
    if 0xFFFF in (count,) or 0xFFFFFFFF in (length, at):
        before = size - END.size - LOCATOR.size
        file.seek(max(0, before))
        mark, _, where, _ = LOCATOR.unpack(file.read(LOCATOR.size))
        if mark != b"PK\x06\x07" or where + END64.size > size:
            raise not_a_bundle()
        file.seek(where)
        mark, _, _, _, _, _, _, count, length, at = END64.unpack(file.read(END64.size))
        if mark != b"PK\x06\x06":
            raise not_a_bundle()
    if count > limits.entries:
        raise BadBundle(f"it has {count} files; the limit is {limits.entries}.")
    if length > limits.directory or at + length > size:
        raise BadBundle("its list of files is longer than that of any bundle.")
    file.seek(0)
    return count


def _checked(info: zipfile.ZipInfo) -> str:
    """The name of an entry within the bag. Raises BadBundle."""
    shown = info.orig_filename[:80].encode(errors="replace").decode()
    place, _, name = info.orig_filename.partition("/")
    if place != BAG or not NAMES.fullmatch(name):
        raise BadBundle(f"it has a file with the name {shown!r}, which no bundle has.")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise BadBundle(f"{shown} is a link or something else that is not a plain file.")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise BadBundle(f"{shown} is compressed, and a bundle is not.")
    if info.flag_bits & 0x1:
        raise BadBundle(f"{shown} is encrypted, and a bundle is not.")
    return name


def _check_places(infos: list[zipfile.ZipInfo], size: int) -> None:
    """No two entries share bytes: a small file cannot become a large one."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise BadBundle("its files overlap each other.")
        end = info.header_offset + LOCAL_HEADER + len(info.orig_filename.encode()) + info.file_size
    if end > size:
        raise not_a_bundle()


def not_a_bundle(error: Exception | None = None) -> BadBundle:
    because = "" if error is None else f" ({str(error)[:100]})"
    return BadBundle(NOT_A_BUNDLE.format(because))
