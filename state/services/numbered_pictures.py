"""Pictures of where a job stands, on disk: of what it is to be chosen from, or of what stands on wires.

Any thread that may wait. They lie beside the job's previews, and go with them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ..server_directory import directory_name
from .preview_files import PreviewFiles

CHOICE, WIRES = ".choice", ".wires"  # folders, which are no names of nodes


class NumberedPictures:
    """beside: the previews of all jobs; folder: of each job, CHOICE or WIRES"""

    def __init__(self, beside: PreviewFiles, folder: str) -> None:
        self._previews = beside.directory
        self._folder = folder

    def replace(self, job_id: str, pictures: Mapping[int, bytes]) -> None:
        """WebP, by their numbers, in the place of those of an earlier stand. Raises OSError."""
        directory = self._of(job_id)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for number, content in pictures.items():
            (directory / f"{number}.webp").write_bytes(content)

    def read(self, job_id: str, number: int) -> bytes | None:
        try:
            return (self._of(job_id) / f"{number}.webp").read_bytes()
        except OSError:
            return None

    def _of(self, job_id: str) -> Path:
        return self._previews / directory_name(job_id) / self._folder
