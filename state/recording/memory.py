"""Recordings in host memory, which end with this process: for tests, and for what is only tried."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..server_directory import directory_name
from .item_file import size_of
from .items import Remembered, Rewound
from .recording import Call, Recording, newest_of
from .shelf import MemoryShelf
from .shelved import ShelvedRecording, is_within

MemoryRecording = ShelvedRecording[MemoryShelf]


def in_memory() -> MemoryRecording:
    """A recording of nothing yet."""
    return ShelvedRecording(MemoryShelf())


class MemoryRecordings:
    """Recordings that live as long as their job and the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[Call, MemoryRecording]] = {}

    def flush(self, timeout_s: float | None = None) -> None:
        pass

    def open(self, job_id: str, node_id: str, ordinal: int) -> MemoryRecording:
        with self._lock:
            calls = self._jobs.setdefault(job_id, {})
            return calls.setdefault((directory_name(node_id), ordinal), in_memory())

    def calls(self, job_id: str) -> dict[Call, Recording]:
        with self._lock:
            return dict(self._jobs.get(job_id, {}))

    def share(self, job_id: str, with_id: str, calls: dict[Call, Rewound | None]) -> None:
        with self._lock:
            for call, found in self._jobs.get(job_id, {}).items():
                if call in calls:
                    items = found.shelf.items.items()
                    shared = {name: item for name, item in items if is_within(name, calls[call])}
                    self._jobs.setdefault(with_id, {})[call] = ShelvedRecording(MemoryShelf(shared))

    def find(self, job_id: str, name: str, iteration: int | None = None) -> Recording | None:
        found = newest_of(self.calls(job_id), name, iteration)
        return None if found is None else found[1]

    def exists(self, job_id: str) -> bool:
        with self._lock:
            return job_id in self._jobs

    def remembered_elsewhere(self, job_id: str, node_id: str, ordinal: int) -> int:
        own = directory_name(node_id), ordinal
        with self._lock:
            others = [found for call, found in self._jobs.get(job_id, {}).items() if call != own]
        kept = [item for found in others for item in found.shelf.items.values()]
        return sum(size_of(item) for item in kept if isinstance(item, Remembered))

    def close(self, job_id: str) -> None:
        self.drop(job_id)

    def set_aside(self, job_id: str) -> None:
        self.drop(job_id)

    def drop(self, job_id: str, then: Callable[[], None] = lambda: None) -> None:
        with self._lock:
            self._jobs.pop(job_id, None)
        then()
