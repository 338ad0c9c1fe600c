"""The jobs in SQLite. One thread owns the only connection; everybody else gets futures.

Reads queue behind writes, so whoever reads sees what was written before. A write that fails is logged and
its job goes on in memory; the thread survives.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from ..job.request import Request
from ..job.view import Change, JobView
from ..pictures.previews import Preview
from ..states import PauseReason, State
from ..telemetry import Telemetry
from ..workflow.kept import Kept
from . import telemetry_rows
from .migrations import migrations
from .rows import (
    COUNTED_BY,
    ENDED,
    FAILED,
    PAUSED_S,
    event_columns,
    event_json,
    failure_json,
    previews_column,
    previews_of,
    request_columns,
    request_of,
    view_columns,
    view_of,
)
from .starting import pause_interrupted

log = logging.getLogger(__name__)
T = TypeVar("T")
RETRY_S = 2.0
BUSY_S = 5.0  # how long another program may lock the database before a write is given up

ENDED_AT_ONCE = 5000


@dataclass(frozen=True)
class StoredJob:
    """A row of job_debug_state. `cursor` orders jobs by age; the secrets themselves are not stored."""

    cursor: int
    view: JobView
    request: Request
    secret_keys: list[str]


class Store:
    """Open with a path; raises OSError or sqlite3.Error when that is impossible.

    A corrupt file is set aside. While another program locks it, a database in memory stands in.
    """

    def __init__(self, path: Path) -> None:
        self.trouble: Callable[[str, str | None], None] = lambda job_id, told: None  # None: it is over
        self.trouble_at_start: str | None = None
        self.interrupted: list[str] = []  # ids of the jobs that an earlier server left unfinished
        self._failed: dict[str, list[Callable[[], object]]] = {}  # job_id -> writes to be tried again
        self._retry: threading.Timer | None = None
        self._suspect = path.with_name(path.name + ".suspect")  # there after a sign of corruption
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="midrun-store")
        self._thread.submit(self._open, path).result()

    def close(self) -> None:
        """Write what is queued, then close."""
        if self._retry is not None:
            self._retry.cancel()
        self._thread.submit(self._db.close)
        self._thread.shutdown()

    # -- writes: never wait ----------------------------------------------------------------------------

    def add(self, view: JobView, request: Request) -> None:
        self._write(view.job_id, lambda: self._insert(view, request))

    def save(self, view: JobView, change: Change | None) -> None:
        """Bring the job's row up to date, with a line of its audit trail."""

        def update() -> None:
            columns = view_columns(view)
            assignments = ", ".join(f"{name} = :{name}" for name in columns)
            sql = f"UPDATE job_debug_state SET {assignments} WHERE job_id = :job_id"
            if self._db.execute(sql, columns | {"job_id": view.job_id}).rowcount == 0:
                return  # deleted meanwhile
            for prompt_id in view.prompt_ids[1:]:
                run = {"job_id": view.job_id, "prompt_id": prompt_id}
                self._table("job_runs").insert(run, ignore=True)
            if change is not None:
                self._table("job_events").insert(event_columns(view.job_id, change))

        self._write(view.job_id, update, again=change is not None)

    def correct(self, view: JobView, measured: list[Telemetry]) -> None:
        """Bring the row of a job that an earlier server left to what its recording holds."""

        def update() -> None:
            columns = view_columns(view) | {"has_source": int(view.source_url is not None)}
            assignments = ", ".join(f"{name} = :{name}" for name in columns)
            sql = f"UPDATE job_debug_state SET {assignments} WHERE job_id = :job_id"
            self._db.execute(sql, columns | {"job_id": view.job_id})
            found = PauseReason.SERVER_RESTART.value
            newest = "SELECT MAX(id) FROM job_events WHERE job_id = ? AND kind = ?"
            at = [view.step, view.job_id, found]
            self._db.execute(f"UPDATE job_events SET step = ? WHERE id = ({newest})", at)
            telemetry_rows.insert(self._db, view.job_id, measured)
            if view.take is None and (view.step or not view.call):
                telemetry_rows.end_at(self._db, view.job_id, view.node_id, view.step)

        self._write(view.job_id, update)

    def save_kept(self, job_id: str, kept: Kept) -> None:
        """Not a change of the job that anybody sees."""
        sql = "UPDATE job_debug_state SET kept_json = ? WHERE job_id = ?"
        self._write(job_id, lambda: self._db.execute(sql, [json.dumps(kept.to_json()), job_id]))

    def save_request(self, job_id: str, request: Request) -> None:
        columns = request_columns(request)
        assignments = ", ".join(f"{name} = :{name}" for name in columns)
        sql = f"UPDATE job_debug_state SET {assignments}, paused_s = {PAUSED_S} WHERE job_id = :job_id"
        self._write(job_id, lambda: self._db.execute(sql, columns | {"job_id": job_id}))

    def save_previews(self, job_id: str, previews: list[Preview]) -> None:
        """Looking at a job changes nothing of it: `updated_at` stays what it was."""
        column = previews_column(previews)

        def update() -> None:
            where = "WHERE job_id = ?"
            found = self._db.execute(f"SELECT updated_at FROM job_debug_state {where}", [job_id]).fetchone()
            if found is None:
                return  # deleted meanwhile
            for name, value in (("intermediate_previews_json", column), ("updated_at", found[0])):
                self._db.execute(f"UPDATE job_debug_state SET {name} = ? {where}", [value, job_id])

        self._write(job_id, update)

    def blame(self, job_id: str, node_class: str | None, model_file: str | None) -> None:
        """What an aborted or failed job is counted under."""
        sql = "UPDATE job_debug_state SET node_class = ?, model_file = ? WHERE job_id = ?"
        self._write(job_id, lambda: self._db.execute(sql, [node_class, model_file, job_id]))

    def save_telemetry(self, job_id: str, rows: list[Telemetry]) -> None:
        self._write(job_id, lambda: telemetry_rows.insert(self._db, job_id, rows))

    def share_telemetry(self, job_id: str, with_id: str, node_id: str | None, step: int) -> None:
        """A fork has what was measured of its parent up to there."""
        self._write(with_id, lambda: telemetry_rows.share(self._db, job_id, with_id, node_id, step))

    def delete(self, job_id: str) -> None:
        def delete() -> None:
            for table in ("job_events", "job_runs", telemetry_rows.TABLE, "job_debug_state"):
                self._table(table).delete_where("job_id = ?", [job_id])

        self._write(job_id, delete)

    def written(self) -> Future[None]:
        """Done when everything given so far is written."""
        return self._read(lambda: None)

    # -- reads -----------------------------------------------------------------------------------------

    def prompt_ids(self) -> set[str]:
        """Of all runs of all jobs. Waits; for start-up."""
        return self._column("prompt_id", "job_runs").result()

    def job_ids(self) -> Future[set[str]]:
        return self._column("job_id", "job_debug_state")

    def left_off(self) -> list[str]:
        """Ids of all jobs that are paused or failed. Waits; for start-up."""
        sql = "SELECT job_id FROM job_debug_state WHERE state IN ('paused', 'failed')"
        return self._read(lambda: [row[0] for row in self._db.execute(sql).fetchall()]).result()

    def find(self, any_id: str) -> Future[StoredJob | None]:
        """By job_id, or by the prompt_id of any of its runs."""

        def find() -> StoredJob | None:
            sql = (
                f"SELECT *, {PAUSED_S} AS paused_until_now_s FROM job_debug_state WHERE job_id = :id "
                "OR job_id = (SELECT job_id FROM job_runs WHERE prompt_id = :id)"
            )
            rows = list(self._db.query(sql, {"id": any_id}))
            return self._stored(rows[0]) if rows else None

        return self._read(find)

    def page(self, states: frozenset[State], limit: int, before: int | None) -> Future[list[StoredJob]]:
        """Newest first; `states` empty means all."""

        def page() -> list[StoredJob]:
            where, params = ["1"], dict[str, Any]()
            if states:
                names = {f"state{i}": state.value for i, state in enumerate(sorted(states))}
                where.append(f"state IN ({', '.join(':' + name for name in names)})")
                params |= names
            if before is not None:
                where.append("id < :before")
                params["before"] = before
            sql = (
                f"SELECT *, {PAUSED_S} AS paused_until_now_s FROM job_debug_state "
                f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT :limit"
            )
            return [self._stored(row) for row in self._db.query(sql, params | {"limit": limit})]

        return self._read(page)

    def forks(self, parent_id: str) -> Future[list[StoredJob]]:
        """The oldest first."""
        jobs = f"SELECT *, {PAUSED_S} AS paused_until_now_s FROM job_debug_state"
        sql = f"{jobs} WHERE parent_id = ? ORDER BY id"
        return self._read(lambda: [self._stored(row) for row in list(self._db.query(sql, [parent_id]))])

    def previews(self, job_id: str) -> Future[list[Preview]]:
        def previews() -> list[Preview]:
            sql = "SELECT intermediate_previews_json AS told FROM job_debug_state WHERE job_id = ?"
            return [preview for row in self._db.query(sql, [job_id]) for preview in previews_of(row["told"])]

        return self._read(previews)

    def telemetry(self, job_id: str) -> Future[list[Telemetry]]:
        return self._read(lambda: telemetry_rows.read(self._db, job_id))

    def telemetry_at(self, job_id: str, node_id: str | None, step: int) -> Future[Telemetry | None]:
        return self._read(lambda: telemetry_rows.read_at(self._db, job_id, node_id, step))

    def failures(self, limit: int) -> Future[dict[str, Any]]:
        """Aborted and failed jobs, the newest first, and how many of all there are by what they share."""

        def failures() -> dict[str, Any]:
            sql = f"SELECT * {FAILED} ORDER BY updated_at DESC, id DESC LIMIT ?"
            counts = {
                name: {
                    row["value"]: row["jobs"]
                    for row in self._db.query(
                        f"SELECT {column} AS value, COUNT(*) AS jobs {FAILED} GROUP BY 1 ORDER BY 2 DESC"
                    )
                    if row["value"] is not None
                }
                for name, column in COUNTED_BY.items()
            }
            return {"failures": [failure_json(row) for row in self._db.query(sql, [limit])], "counts": counts}

        return self._read(failures)

    def counts(self) -> Future[dict[str, int]]:
        """State -> how many jobs are in it."""
        sql = "SELECT state, COUNT(*) FROM job_debug_state GROUP BY state"
        return self._read(lambda: dict(self._db.execute(sql).fetchall()))

    def ended(self, after: tuple[str, int] = ("", 0)) -> Future[list[tuple[str, int, str, str]]]:
        """(updated_at, cursor, job_id, state) of the next jobs that retention may touch, the oldest first.

        Some at a time, so that nobody waits long behind it. `after`: the first two of the last one before.
        """
        following = "AND (updated_at, id) > (?, ?) ORDER BY updated_at, id LIMIT ?"
        sql = f"SELECT updated_at, id, job_id, state {ENDED} {following}"
        return self._read(lambda: self._db.execute(sql, [*after, ENDED_AT_ONCE]).fetchall())

    def events(self, job_id: str) -> Future[list[dict[str, Any]]]:
        def events() -> list[dict[str, Any]]:
            sql = "SELECT * FROM job_events WHERE job_id = ? ORDER BY id"
            return [event_json(row) for row in self._db.query(sql, [job_id])]

        return self._read(events)

    # -- on the store's thread -------------------------------------------------------------------------

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

    def _insert(self, view: JobView, request: Request) -> None:
        row = {"job_id": view.job_id, "created_at": view.created_at}
        self._table("job_debug_state").insert(row | view_columns(view) | request_columns(request))
        self._table("job_runs").insert({"job_id": view.job_id, "prompt_id": view.prompt_ids[0]})

    def _table(self, name: str) -> Any:
        return self._db[name]

    def _stored(self, row: dict[str, Any]) -> StoredJob:
        runs = self._db.query("SELECT prompt_id FROM job_runs WHERE job_id = ? ORDER BY id", [row["job_id"]])
        view, request = view_of(row, tuple(run["prompt_id"] for run in runs)), request_of(row)
        measured = telemetry_rows.read_at(self._db, view.job_id, view.node_id, view.step)
        view = replace(view, origin=request.origin, telemetry=measured)
        return StoredJob(row["id"], view, request, json.loads(row["secret_keys_json"]))

    def _write(self, job_id: str, work: Callable[[], object], again: bool = True) -> None:
        """What the database does not take now is written later, in order, before what follows of that job.

        again: False for what the next write of the job tells as well
        """
        self._thread.submit(self._try, job_id, work, again)

    def _try(self, job_id: str, work: Callable[[], object], again: bool) -> None:
        try:
            with self._db.atomic():
                for earlier in self._failed.get(job_id, ()):
                    earlier()
                work()
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
            self._try(job_id, lambda: None, False)

    def _column(self, column: str, table: str) -> Future[set[str]]:
        return self._read(lambda: {row[column] for row in self._db.query(f"SELECT {column} FROM {table}")})

    def _read(self, work: Callable[[], T]) -> Future[T]:
        return self._thread.submit(work)


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
