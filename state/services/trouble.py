"""What keeps a job from being stored is told to it, and taken back once it is over. Any thread."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from functools import partial

from ..errors import UnknownJob
from ..job.warnings import NOT_IN_DATABASE, NOT_ON_DISK, Warning
from ..store.store import StoredJob
from .registry import Registry


class Trouble:
    """Of all jobs. What a job wrote last may come to the disk, or not, after the registry let go of it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        registry.store.database.trouble = self.in_database

    def in_database(self, job_id: str, told: str | None) -> None:
        """told: what is wrong; None: it is over"""
        self._tell(NOT_IN_DATABASE, job_id, told)

    def on_disk(self, job_id: str, told: str | None) -> None:
        self._tell(NOT_ON_DISK, job_id, told)

    def _tell(self, warning: Warning, job_id: str, told: str | None) -> None:
        job = self._registry.get(job_id)
        if job is not None and told is not None:
            job.warn(warning, told)
        elif job is not None:
            job.unwarn(warning)
        elif told is None:
            self._registry.store.find(job_id).add_done_callback(partial(self._take_back, warning))

    def _take_back(self, warning: Warning, found: Future[StoredJob | None]) -> None:
        if found.exception() is not None or (stored := found.result()) is None:
            return
        with contextlib.suppress(UnknownJob):  # deleted meanwhile
            known = self._registry.get(stored.view.job_id)
            job = known or self._registry.revive(stored)
            job.unwarn(warning)
            if known is None:
                self._registry.settle(job)
