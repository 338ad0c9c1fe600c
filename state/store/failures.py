"""Aborted and failed jobs, and what they are counted by. On the store's thread."""

from __future__ import annotations

import json
from typing import Any

from sqlite_utils import Database

from .rows import FAILED

COUNTED_BY = {
    "reason": "COALESCE(abort_reason, json_extract(error_json, '$.type'), 'no reason given')",
    "node": "node_class",
    "model": "model_file",
    "step": "step",
}


def failures(db: Database, limit: int) -> dict[str, Any]:
    """The newest first, and how many of all there are by what they share."""
    sql = f"SELECT * {FAILED} ORDER BY updated_at DESC, id DESC LIMIT ?"
    counts = {
        name: {
            row["value"]: row["jobs"]
            for row in db.query(
                f"SELECT {column} AS value, COUNT(*) AS jobs {FAILED} GROUP BY 1 ORDER BY 2 DESC"
            )
            if row["value"] is not None
        }
        for name, column in COUNTED_BY.items()
    }
    return {"failures": [_failure_json(row) for row in db.query(sql, [limit])], "counts": counts}


def _failure_json(row: dict[str, Any]) -> dict[str, Any]:
    error = json.loads(row["error_json"]) if row["error_json"] else None
    kept = ("job_id", "state", "node_id", "display_node_id", "node_class", "model_file")
    told = {name: row[name] for name in (*kept, "step", "total_steps", "updated_at")}
    return told | {"reason": row["abort_reason"], "mode": row["abort_mode"], "error": error}
