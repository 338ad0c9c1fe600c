"""Puts together what this room does, and tells the rest of Midrun of it. At start-up."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from ..recording.disk import DiskRecordings
from ..services.control import Control
from ..services.exporting import Exporting
from ..services.importing import Importing
from ..services.settings import Settings
from .claims import Claims
from .draining import Draining
from .elsewhere import Elsewhere
from .mirror import Mirror
from .remote import Remote
from .retries import Retries
from .shared import Shared

log = logging.getLogger(__name__)
STORE, DRAIN = "MIDRUN_STORE", "MIDRUN_DRAIN_S"  # of the environment, which goes before the settings


class Sharing:
    """home: the directory of this server; later: runs a coroutine on the event loop; save: see Draining"""

    def __init__(
        self,
        control: Control,
        recordings: DiskRecordings,
        bundles: tuple[Exporting, Importing],
        around: Any,
        settings: Settings,
        home: Path,
        later: Callable[[Coroutine[Any, Any, None]], object],
        save: Callable[[float], None],
    ) -> None:
        registry, (exporting, importing) = control.registry, bundles
        self.retries = Retries(registry, recordings, around, settings.resumes_retries, later)
        registry.listen(self.retries.on_change)
        told = settings.read().get("Midrun.Store")
        url = os.environ.get(STORE) or (told if isinstance(told, str) else "") or None
        self.mirror = self._mirror(url, recordings, exporting, home) if url else None
        if self.mirror is not None:
            registry.listen(self.mirror.on_change)
            drop = recordings.dropped
            recordings.dropped = lambda job_id: (drop(job_id), self._deleted(job_id))[0]
            self.retries.elsewhere = Elsewhere(self.mirror, importing, recordings, around)
        self.draining = Draining(registry, self.mirror, save)
        self.shared = Shared(url, self.mirror, registry, importing, self.draining)
        registry.may_run = self.shared.may_run
        self._settings = settings

    @property
    def drain_s(self) -> float:
        """Seconds that a SIGTERM leaves for a drain; 0: a SIGTERM drains nothing."""
        told = os.environ.get(DRAIN) or self._settings.read().get("Midrun.DrainSeconds") or 0
        try:
            return min(3600.0, max(0.0, float(told)))
        except (TypeError, ValueError):
            return 0.0

    def close(self) -> None:
        """The server ends in order."""
        if self.mirror is not None:
            self.mirror.flush(LAST_S)
            self.mirror.end()

    def _mirror(self, url: str, recordings: DiskRecordings, exporting: Exporting, home: Path) -> Mirror:
        mirror = Mirror(lambda: Remote(url), Claims(_id_of(home)), recordings, exporting)
        threading.Thread(target=mirror.try_to_open, name="midrun-store-opening", daemon=True).start()
        return mirror

    def _deleted(self, job_id: str) -> None:
        if self.mirror is not None:
            self.mirror.deleted(job_id)


LAST_S = 3.0  # for what the store does not have yet


def _id_of(home: Path) -> str:
    """Of the directory, which outlives this process. Raises OSError."""
    file = home / "server-id"
    if not file.exists():
        file.write_text(uuid.uuid4().hex, encoding="ascii")
    return file.read_text(encoding="ascii").strip()
