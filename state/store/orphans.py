"""Which jobs a dead server left as they were queued, and nobody took up since. On the store's thread."""

from __future__ import annotations

from sqlite_utils import Database

from ..states import LEFT_BEHIND
from .database import extracted

MOST = 500  # the newest ones


def orphans(db: Database) -> list[str]:
    """Ids, the newest job first. None that a person paused, edited, rewound, forked or imported."""
    marks = ", ".join("?" * len(LEFT_BEHIND))
    asked = (  # whether somebody had asked it to pause when the server died
        "SELECT state_from FROM job_events WHERE job_events.job_id = job_debug_state.job_id "
        "AND kind = 'server_restart' ORDER BY job_events.id DESC LIMIT 1"
    )
    drained = (
        f"SELECT {extracted('detail_json', '$.pause_reason')} = 'drain' FROM job_events WHERE "
        "job_events.job_id = job_debug_state.job_id AND kind = 'pause' ORDER BY job_events.id DESC LIMIT 1"
    )
    sql = (
        f"SELECT job_id FROM job_debug_state WHERE state = 'paused' AND pause_reason IN ({marks}) "
        "AND node_id IS NOT NULL AND parent_id IS NULL AND imported_json IS NULL AND take_json IS NULL "
        f"AND modified_params_json = '{{}}' AND (COALESCE(({asked}), '') <> 'pausing' OR ({drained})) "
        "ORDER BY id DESC LIMIT ?"
    )
    return [row[0] for row in db.execute(sql, [*(one.value for one in LEFT_BEHIND), MOST]).fetchall()]


def left_behind(db: Database) -> int:
    """How many jobs a dead server left paused, and nobody resumed or ended since."""
    marks = ", ".join("?" * len(LEFT_BEHIND))
    sql = f"SELECT COUNT(*) FROM job_debug_state WHERE state = 'paused' AND pause_reason IN ({marks})"
    return db.execute(sql, [one.value for one in LEFT_BEHIND]).fetchone()[0]
