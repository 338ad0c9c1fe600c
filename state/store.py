"""The jobs in SQLite. One thread owns the only connection; everybody else gets futures.

Reads queue behind writes, so whoever reads sees what was written before. A write that fails is logged and
its job goes on in memory; the thread survives.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from .job import Request
from .migrations import migrations
from .view import AbortMode, Change, JobError, JobView, PauseReason, QueuePolicy, State, Timing

log = logging.getLogger(__name__)
T = TypeVar("T")

# A paused job's row is not written while time goes by, so what was written last is told from updated_at.
_PAUSED_S = (
    "paused_s + CASE state WHEN 'paused' THEN "
    "max(0, (julianday('now') - julianday(updated_at)) * 86400) ELSE 0 END"
)

_INTERRUPTED = (State.QUEUED.value, State.RUNNING.value, State.PAUSING.value)


@dataclass(frozen=True)
class StoredJob:
    """A row of job_debug_state. `cursor` orders jobs by age."""

    cursor: int
    view: JobView
    request: Request


class Store:
    """Open with a path; raises OSError or sqlite3.Error when that is impossible."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="midrun-store")
        self._db: Database = self._thread.submit(self._open, path).result()

    def close(self) -> None:
        """Write what is queued, then close."""
        self._thread.submit(self._db.close)
        self._thread.shutdown()

    # -- writes: never wait ----------------------------------------------------------------------------

    def add(self, view: JobView, request: Request) -> None:
        def insert() -> None:
            row = {"job_id": view.job_id, "created_at": view.created_at}
            row |= _view_columns(view) | _request_columns(request)
            self._table("job_debug_state").insert(row)
            self._table("job_runs").insert({"job_id": view.job_id, "prompt_id": view.prompt_ids[0]})

        self._write(view.job_id, insert)

    def save(self, view: JobView, change: Change | None) -> None:
        """Bring the job's row up to date, with a line of its audit trail."""

        def update() -> None:
            columns = _view_columns(view)
            assignments = ", ".join(f"{name} = :{name}" for name in columns)
            sql = f"UPDATE job_debug_state SET {assignments} WHERE job_id = :job_id"
            if self._db.execute(sql, columns | {"job_id": view.job_id}).rowcount == 0:
                return  # deleted meanwhile
            for prompt_id in view.prompt_ids[1:]:
                run = {"job_id": view.job_id, "prompt_id": prompt_id}
                self._table("job_runs").insert(run, ignore=True)
            if change is not None:
                self._table("job_events").insert(_event_columns(view.job_id, change))

        self._write(view.job_id, update)

    def save_request(self, job_id: str, request: Request) -> None:
        sql = (
            "UPDATE job_debug_state SET prompt_json = :prompt_json, extra_data_json = :extra_data_json, "
            f"outputs_json = :outputs_json, paused_s = {_PAUSED_S} WHERE job_id = :job_id"
        )
        self._write(job_id, lambda: self._db.execute(sql, _request_columns(request) | {"job_id": job_id}))

    def delete(self, job_id: str) -> None:
        def delete() -> None:
            for table in ("job_events", "job_runs", "job_debug_state"):
                self._table(table).delete_where("job_id = ?", [job_id])

        self._write(job_id, delete)

    # -- reads -----------------------------------------------------------------------------------------

    def prompt_ids(self) -> set[str]:
        """Of all runs of all jobs. Waits; for start-up."""

        def prompt_ids() -> set[str]:
            return {row["prompt_id"] for row in self._db.query("SELECT prompt_id FROM job_runs")}

        return self._read(prompt_ids).result()

    def find(self, any_id: str) -> Future[StoredJob | None]:
        """By job_id, or by the prompt_id of any of its runs."""

        def find() -> StoredJob | None:
            sql = (
                f"SELECT *, {_PAUSED_S} AS paused_until_now_s FROM job_debug_state WHERE job_id = :id "
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
                f"SELECT *, {_PAUSED_S} AS paused_until_now_s FROM job_debug_state "
                f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT :limit"
            )
            return [self._stored(row) for row in self._db.query(sql, params | {"limit": limit})]

        return self._read(page)

    def events(self, job_id: str) -> Future[list[dict[str, Any]]]:
        def events() -> list[dict[str, Any]]:
            sql = "SELECT * FROM job_events WHERE job_id = ? ORDER BY id"
            return [_event_json(row) for row in self._db.query(sql, [job_id])]

        return self._read(events)

    # -- on the store's thread -------------------------------------------------------------------------

    def _open(self, path: Path) -> Database:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = Database(path)
        db.enable_wal()
        migrations.apply(db)
        self._db = db
        with db.atomic():
            self._pause_interrupted()
        return db

    def _pause_interrupted(self) -> None:
        """Jobs that a dead server left unfinished are paused: their next run is up to the user."""
        marks = ", ".join("?" * len(_INTERRUPTED))
        where = f"FROM job_debug_state WHERE state IN ({marks})"
        at = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
        reason = PauseReason.SERVER_RESTART.value
        self._db.execute(
            "INSERT INTO job_events (job_id, kind, state_from, state_to, step, at, detail_json) "
            f"SELECT job_id, ?, state, 'paused', step, {at}, '{{}}' {where}",
            [reason, *_INTERRUPTED],
        )
        self._db.execute(
            "UPDATE job_debug_state SET state = 'paused', held = 0, pause_reason = ?, gpu_released = 1, "
            f"paused_at_step = step WHERE state IN ({marks})",
            [reason, *_INTERRUPTED],
        )
        self._db.execute(
            f"UPDATE job_debug_state SET held = 0, gpu_released = 1, paused_s = {_PAUSED_S} WHERE held = 1"
        )

    def _table(self, name: str) -> Any:
        return self._db[name]

    def _stored(self, row: dict[str, Any]) -> StoredJob:
        runs = self._db.query("SELECT prompt_id FROM job_runs WHERE job_id = ? ORDER BY id", [row["job_id"]])
        return StoredJob(row["id"], _view(row, tuple(run["prompt_id"] for run in runs)), _request(row))

    def _write(self, job_id: str, work: Callable[[], object]) -> None:
        def guarded() -> None:
            try:
                with self._db.atomic():
                    work()
            except (sqlite3.Error, ValueError, TypeError, OverflowError, RecursionError):
                log.exception("Midrun could not store job %r; it goes on in memory", job_id)

        self._thread.submit(guarded)

    def _read(self, work: Callable[[], T]) -> Future[T]:
        return self._thread.submit(work)


