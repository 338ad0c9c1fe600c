"""The ledger's books: which evaluations a job holds, and what became of them. On the store's thread.

Nothing here ever deletes seconds of an evaluation.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import datetime, timezone
from itertools import groupby
from typing import Any

from sqlite_utils import Database

from ..job.view import Change, JobView, Moment
from ..ledger import DELETED, LOST, NO_REASON, REWOUND, Answered, Entry, Replayed, Wasted
from ..states import AbortMode, State
from ..workflow import graph
from ..workflow.verdicts import in_graph
from .ledger_stretches import cut, drop, held, hold, is_alone, up_to, write

TABLES = ("ledger_jobs", "ledger_stretches", "ledger_holders", "ledger_others")


def enter(db: Database, job_id: str, entries: Iterable[Entry]) -> None:
    """In the order in which it happened."""
    for (kind, node_id, call, _), some in groupby(enumerate(entries), _together):
        run = [entry for _, entry in some]
        if not _known(db, job_id, node_id):
            return  # deleted meanwhile
        if kind is Answered:
            answered = [entry for entry in run if isinstance(entry, Answered)]
            each = [entry.seconds for entry in answered]
            _answered(db, job_id, (node_id, call), answered[0].number - 1, each)
        elif kind is Replayed:
            numbers = [entry.number for entry in run if isinstance(entry, Replayed)]
            _replayed(db, job_id, (node_id, call), numbers[0] - 1, numbers[-1])
        else:
            for entry in run:
                if isinstance(entry, Wasted):
                    _add(db, job_id, "thrown", entry.reason, entry.seconds)


def share(db: Database, job_id: str, with_id: str, at: Moment) -> None:
    """A fork begins with what another job had computed up to there, and so holds it, too."""
    if not db.execute("SELECT 1 FROM ledger_jobs WHERE job_id = ?", [job_id]).fetchone():
        return
    names = "workflow, model, is_draft"
    sql = f"INSERT OR IGNORE INTO ledger_jobs (job_id, {names}) SELECT ?, workflow, model, 0 FROM ledger_jobs"
    db.execute(f"{sql} WHERE job_id = ?", [with_id, job_id])
    for stretch in up_to(db, job_id, (at.node_id or "", at.call), at.evaluations):
        hold(db, with_id, stretch.id)


def changed(db: Database, view: JobView, change: Change) -> None:
    """The job went from one state to another, or back in time."""
    if change.kind in ("rewind", "restore"):
        hidden = [view.node_id, view.call, view.evaluations] if change.kind == "rewind" else None
        column = json.dumps(hidden) if hidden else None
        db.execute("UPDATE ledger_jobs SET hidden_json = ? WHERE job_id = ?", [column, view.job_id])
    if change.state_from is not change.state_to:
        is_stop = view.abort_mode is not AbortMode.FINISH
        aborted = change.state_to is State.ABORTED
        if change.state_to is State.COMPLETED or (aborted and not is_stop):
            _keep(db, view.job_id)
        _decide(db, view.job_id, change.state_to, view.abort_reason or NO_REASON)
        if aborted:
            told = view.abort_reason or NO_REASON
            _save(db, view.job_id, view.step, view.total_steps, view.evaluations, told)


def deleted(db: Database, job_id: str) -> None:
    """What is in the books of the job stays there, under a name that no other job will have."""
    sql = "SELECT step, total_steps, evaluations FROM job_debug_state WHERE job_id = ?"
    at = db.execute(sql, [job_id]).fetchone()
    known = db.execute("SELECT fate FROM ledger_jobs WHERE job_id = ?", [job_id]).fetchone()
    if known is None:
        return
    if known[0] == "open":
        db.execute("UPDATE ledger_jobs SET fate = 'ended', reason = ? WHERE job_id = ?", [DELETED, job_id])
        if at is not None:
            step, total_steps, evaluations = at
            _save(db, job_id, step, total_steps, evaluations, DELETED)
    kept_as = f"{job_id} {uuid.uuid4().hex}"
    for table in TABLES:
        db.execute(f"UPDATE {table} SET job_id = ? WHERE job_id = ?", [kept_as, job_id])


# -- inside --------------------------------------------------------------------------------------------


def _together(numbered: tuple[int, Entry]) -> tuple[type, str, int, int]:
    """The same for entries that follow each other in one call."""
    place, entry = numbered
    if isinstance(entry, Wasted):
        return Wasted, entry.node_id, 0, 0
    return type(entry), entry.node_id, entry.call, entry.number - place


def _known(db: Database, job_id: str, node_id: str) -> bool:
    """Whether the job is in the books, from now on if need be."""
    if db.execute("SELECT 1 FROM ledger_jobs WHERE job_id = ?", [job_id]).fetchone():
        return True
    names = "prompt_json, extra_data_json, grid_json, parent_id"
    row = db.execute(f"SELECT {names} FROM job_debug_state WHERE job_id = ?", [job_id]).fetchone()
    if row is None:
        return False
    prompt = json.loads(row[0])
    model = graph.model_file(prompt, in_graph(prompt, node_id)) or ""
    is_draft = int(row[2] is not None and row[3] is None)
    workflow = _workflow(json.loads(row[1]))
    told = {"workflow": _storable(workflow), "model": _storable(model), "is_draft": is_draft}
    db.table("ledger_jobs").insert({"job_id": job_id, **told})
    return True


def _workflow(extra_data: Any) -> str:
    """The name that the client told, if any."""
    found = extra_data
    for name in ("extra_pnginfo", "workflow", "name"):
        found = found.get(name) if isinstance(found, dict) else None
    return found[:200] if isinstance(found, str) else ""


def _storable(text: str) -> str:
    """Without lone surrogates, which JSON may hold and SQLite does not take."""
    return text.encode(errors="replace").decode()


def _answered(db: Database, job_id: str, call: tuple[str, int], first: int, each: list[float]) -> None:
    _drop_take(db, job_id)
    for stretch in held(db, job_id):
        if stretch.call == call and stretch.end > first:
            drop(db, job_id, cut(db, stretch, first)[1], LOST)
    before = [one for one in held(db, job_id) if one.call == call and one.end == first]
    last = before[-1] if before else None
    if last is not None and last.week == _week() and not last.kept and is_alone(db, job_id, last):
        write(db, last.id, last.first, last.each + each)
        return
    sql = "INSERT INTO ledger_stretches (job_id, node_id, call, first, each_json, seconds, week) "
    values = [job_id, *call, first, "[]", 0.0, _week()]
    number = db.execute(f"{sql} VALUES (?, ?, ?, ?, ?, ?, ?)", values).lastrowid or 0
    write(db, number, first, each)
    hold(db, job_id, number)


def _replayed(db: Database, job_id: str, call: tuple[str, int], first: int, end: int) -> None:
    """What another server computed is not in the books, and counts nothing."""
    took = [
        sum(one.each[max(0, first - one.first) : max(0, end - one.first)])
        for one in held(db, job_id)
        if one.call == call
    ]
    _add(db, job_id, "replayed", "", sum(took))


def _drop_take(db: Database, job_id: str) -> None:
    """Something is computed after a rewind: what it hid is gone."""
    if at := _hidden(db, job_id):
        seen = {one.id for one in up_to(db, job_id, *at)}
        for stretch in held(db, job_id):
            if stretch.id not in seen:
                drop(db, job_id, stretch, REWOUND)
        db.execute("UPDATE ledger_jobs SET hidden_json = NULL WHERE job_id = ?", [job_id])


def _keep(db: Database, job_id: str) -> None:
    """A result was made of what the job holds: that was not for nothing, whatever comes."""
    at = _hidden(db, job_id)
    for stretch in list(up_to(db, job_id, *at)) if at else held(db, job_id):
        db.execute("UPDATE ledger_stretches SET kept = 1 WHERE id = ?", [stretch.id])


def _decide(db: Database, job_id: str, state: State, reason: str) -> None:
    ended = state in (State.COMPLETED, State.ABORTED)
    told = reason if state is State.ABORTED else None
    sql = "UPDATE ledger_jobs SET fate = ?, reason = ? WHERE job_id = ?"
    db.execute(sql, ["ended" if ended else "open", told, job_id])
    db.execute("DELETE FROM ledger_others WHERE job_id = ? AND figure = 'saved'", [job_id])


def _save(
    db: Database, job_id: str, step: int, total_steps: int | None, evaluations: int, reason: str
) -> None:
    """What the job does not compute of the sampling call that it is in."""
    each = [seconds for stretch in held(db, job_id) for seconds in stretch.each]
    if not each or total_steps is None:
        return
    an_evaluation, of_step = sum(each) / len(each), max(1, evaluations // max(1, step))
    left = max(0, total_steps * of_step - evaluations)
    _add(db, job_id, "saved", reason, left * an_evaluation)


def _hidden(db: Database, job_id: str) -> tuple[tuple[str, int], int] | None:
    """Where the job was rewound to, as long as that can be taken back."""
    row = db.execute("SELECT hidden_json FROM ledger_jobs WHERE job_id = ?", [job_id]).fetchone()
    if row is None or row[0] is None:
        return None
    node_id, call, evaluations = json.loads(row[0])
    return (node_id, call), evaluations


def _add(db: Database, job_id: str, figure: str, reason: str, seconds: float) -> None:
    if seconds <= 0:
        return
    db.execute(
        "INSERT INTO ledger_others (job_id, week, figure, reason, seconds) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds",
        [job_id, _week(), figure, reason, seconds],
    )


def _week() -> str:
    year, week, _ = datetime.now(timezone.utc).isocalendar()
    return f"{year}-W{week:02}"
