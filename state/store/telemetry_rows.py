"""What was measured of each step, as rows of the database. On the store's thread."""

from __future__ import annotations

from collections.abc import Iterable

from sqlite_utils import Database

from ..telemetry import COLUMNS, Telemetry

TABLE = "job_telemetry"


def insert(db: Database, job_id: str, rows: Iterable[Telemetry]) -> None:
    """In the place of that step of the node and of what was measured after it, which is of another take."""
    if not db.execute("SELECT 1 FROM job_debug_state WHERE job_id = ?", [job_id]).fetchone():
        return  # deleted meanwhile
    for row in rows:
        first = f"SELECT MIN(id) FROM {TABLE} WHERE job_id = :job_id AND node_id = :node_id AND step >= :step"
        where = {"job_id": job_id, "node_id": row.node_id, "step": row.step}
        db.execute(f"DELETE FROM {TABLE} WHERE job_id = :job_id AND id >= ({first})", where)
        db.table(TABLE).insert({"job_id": job_id, **row.to_json()})


def end_at(db: Database, job_id: str, node_id: str | None, step: int) -> None:
    """Forget what was measured after that step; 0 is before the first of the node."""
    where = {"job_id": job_id, "node_id": node_id, "step": step}
    of_node = f"FROM {TABLE} WHERE job_id = :job_id AND node_id = :node_id"
    last = f"SELECT MAX(id) {of_node} AND step = :step" if step else f"SELECT MIN(id) - 1 {of_node}"
    db.execute(f"DELETE FROM {TABLE} WHERE job_id = :job_id AND id > ({last})", where)


def share(db: Database, job_id: str, with_id: str, node_id: str | None, step: int) -> None:
    """What was measured of one job up to that step is true of another that goes on from there."""
    here = "SELECT {} FROM " + TABLE + " WHERE job_id = :job_id AND node_id = :node_id AND step {} :step"
    last = f"COALESCE(({here.format('MAX(id)', '<=')}), ({here.format('MIN(id)', '>')}) - 1)"
    names = ", ".join(COLUMNS)
    db.execute(
        f"INSERT INTO {TABLE} (job_id, {names}) SELECT :with_id, {names} FROM {TABLE} "
        f"WHERE job_id = :job_id AND id <= {last} ORDER BY id",
        {"job_id": job_id, "with_id": with_id, "node_id": node_id, "step": step},
    )


def read(db: Database, job_id: str) -> list[Telemetry]:
    """In the order in which it was measured."""
    names = ", ".join(COLUMNS)
    found = db.execute(f"SELECT {names} FROM {TABLE} WHERE job_id = ? ORDER BY id", [job_id])
    return [Telemetry(*row) for row in found.fetchall()]


def read_at(db: Database, job_id: str, node_id: str | None, step: int) -> Telemetry | None:
    names = ", ".join(COLUMNS)
    where = "job_id = ? AND node_id = ? AND step = ?"
    row = db.execute(f"SELECT {names} FROM {TABLE} WHERE {where}", [job_id, node_id, step]).fetchone()
    return None if row is None else Telemetry(*row)
