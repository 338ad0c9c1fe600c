"""Stretches of evaluations: runs of one sampling call that share their fate. On the store's thread.

The job that computed a stretch holds it, and so do forks that began with it. It is cut where fates part.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

HELD = "SELECT s.* FROM ledger_stretches s JOIN ledger_holders h ON h.stretch_id = s.id WHERE h.job_id = ?"


@dataclass(frozen=True)
class Stretch:
    """first: how many evaluations of the call came before it; each: seconds"""

    id: int
    job_id: str
    call: tuple[str, int]
    first: int
    each: list[float]
    week: str
    kept: bool

    @property
    def end(self) -> int:
        return self.first + len(self.each)


def held(db: Database, job_id: str) -> list[Stretch]:
    """In the order of time: forks hold older stretches before their own."""
    rows = list(db.query(f"{HELD} ORDER BY s.id", [job_id]))
    found = [_stretch(row) for row in rows]
    began: dict[tuple[str, int], int] = {}
    for one in found:
        began.setdefault(one.call, one.id)
    return sorted(found, key=lambda one: (began[one.call], one.first))


def up_to(db: Database, job_id: str, call: tuple[str, int], evaluations: int) -> Iterator[Stretch]:
    """What the job holds up to there; cut there. All, where it holds nothing of that call."""
    within = False
    for stretch in held(db, job_id):
        if stretch.call == call:
            within = True
            before, after = cut(db, stretch, evaluations)
            if before is not None:
                yield before
            if after is not None:
                return
        elif within:
            return  # a call that began later
        else:
            yield stretch


def cut(db: Database, stretch: Stretch, at: int) -> tuple[Stretch | None, Stretch | None]:
    """What is before so many evaluations of the call, and what is after them; whoever holds it holds both."""
    if at <= stretch.first:
        return None, stretch
    if at >= stretch.end:
        return stretch, None
    count = at - stretch.first
    columns = "job_id, node_id, call, week, kept, reason"
    sql = f"INSERT INTO ledger_stretches (first, each_json, seconds, {columns}) SELECT 0, '[]', 0, {columns}"
    number = db.execute(f"{sql} FROM ledger_stretches WHERE id = ?", [stretch.id]).lastrowid or 0
    write(db, stretch.id, stretch.first, stretch.each[:count])
    write(db, number, at, stretch.each[count:])
    db.execute(
        "INSERT INTO ledger_holders (job_id, stretch_id) "
        "SELECT job_id, ? FROM ledger_holders WHERE stretch_id = ?",
        [number, stretch.id],
    )
    rows = (
        list(db.query("SELECT * FROM ledger_stretches WHERE id = ?", [one])) for one in (stretch.id, number)
    )
    before, after = (_stretch(found[0]) for found in rows)
    return before, after


def write(db: Database, number: int, first: int, each: list[float]) -> None:
    sql = "UPDATE ledger_stretches SET first = ?, each_json = ?, seconds = ? WHERE id = ?"
    db.execute(sql, [first, json.dumps([round(one, 6) for one in each]), sum(each), number])


def hold(db: Database, job_id: str, number: int) -> None:
    db.execute("INSERT OR IGNORE INTO ledger_holders (job_id, stretch_id) VALUES (?, ?)", [job_id, number])


def drop(db: Database, job_id: str, stretch: Stretch | None, reason: str) -> None:
    """The job holds it no more. reason: why nobody does, if nobody does"""
    if stretch is None:
        return
    db.execute("DELETE FROM ledger_holders WHERE job_id = ? AND stretch_id = ?", [job_id, stretch.id])
    left = "NOT EXISTS (SELECT 1 FROM ledger_holders WHERE stretch_id = ledger_stretches.id)"
    db.execute(f"UPDATE ledger_stretches SET reason = ? WHERE id = ? AND {left}", [reason, stretch.id])


def is_alone(db: Database, job_id: str, stretch: Stretch) -> bool:
    """Whether nobody else holds what it computed."""
    found = db.execute("SELECT job_id FROM ledger_holders WHERE stretch_id = ?", [stretch.id]).fetchall()
    return stretch.job_id == job_id and found == [(job_id,)]


def _stretch(row: dict[str, Any]) -> Stretch:
    each, call = json.loads(row["each_json"]), (row["node_id"], row["call"])
    return Stretch(row["id"], row["job_id"], call, row["first"], each, row["week"], bool(row["kept"]))
