"""What lies where in a bundle, under which names, and how much there may be. Values; any thread."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import MidrunError

FORMAT = "midrun-bundle-1"
SUFFIX = ".midrun"
BAG = "midrun-job"  # the one directory in the zip
DECLARATION, INFO = "bagit.txt", "bag-info.txt"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
JOB = "data/job.json"
RECORDING, PREVIEWS, INPUTS = "data/recording", "data/previews", "data/inputs"
TAGS = (DECLARATION, INFO, MANIFEST)  # that the tag manifest tells of

_DIRECTORY = (
    r"(?:[0-9]{1,20}|[0-9a-z_-]{8,64}|=[0-9a-f]{40})"  # as server_directory.directory_name makes them
)
CALL = re.compile(rf"{_DIRECTORY}\.[0-9]{{1,6}}")
ITEM = re.compile(
    r"(?:inputs|rewound|[0-9]{6,9}|(?:x|step|segment|conditions|memory)-[0-9]{6,9})\.safetensors"
)
PICTURE = re.compile(r"(?:source|step-[0-9]{6,9})(?:\.still)?\.webp")
INPUT = re.compile(r"[0-9]{4}\.[a-z0-9]{1,8}")
_ALONE = "|".join(re.escape(name) for name in (DECLARATION, INFO, MANIFEST, TAG_MANIFEST, JOB))
NAMES = re.compile(
    rf"{_ALONE}|{RECORDING}/{CALL.pattern}/{ITEM.pattern}|"
    rf"{PREVIEWS}/{_DIRECTORY}/{PICTURE.pattern}|{INPUTS}/{INPUT.pattern}"
)
JOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True)
class Limits:
    """bytes: of the whole bundle; small: bytes of a file that is read whole; entries: files in it

    directory: bytes of the zip's list of files; header: bytes of the header of one file of a recording
    """

    bytes: int = 20 * 1000**3
    small: int = 64 * 1024**2
    entries: int = 100_000
    directory: int = 32 * 1024**2
    header: int = 8 * 1024**2


class BadBundle(MidrunError):
    """A bundle that is not taken; the message is a sentence that says why. Nothing of it is kept."""

    code = "bad_bundle"

    def __init__(self, because: str) -> None:
        super().__init__(f"Nothing was imported: {because}")
