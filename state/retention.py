"""Which recordings have to go: by age and by total size. On the recordings' writer thread.

What can still be resumed as it stands is never touched, nor are the kept results of aborted jobs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .disk import DiskRecordings
from .places import directory_name
from .store import Store
from .view import State

log = logging.getLogger(__name__)
SWEEP_EVERY_S = 60.0
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
    job_id: str
    state: State
    ended: float  # seconds since the epoch


class Retention:
    """`limits` are asked for at each sweep; `busy` tells whether a job was taken up again meanwhile."""

    def __init__(
        self,
        recordings: DiskRecordings,
        store: Store,
        limits: Callable[[], Limits],
        busy: Callable[[str], bool],
    ) -> None:
        self._recordings = recordings
        self._store = store
        self._limits = limits
        self._busy = busy

    def sweep(self) -> list[str]:
        """Delete what is too old or too much; the jobs whose recordings went."""
        limits = self._limits()
        sizes = {
            place.name: _size(place) for place in _directories(self._recordings.directory / "recordings")
        }
        total = sum(sizes.values())
        gone = []
        for candidate in self._candidates():
            name = directory_name(candidate.job_id)
            too_old = time.time() - candidate.ended > limits.age_s
            if name not in sizes or not (too_old or total > limits.size) or self._busy(candidate.job_id):
                continue
            self._recordings.forget(candidate.job_id)
            total -= sizes[name]
            gone.append(candidate.job_id)
        if gone:
            log.info("Midrun deleted %d old recordings; %.1f GB are left", len(gone), total / 1000**3)
        return gone

    def _candidates(self) -> list[_Candidate]:
        """In the order in which they go."""
        ended = [
            _Candidate(job_id, state, datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp())
            for job_id, state, at in self._store.ended().result()
        ]
        return sorted(ended, key=lambda candidate: (ORDER.index(candidate.state), candidate.ended))


def _directories(directory: Path) -> list[Path]:
    return [place for place in directory.iterdir() if place.is_dir()] if directory.is_dir() else []


def _size(directory: Path) -> int:
    total = 0
    for file in directory.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue  # written or deleted just now
    return total
