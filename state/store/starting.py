"""What a server finds in the database that an earlier one left. On the store's thread."""

from __future__ import annotations

from sqlite_utils import Database

from ..job.warnings import NOT_IN_DATABASE, NOT_ON_DISK
from ..states import PauseReason, State
from .rows import PAUSED_S

INTERRUPTED = (State.QUEUED.value, State.RUNNING.value, State.PAUSING.value)


def pause_interrupted(db: Database) -> list[str]:
    """Jobs that a dead server left unfinished are paused: their next run is up to the user. Their ids."""
    marks = ", ".join("?" * len(INTERRUPTED))
    where = f"FROM job_debug_state WHERE state IN ({marks})"
    at = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
    reason = PauseReason.SERVER_RESTART.value
    found = [row[0] for row in db.execute(f"SELECT job_id {where}", INTERRUPTED).fetchall()]
    db.execute(
        "INSERT INTO job_events (job_id, kind, state_from, state_to, node_id, step, at, detail_json) "
        f"SELECT job_id, ?, state, 'paused', node_id, step, {at}, '{{}}' {where}",
        [reason, *INTERRUPTED],
    )
    db.execute(
        "UPDATE job_debug_state SET state = 'paused', held = 0, pause_reason = ?, gpu_released = 1, "
        f"paused_at_step = step WHERE state IN ({marks})",
        [reason, *INTERRUPTED],
    )
    db.execute(
        "UPDATE job_debug_state SET warnings_json = json_remove(warnings_json, ?, ?) "
        "WHERE state IN ('paused', 'failed') AND warnings_json <> '{}' AND json_valid(warnings_json)",
        [f"$.{code}" for code, _ in (NOT_ON_DISK, NOT_IN_DATABASE)],  # of that server
    )
    db.execute(
        f"UPDATE job_debug_state SET held = 0, gpu_released = 1, paused_s = {PAUSED_S} "
        "WHERE state = 'paused' AND held = 1"
    )
    return found
