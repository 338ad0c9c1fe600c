"""Which recordings have to go: by age and by total size. On a thread of its own.

What can still be resumed as it stands is never touched, nor are the kept results of aborted jobs.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..job.job import Job
from ..job.transitions import ENDED
from ..job.view import Change, JobView
from ..recording.disk import DiskRecordings
from ..server_directory import directory_name
from ..states import State
from ..store.store import Store
from .preview_files import PreviewFiles
from .registry import Registry

log = logging.getLogger(__name__)
SWEEP_EVERY_S = 60.0
PICTURES_SHARE = 10  # previews may take a tenth of what recordings may
ORPHANED_S = 86400.0  # a directory without a job is left alone for so long
ORDER = (State.COMPLETED, State.ABORTED, State.FAILED)  # the first go first


@dataclass(frozen=True)
class Limits:
    """Of all recordings together."""

    size: int = 20 * 1000**3  # bytes
    age_s: float = 30 * 86400.0


def limits_from(settings: Any) -> Limits:
    """ComfyUI's settings; what is missing or makes no sense is the default."""

    def positive(name: str, unit: float, default: float) -> float:
        value = settings.get(name) if isinstance(settings, dict) else None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
            return default
        return value * unit

    default = Limits()
    size = positive("Midrun.RecordingsSize", 1000**3, default.size)
    return Limits(int(size), positive("Midrun.RecordingsAge", 86400.0, default.age_s))


@dataclass(frozen=True)
class _Candidate:
    name: str  # of its directory
    job_id: str | None
    ended: float  # seconds since the epoch


class Retention:
    """`limits` are asked for at each sweep; `busy` tells whether a job was taken up again meanwhile.

    `keep` is called before a job's recording goes, for what else is to be kept of it; False spares it.
    """

    def __init__(
        self,
        recordings: DiskRecordings,
        store: Store,
        limits: Callable[[], Limits],
        busy: Callable[[str], bool],
        pictures: PreviewFiles | None = None,
        keep: Callable[[str], bool] = lambda job_id: True,
    ) -> None:
        self._keep = keep
        self._pictures = pictures
        self._recordings = recordings
        self._store = store
        self._limits = limits
        self._busy = busy

    def sweep(self) -> list[str]:
        """Delete what is too old or too much; the names of the directories that went."""
        limits = self._limits()
        places = _directories(self._recordings.directory / "recordings")
        sizes = {place.name: _size(place) for place in places}
        total = sum(sizes.values())
        gone = []
        for candidate in (*self._orphans(places), *self._candidates(sizes)):
            size = sizes.get(candidate.name)
            too_old = time.time() - candidate.ended > limits.age_s
            if size is None or not (too_old or total > limits.size):
                continue
            job_id = candidate.job_id
            if job_id is not None and (self._busy(job_id) or not self._keep(job_id)):
                continue
            self._recordings.forget(candidate.name, job_id)
            total -= size
            gone.append(candidate.name)
        if self._pictures is not None:
            self._sweep_pictures(self._pictures, limits.size // PICTURES_SHARE)
        if gone:
            log.info("Midrun deleted %d old recordings; %.1f GB are left", len(gone), total / 1000**3)
        return gone

    def _sweep_pictures(self, pictures: PreviewFiles, limit: int) -> None:
        """Previews outlive their recordings, until all together are too many."""
        places = _directories(pictures.directory)
        sizes = {place.name: _size(place) for place in places}
        total = sum(sizes.values())
        for candidate in (*self._orphans(places), *self._candidates(sizes)):
            orphaned = candidate.job_id is None
            if orphaned or (total > limit and not self._busy(candidate.job_id or "")):
                pictures.forget(candidate.name, candidate.job_id)
                total -= sizes[candidate.name]

    def _orphans(self, places: list[Path]) -> list[_Candidate]:
        """Directories that no job has, the oldest first: their database was set aside.

        None while another program locks the database, which knows whose they are.
        """
        if self._store.database.trouble_at_start:
            return []
        known = {directory_name(job_id) for job_id in self._store.job_ids().result()}
        found = [(_modified(place), place.name) for place in places if place.name not in known]
        return [_Candidate(name, None, at) for at, name in sorted(found) if time.time() - at > ORPHANED_S]

    def _candidates(self, names: Container[str]) -> list[_Candidate]:
        """Jobs that have a directory, in the order in which they go."""
        ended = [row for row in self._all_ended() if directory_name(row[2]) in names]
        ended.sort(key=lambda row: (ORDER.index(State(row[3])), row[0]))
        return [_Candidate(directory_name(job_id), job_id, _timestamp(at)) for at, _, job_id, _ in ended]

    def _all_ended(self) -> Iterator[tuple[str, int, str, str]]:
        some = self._store.ended().result()
        while some:
            yield from some
            some = self._store.ended(some[-1][:2]).result()


def usage(directory: Path) -> dict[str, int]:
    """Bytes that recordings and kept results take below it, and bytes that are free on its disk."""
    used = sum(_size(place) for place in _directories(directory))
    return {"bytes": used, "free": shutil.disk_usage(directory).free}


def _timestamp(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def _modified(directory: Path) -> float:
    try:
        return directory.stat().st_mtime
    except OSError:
        return time.time()


def _directories(directory: Path) -> list[Path]:
    try:
        return [place for place in directory.iterdir() if place.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _size(directory: Path) -> int:
    """Bytes of its files; of one that several jobs share, a share."""
    total = 0.0
    for place, _, names in os.walk(directory):  # which, unlike rglob, does not mind what is deleted just now
        for name in names:
            with contextlib.suppress(OSError):
                found = os.stat(os.path.join(place, name))
                total += found.st_size / max(1, found.st_nlink)
    return round(total)


class Sweeper:
    """Has old recordings go at the start and whenever a job ends, but not more than once a minute."""

    def __init__(
        self,
        recordings: DiskRecordings,
        registry: Registry,
        files: PreviewFiles,
        limits: Callable[[], Limits],
        keep: Callable[[str], bool],
    ) -> None:
        """`limits` and `keep`: as of a Retention."""
        self._registry = registry
        self._retention = Retention(recordings, registry.store, limits, self._is_busy, files, keep)
        self._thread = ThreadPoolExecutor(1, "midrun-retention")
        self._swept = time.monotonic()

    def on_change(self, job: Job, view: JobView, change: Change | None) -> None:
        if change is not None and view.state in ENDED and time.monotonic() - self._swept >= SWEEP_EVERY_S:
            self._swept = time.monotonic()
            self.sweep_soon()

    def sweep_soon(self) -> None:
        self._thread.submit(self._sweep)

    def _is_busy(self, job_id: str) -> bool:
        job = self._registry.get(job_id)
        return job is not None and (job.runs.active or job.state not in (*ENDED, State.FAILED))

    def _sweep(self) -> None:
        try:
            self._retention.sweep()
        except (OSError, sqlite3.Error):
            log.exception("Midrun could not look for old recordings")