def _view_columns(view: JobView) -> dict[str, Any]:
    return {
        "state": view.state.value,
        "held": int(view.held),
        "pause_reason": view.pause_reason.value if view.pause_reason else None,
        "node_id": view.node_id,
        "step": view.step,
        "total_steps": view.total_steps,
        "evaluations": view.evaluations,
        "sigma": view.sigma,
        "paused_at_step": view.paused_at_step,
        "modified_params_json": json.dumps(view.modified_params),
        "abort_reason": view.abort_reason,
        "abort_mode": view.abort_mode.value if view.abort_mode else None,
        "error_json": json.dumps(view.error.to_json()) if view.error else None,
        "gpu_released": int(view.gpu_released),
        "queue_policy": view.queue_policy.value,
        "active_s": view.timing.active_s,
        "paused_s": view.timing.paused_s,
        "mean_step_s": view.timing.mean_step_s,
        "updated_at": view.updated_at,
    }


def _request_columns(request: Request) -> dict[str, Any]:
    return {
        "prompt_json": json.dumps(request.prompt),
        "extra_data_json": json.dumps(request.extra_data),
        "outputs_json": None if request.outputs is None else json.dumps(request.outputs),
    }


def _event_columns(job_id: str, change: Change) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "kind": change.kind,
        "state_from": change.state_from.value,
        "state_to": change.state_to.value,
        "step": change.step,
        "at": change.at,
        "detail_json": json.dumps(change.detail),
    }


def _event_json(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("kind", "state_from", "state_to", "step", "at")
    return {name: row[name] for name in kept} | {"detail": json.loads(row["detail_json"])}


def _view(row: dict[str, Any], prompt_ids: tuple[str, ...]) -> JobView:
    error = json.loads(row["error_json"]) if row["error_json"] else None
    return JobView(
        job_id=row["job_id"],
        prompt_ids=prompt_ids or (row["job_id"],),
        state=State(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        held=bool(row["held"]),
        pause_reason=PauseReason(row["pause_reason"]) if row["pause_reason"] else None,
        node_id=row["node_id"],
        step=row["step"],
        total_steps=row["total_steps"],
        evaluations=row["evaluations"],
        sigma=row["sigma"],
        paused_at_step=row["paused_at_step"],
        modified_params=json.loads(row["modified_params_json"]),
        abort_reason=row["abort_reason"],
        abort_mode=AbortMode(row["abort_mode"]) if row["abort_mode"] else None,
        error=JobError(**error) if error else None,
        gpu_released=bool(row["gpu_released"]),
        queue_policy=QueuePolicy(row["queue_policy"]),
        timing=Timing(row["active_s"], row["paused_until_now_s"], row["mean_step_s"]),
    )


def _request(row: dict[str, Any]) -> Request:
    outputs = json.loads(row["outputs_json"]) if row["outputs_json"] else None
    prompt, extra = json.loads(row["prompt_json"]), json.loads(row["extra_data_json"])
    return Request(prompt, extra, None if outputs is None else tuple(outputs))
