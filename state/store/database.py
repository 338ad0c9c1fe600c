"""The database file and the one thread that owns its connection; everybody else gets futures.

Reads queue behind writes, so whoever reads sees what was written before. A write that fails is logged and
tried again; the thread survives.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from .migrations import migrations
from .starting import pause_interrupted

log = logging.getLogger(__name__)
T = TypeVar("T")
RETRY_S = 2.0
BUSY_S = 5.0  # how long another program may lock the database before a write is given up


def extracted(column: str, path: str) -> str:
    """SQL for what is at that path of the JSON in a column; NULL where it is damaged, instead of an error."""
    return f"CASE WHEN json_valid({column}) THEN json_extract({column}, '{path}') END"


class DatabaseThread:
    """Open with a path; raises OSError or sqlite3.Error when that is impossible.

    A corrupt file is set aside. While another program locks it, a database in memory stands in.
    """

    def __init__(self, path: Path) -> None:
        self.trouble: Callable[[str, str | None], None] = lambda job_id, told: None  # None: it is over
        self.trouble_at_start: str | None = None
        self.interrupted: list[str] = []  # ids of the jobs that an earlier server left unfinished
        self._failed: dict[str, list[Callable[[Database], object]]] = {}  # job_id -> writes to be tried again
        self._retry: threading.Timer | None = None
        self._awaited = ""  # the run for which was waited
        self._suspect = path.with_name(path.name + ".suspect")  # there after a sign of corruption
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="midrun-store")
        self._thread.submit(self._open, path).result()

    def close(self) -> None:
        """Write what is queued, then close."""
        if self._retry is not None:
            self._retry.cancel()
        self._thread.submit(self._db.close)
        self._thread.shutdown()

    def read(self, work: Callable[[Database], T]) -> Future[T]:
        return self._thread.submit(lambda: work(self._db))

    def write(self, job_id: str, work: Callable[[Database], object], again: bool = True) -> None:
        """What the database does not take now is written later, in order, before what follows of that job.

        again: False for what the next write of the job tells as well
        """
        self._thread.submit(self._try, job_id, work, again)

    def await_written(self, prompt_id: str) -> None:
        """Once a run: what it goes by outlives a crash before anything is computed by it.

        On ComfyUI's worker thread. A database that is slow is not waited for any longer than BUSY_S.
        """
        if self._awaited != prompt_id:
            self._awaited = prompt_id
            with contextlib.suppress(TimeoutError, RuntimeError):  # or it is closed
                self.read(lambda db: None).result(BUSY_S)

    # -- on the thread ---------------------------------------------------------------------------------

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._use(_database(path))
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                self.trouble_at_start = f"another program locks {path}"
                self._use(Database(memory=True))
            elif isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
                raise
            else:
                self._db.close()
                log.error("Midrun: %s is corrupt (%s); kept as %s", path, error, _set_aside(path))
                self._use(_database(path))
        if self.trouble_at_start:
            log.warning("Midrun: %s; jobs do not survive a restart of this server", self.trouble_at_start)

    def _use(self, db: Database) -> None:
        self._db = db
        db.enable_wal()
        migrations.apply(db)
        with db.atomic():
            self.interrupted = pause_interrupted(db)
        for table in ("job_runs", "job_events"):
            db.execute(f"SELECT MAX(id) FROM {table}").fetchall()  # raises where it is corrupt
        db.execute("SELECT prompt_id FROM job_runs").fetchall()
        if self._suspect.exists():
            (told,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if told != "ok":
                raise sqlite3.DatabaseError(f"malformed: {told}")
            self._suspect.unlink()

    def _try(self, job_id: str, work: Callable[[Database], object], again: bool) -> None:
        try:
            with self._db.atomic():
                for earlier in self._failed.get(job_id, ()):
                    earlier(self._db)
                work(self._db)
        except (sqlite3.IntegrityError, ValueError, TypeError, OverflowError, RecursionError) as error:
            log.exception("Midrun could not store something of job %r", job_id)
            self.trouble(job_id, str(error))
        except sqlite3.Error as error:
            log.exception("Midrun could not store job %r; it goes on in memory", job_id)
            if "malformed" in str(error) or "corrupt" in str(error):
                self._suspect.touch()
            known = self._failed.setdefault(job_id, [])
            if again:
                known.append(work)
            self._try_again_later()
            self.trouble(job_id, str(error))
        else:
            if self._failed.pop(job_id, None) is not None:
                self.trouble(job_id, None)

    def _try_again_later(self) -> None:
        if self._retry is None or not self._retry.is_alive():
            self._retry = threading.Timer(RETRY_S, self._submit_failed)
            self._retry.daemon = True
            self._retry.start()

    def _submit_failed(self) -> None:
        with contextlib.suppress(RuntimeError):  # the store was closed
            self._thread.submit(self._try_failed)

    def _try_failed(self) -> None:
        self._retry = None
        for job_id in list(self._failed):
            self._try(job_id, lambda db: None, False)


def _database(path: Path) -> Database:
    return Database(sqlite3.connect(path, timeout=BUSY_S))


def _set_aside(path: Path) -> Path:
    """Rename the database and the files beside it; nothing is deleted."""
    kept = path.with_name(f"{path.stem}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    for suffix in ("", "-wal", "-shm", ".suspect"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(kept.with_name(kept.name + suffix))
    return kept
