"""Which jobs there are and what came of them, in the store that the servers share. Any thread that may wait.

A job is open while `fleet/jobs/<id>.json` is there; one that failed stays open, with its result. A result is
written before the job is deleted, so who begins anew misses nothing and does nothing twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec

from .jobs import End, FleetError, Job, Result

WHEN = ("LastModified", "updated", "mtime")  # it was written, as fsspec's packages call it
WHOLE = 2**30  # bytes: a range costs one request, where s3fs asks for the size of what has none


class Ledger:
    """Raises FleetError where the store cannot be opened; later what fsspec and its packages raise."""

    def __init__(self, url: str) -> None:
        try:
            self._fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise FleetError(f"The store {url} cannot be opened: {error}") from error
        self._root = f"{root.rstrip('/')}/fleet"
        self._fs.auto_mkdir = True  # what has directories makes them; elsewhere this means nothing

    def add(self, job: Job) -> None:
        self._put(f"jobs/{job.id}.json", {"name": job.name, "prompt": job.prompt})

    def job(self, job_id: str) -> Job | None:
        """None where it is over, or was never added."""
        told = self._read(f"jobs/{job_id}.json")
        try:
            parsed = {} if told is None else json.loads(told)
            return Job(job_id, str(parsed["name"]), parsed["prompt"])
        except (ValueError, KeyError, TypeError):
            return None

    def open_jobs(self) -> list[str]:
        """Their ids, the oldest first. One request for a thousand."""
        return self._names("jobs")

    def result(self, job_id: str) -> Result | None:
        told = self._read(f"results/{job_id}.json")
        try:
            return None if told is None else Result.of_json(told)
        except (ValueError, KeyError, TypeError):
            return None  # cut off when it was written: the job is not over

    def keep(self, job_id: str, name: str, file: Path) -> None:
        """A file that the job saved. name: below results/<job>/"""
        self._fs.put_file(str(file), self._path(f"results/{job_id}/{name}"))

    def close(self, job_id: str, result: Result) -> None:
        self._write(f"results/{job_id}.json", result.to_json().encode())
        if result.end is not End.FAILED:
            self._remove(f"jobs/{job_id}.json")
        self._remove(f"paused/{job_id}")

    def open_again(self, job_id: str) -> None:
        """What failed is to be tried again."""
        self._remove(f"results/{job_id}.json")

    def pause(self, job_id: str, paused: bool) -> None:
        """So that a driver that begins anew knows it."""
        if paused:
            self._write(f"paused/{job_id}", b"paused")
        else:
            self._remove(f"paused/{job_id}")

    def paused(self) -> set[str]:
        return set(self._names("paused"))

    # -- inside ----------------------------------------------------------------------------------------

    def _names(self, folder: str) -> list[str]:
        try:
            found = self._fs.ls(self._path(folder), detail=True)
        except FileNotFoundError:
            return []
        found.sort(key=lambda one: str(next((one[at] for at in WHEN if one.get(at)), "")))
        names = (one["name"].rstrip("/").rpartition("/")[2] for one in found)
        return [name.removesuffix(".json") for name in names if name]

    def _put(self, name: str, told: dict[str, Any]) -> None:
        self._write(name, json.dumps(told).encode())

    def _read(self, name: str) -> bytes | None:
        try:
            return self._fs.cat_file(self._path(name), start=0, end=WHOLE)
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        self._fs.pipe_file(self._path(name), content)

    def _remove(self, name: str) -> None:
        try:
            self._fs.rm_file(self._path(name))
        except FileNotFoundError:
            return

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"
