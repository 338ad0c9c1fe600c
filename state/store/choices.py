"""Which jobs wait for somebody. On the store's thread."""

from __future__ import annotations

from sqlite_utils import Database


def at_choices(db: Database) -> list[str]:
    """Ids, the oldest job first."""
    sql = "SELECT job_id FROM job_debug_state WHERE choice_json IS NOT NULL AND state = 'paused' ORDER BY id"
    return [row[0] for row in db.execute(sql).fetchall()]


def paused(db: Database) -> int:
    """How many, those included that wait for somebody to choose."""
    return db.execute("SELECT count(*) FROM job_debug_state WHERE state = 'paused'").fetchone()[0]
