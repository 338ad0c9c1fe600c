"""The pictures that a job waits to be chosen from, on disk. Any thread that may wait.

They lie beside the job's previews, and go with them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ..server_directory import directory_name
from .preview_files import PreviewFiles

FOLDER = ".choice"  # which is no name of a node


class ChoiceFiles:
    """beside: the previews of all jobs"""

    def __init__(self, beside: PreviewFiles) -> None:
        self._previews = beside.directory

    def replace(self, job_id: str, pictures: list[bytes]) -> None:
        """WebP, numbered from 1, in the place of those of an earlier choice. Raises OSError."""
        directory = self._of(job_id)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for number, content in enumerate(pictures, 1):
            (directory / f"{number}.webp").write_bytes(content)

    def read(self, job_id: str, number: int) -> bytes | None:
        try:
            return (self._of(job_id) / f"{number}.webp").read_bytes()
        except OSError:
            return None

    def _of(self, job_id: str) -> Path:
        return self._previews / directory_name(job_id) / FOLDER
