"""The jobs in SQLite: what is stored of them and asked of them. Any thread; no method waits but two.

What is done to the database is done on its own thread (database.py), in order.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from ..job.request import Request
from ..job.view import Change, JobView, Moment
from ..ledger import Entry, Row
from ..pictures.previews import Preview
from ..states import PauseReason, State
from ..telemetry import Telemetry
from ..workflow.kept import Kept
from . import ledger_figures, ledger_rows, telemetry_rows
from .database import DatabaseThread, extracted
from .failures import failures
from .rows import (
    ENDED,
    PAUSED_S,
    event_columns,
    event_json,
    previews_column,
    previews_of,
    request_columns,
    request_of,
    view_columns,
    view_of,
)

ENDED_AT_ONCE = 5000
RELATED = {"parent": "parent_id", "grid": extracted("grid_json", "$.grid")}


@dataclass(frozen=True)
class StoredJob:
    """A row of job_debug_state. `cursor` orders jobs by age; the secrets themselves are not stored."""

    cursor: int
    view: JobView
    request: Request
    secret_keys: list[str]


@dataclass(frozen=True)
class WholeJob:
    """All that the database has of a job."""

    view: JobView
    request: Request
    events: list[Change]
    telemetry: list[Telemetry]
    previews: list[Preview]


class Store:
    """Open with a path; raises OSError or sqlite3.Error when that is impossible."""

    def __init__(self, path: Path) -> None:
        self.database = DatabaseThread(path)

    def close(self) -> None:
        """Write what is queued, then close."""
        self.database.close()

    # -- writes: never wait ----------------------------------------------------------------------------

    def add(self, view: JobView, request: Request) -> None:
        self.database.write(view.job_id, lambda db: _insert(db, view, request))

    def add_whole(self, stored: WholeJob) -> Future[None]:
        """A job with its past, all or nothing. Raises sqlite3.Error."""

        def add(db: Database) -> None:
            with db.atomic():
                job_id = stored.view.job_id
                _insert(db, stored.view, stored.request)
                for change in stored.events:
                    db.table("job_events").insert(event_columns(job_id, change))
                telemetry_rows.insert(db, job_id, stored.telemetry)
                sql = "UPDATE job_debug_state SET intermediate_previews_json = ? WHERE job_id = ?"
                db.execute(sql, [previews_column(stored.previews), job_id])

        return self.database.read(add)

    def save(self, view: JobView, change: Change | None) -> None:
        """Bring the job's row up to date, with a line of its audit trail."""

        def update(db: Database) -> None:
            columns = view_columns(view)
            assignments = ", ".join(f"{name} = :{name}" for name in columns)
            sql = f"UPDATE job_debug_state SET {assignments} WHERE job_id = :job_id"
            if db.execute(sql, columns | {"job_id": view.job_id}).rowcount == 0:
                return  # deleted meanwhile
            for prompt_id in view.prompt_ids[1:]:
                run = {"job_id": view.job_id, "prompt_id": prompt_id}
                db.table("job_runs").insert(run, ignore=True)
            if change is not None:
                db.table("job_events").insert(event_columns(view.job_id, change))
                ledger_rows.changed(db, view, change)

        self.database.write(view.job_id, update, again=change is not None)

    def correct(self, view: JobView, measured: list[Telemetry]) -> None:
        """Bring the row of a job that an earlier server left to what its recording holds."""

        def update(db: Database) -> None:
            columns = view_columns(view) | {"has_source": int(view.source_url is not None)}
            assignments = ", ".join(f"{name} = :{name}" for name in columns)
            sql = f"UPDATE job_debug_state SET {assignments} WHERE job_id = :job_id"
            db.execute(sql, columns | {"job_id": view.job_id})
            found = PauseReason.SERVER_RESTART.value
            newest = "SELECT MAX(id) FROM job_events WHERE job_id = ? AND kind = ?"
            at = [view.node_id, view.step, view.job_id, found]
            db.execute(f"UPDATE job_events SET node_id = ?, step = ? WHERE id = ({newest})", at)
            telemetry_rows.insert(db, view.job_id, measured)
            if view.take is None and (view.step or not view.call):
                telemetry_rows.end_at(db, view.job_id, view.node_id, view.step)

        self.database.write(view.job_id, update)

    def save_kept(self, job_id: str, kept: Kept) -> None:
        """Not a change of the job that anybody sees."""
        sql = "UPDATE job_debug_state SET kept_json = ? WHERE job_id = ?"
        self.database.write(job_id, lambda db: db.execute(sql, [json.dumps(kept.to_json()), job_id]))

    def save_request(self, job_id: str, request: Request) -> None:
        columns = request_columns(request)
        assignments = ", ".join(f"{name} = :{name}" for name in columns)
        sql = f"UPDATE job_debug_state SET {assignments}, paused_s = {PAUSED_S} WHERE job_id = :job_id"
        self.database.write(job_id, lambda db: db.execute(sql, columns | {"job_id": job_id}))

    def save_previews(self, job_id: str, previews: list[Preview]) -> None:
        """Looking at a job changes nothing of it: `updated_at` stays what it was."""
        column = previews_column(previews)

        def update(db: Database) -> None:
            where = "WHERE job_id = ?"
            found = db.execute(f"SELECT updated_at FROM job_debug_state {where}", [job_id]).fetchone()
            if found is None:
                return  # deleted meanwhile
            for name, value in (("intermediate_previews_json", column), ("updated_at", found[0])):
                db.execute(f"UPDATE job_debug_state SET {name} = ? {where}", [value, job_id])

        self.database.write(job_id, update)

    def record_failure_cause(self, job_id: str, node_class: str | None, model_file: str | None) -> None:
        """What an aborted or failed job is counted under."""
        sql = "UPDATE job_debug_state SET node_class = ?, model_file = ? WHERE job_id = ?"
        self.database.write(job_id, lambda db: db.execute(sql, [node_class, model_file, job_id]))

    def save_measured(self, job_id: str, rows: list[Telemetry], entries: list[Entry]) -> None:
        """Of its steps, and of its evaluations for the ledger."""

        def save(db: Database) -> None:
            telemetry_rows.insert(db, job_id, rows)
            ledger_rows.enter(db, job_id, entries)

        self.database.write(job_id, save)

    def share_measured(self, job_id: str, with_id: str, at: Moment) -> None:
        """A fork has what was measured of its parent up to there."""

        def share(db: Database) -> None:
            telemetry_rows.share(db, job_id, with_id, at.node_id, at.step)
            ledger_rows.share(db, job_id, with_id, at)

        self.database.write(with_id, share)

    def delete(self, job_id: str) -> None:
        def delete(db: Database) -> None:
            ledger_rows.deleted(db, job_id)
            for table in ("job_events", "job_runs", telemetry_rows.TABLE, "job_debug_state"):
                db.table(table).delete_where("job_id = ?", [job_id])

        self.database.write(job_id, delete)

    def written(self) -> Future[None]:
        """Done when everything given so far is written."""
        return self.database.read(lambda db: None)

    # -- reads -----------------------------------------------------------------------------------------

    def prompt_ids(self) -> set[str]:
        """Of all runs of all jobs. Waits; for start-up."""
        return self._column("prompt_id", "job_runs").result()

    def job_ids(self) -> Future[set[str]]:
        return self._column("job_id", "job_debug_state")

    def left_off(self) -> list[str]:
        """Ids of all jobs that are paused or failed. Waits; for start-up."""
        sql = "SELECT job_id FROM job_debug_state WHERE state IN ('paused', 'failed')"
        return self.database.read(lambda db: [row[0] for row in db.execute(sql).fetchall()]).result()

    def find(self, any_id: str) -> Future[StoredJob | None]:
        """By job_id, or by the prompt_id of any of its runs."""

        def find(db: Database) -> StoredJob | None:
            sql = (
                f"SELECT *, {PAUSED_S} AS paused_until_now_s FROM job_debug_state WHERE job_id = :id "
                "OR job_id = (SELECT job_id FROM job_runs WHERE prompt_id = :id)"
            )
            rows = list(db.query(sql, {"id": any_id}))
            return _stored(db, rows[0]) if rows else None

        return self.database.read(find)

    def page(self, states: frozenset[State], limit: int, before: int | None) -> Future[list[StoredJob]]:
        """Newest first; `states` empty means all."""

        def page(db: Database) -> list[StoredJob]:
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
            return [_stored(db, row) for row in db.query(sql, params | {"limit": limit})]

        return self.database.read(page)

    def related(self, how: str, name: str) -> Future[list[StoredJob]]:
        """The oldest first. how: one of RELATED"""
        jobs = f"SELECT *, {PAUSED_S} AS paused_until_now_s FROM job_debug_state"
        sql = f"{jobs} WHERE {RELATED[how]} = ? ORDER BY id"
        return self.database.read(lambda db: [_stored(db, row) for row in list(db.query(sql, [name]))])

    def previews(self, job_id: str) -> Future[list[Preview]]:
        sql = "SELECT intermediate_previews_json AS told FROM job_debug_state WHERE job_id = ?"
        read = lambda db: [one for row in db.query(sql, [job_id]) for one in previews_of(row["told"])]  # noqa: E731
        return self.database.read(read)

    def telemetry(self, job_id: str) -> Future[list[Telemetry]]:
        return self.database.read(lambda db: telemetry_rows.read(db, job_id))

    def telemetry_at(self, job_id: str, node_id: str | None, step: int) -> Future[Telemetry | None]:
        return self.database.read(lambda db: telemetry_rows.read_at(db, job_id, node_id, step))

    def failures(self, limit: int) -> Future[dict[str, Any]]:
        """Aborted and failed jobs, the newest first, and how many of all there are by what they share."""
        return self.database.read(lambda db: failures(db, limit))

    def ledger(self) -> Future[list[Row]]:
        """What became of the GPU's time."""
        return self.database.read(ledger_figures.rows)

    def spared_s(self) -> Future[float]:
        """Seconds that no model had to work."""
        return self.database.read(ledger_figures.spared_s)

    def counts(self) -> Future[dict[str, int]]:
        """State -> how many jobs are in it."""
        sql = "SELECT state, COUNT(*) FROM job_debug_state GROUP BY state"
        return self.database.read(lambda db: dict(db.execute(sql).fetchall()))

    def ended(self, after: tuple[str, int] = ("", 0)) -> Future[list[tuple[str, int, str, str]]]:
        """(updated_at, cursor, job_id, state) of the next jobs that retention may touch, the oldest first.

        Some at a time, so that nobody waits long behind it. `after`: the first two of the last one before.
        """
        following = "AND (updated_at, id) > (?, ?) ORDER BY updated_at, id LIMIT ?"
        sql = f"SELECT updated_at, id, job_id, state {ENDED} {following}"
        return self.database.read(lambda db: db.execute(sql, [*after, ENDED_AT_ONCE]).fetchall())

    def events(self, job_id: str) -> Future[list[dict[str, Any]]]:
        sql = "SELECT * FROM job_events WHERE job_id = ? ORDER BY id"
        return self.database.read(lambda db: [event_json(row) for row in db.query(sql, [job_id])])

    def _column(self, column: str, table: str) -> Future[set[str]]:
        sql = f"SELECT {column} FROM {table}"
        return self.database.read(lambda db: {row[0] for row in db.execute(sql).fetchall()})


def _insert(db: Database, view: JobView, request: Request) -> None:
    row = {"job_id": view.job_id, "created_at": view.created_at}
    db.table("job_debug_state").insert(row | view_columns(view) | request_columns(request))
    db.table("job_runs").insert({"job_id": view.job_id, "prompt_id": view.prompt_ids[0]})


def _stored(db: Database, row: dict[str, Any]) -> StoredJob:
    runs = db.query("SELECT prompt_id FROM job_runs WHERE job_id = ? ORDER BY id", [row["job_id"]])
    view, request = view_of(row, tuple(run["prompt_id"] for run in runs)), request_of(row)
    measured = telemetry_rows.read_at(db, view.job_id, view.node_id, view.step)
    view = replace(view, origin=request.origin, telemetry=measured)
    return StoredJob(row["id"], view, request, json.loads(row["secret_keys_json"]))
