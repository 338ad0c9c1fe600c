"""Rows of the database and what they stand for. Pure functions."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from .breakpoints import parsed
from .edits import from_json, to_json
from .grids import cell_of
from .node import loops_of, node_of
from .previews import Preview, newest_step, preview_of, source_url
from .request import Request
from .view import (
    AbortMode,
    Change,
    JobError,
    JobView,
    Moment,
    PauseReason,
    QueuePolicy,
    State,
    Take,
    Timing,
)


def view_columns(view: JobView) -> dict[str, Any]:
    return {
        "state": view.state.value,
        "held": int(view.held),
        "pause_reason": view.pause_reason.value if view.pause_reason else None,
        "node_id": view.node_id,
        "display_node_id": view.display_node_id,
        "loops_json": json.dumps(view.loops),
        "step": view.step,
        "total_steps": view.total_steps,
        "evaluations": view.evaluations,
        "sigma": view.sigma,
        "paused_at_step": view.paused_at_step,
        "modified_params_json": json.dumps(to_json(view.edits)),
        "abort_reason": view.abort_reason,
        "abort_mode": view.abort_mode.value if view.abort_mode else None,
        "error_json": json.dumps(view.error.to_json()) if view.error else None,
        "gpu_released": int(view.gpu_released),
        "queue_policy": view.queue_policy.value,
        "active_s": view.timing.active_s,
        "paused_s": view.timing.paused_s,
        "mean_step_s": view.timing.mean_step_s,
        "warnings_json": json.dumps(view.warnings),
        "take_json": json.dumps(_take_json(view.take)) if view.take else None,
        "parent_id": view.parent_id,
        "parent_step": view.parent_step,
        "grid_json": json.dumps(view.cell.to_row()) if view.cell else None,
        "paused_before": json.dumps(view.paused_before.to_json()) if view.paused_before else None,
        "has_source": int(view.source_url is not None),
        "breakpoints_json": json.dumps([breakpoint.to_json() for breakpoint in view.breakpoints]),
        "updated_at": view.updated_at,
    }


def _take_json(take: Take) -> dict[str, Any]:
    return {"moment": asdict(take.moment), "edits": to_json(take.edits), "prompt": take.prompt}


def _take_of(stored: dict[str, Any]) -> Take:
    moment = stored["moment"] | {"loops": loops_of(stored["moment"]["loops"])}
    return Take(Moment(**moment), from_json(stored["edits"]), stored["prompt"])


def request_columns(request: Request) -> dict[str, Any]:
    return {
        "prompt_json": json.dumps(request.prompt),
        "extra_data_json": json.dumps(request.extra_data),
        "outputs_json": None if request.outputs is None else json.dumps(request.outputs),
        "secret_keys_json": json.dumps(sorted(request.secrets or ())),
    }


def event_columns(job_id: str, change: Change) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "kind": change.kind,
        "state_from": change.state_from.value,
        "state_to": change.state_to.value,
        "step": change.step,
        "at": change.at,
        "detail_json": json.dumps(change.detail),
    }


def event_json(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("kind", "state_from", "state_to", "step", "at")
    return {name: row[name] for name in kept} | {"detail": json.loads(row["detail_json"])}


def view_of(row: dict[str, Any], prompt_ids: tuple[str, ...]) -> JobView:
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
        display_node_id=row["display_node_id"],
        loops=loops_of(json.loads(row["loops_json"])),
        step=row["step"],
        total_steps=row["total_steps"],
        evaluations=row["evaluations"],
        sigma=row["sigma"],
        paused_at_step=row["paused_at_step"],
        edits=from_json(json.loads(row["modified_params_json"])),
        abort_reason=row["abort_reason"],
        abort_mode=AbortMode(row["abort_mode"]) if row["abort_mode"] else None,
        error=JobError(**error) if error else None,
        gpu_released=bool(row["gpu_released"]),
        queue_policy=QueuePolicy(row["queue_policy"]),
        timing=Timing(row["active_s"], row["paused_until_now_s"], row["mean_step_s"]),
        warnings=json.loads(row["warnings_json"]),
        take=_take_of(json.loads(row["take_json"])) if row["take_json"] else None,
        parent_id=row["parent_id"],
        parent_step=row["parent_step"],
        cell=cell_of(json.loads(row["grid_json"])) if row["grid_json"] else None,
        paused_before=node_of(json.loads(row["paused_before"])) if row["paused_before"] else None,
        breakpoints=parsed(json.loads(row["breakpoints_json"])),
        **_preview_urls(row),
    )


def _preview_urls(row: dict[str, Any]) -> dict[str, Any]:
    job_id, node_id = row["job_id"], row["node_id"]
    previews = [one for one in previews_of(row["intermediate_previews_json"]) if one.node_id == node_id]
    if row["take_json"]:  # then the later ones are of what a rewind left behind
        newest = newest_step(one for one in previews if one.step <= row["step"])
    else:
        newest = newest_step(previews)
    told = {} if newest is None else {"preview_url": newest.url(job_id)}
    if row["has_source"]:
        told["source_url"] = source_url(job_id, node_id)
    return told


def previews_of(told: str) -> list[Preview]:
    """In the order in which they were made; what can not be read is left out."""
    found = []
    for row in json.loads(told):
        try:
            found.append(preview_of(row))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def previews_column(previews: list[Preview]) -> str:
    return json.dumps([preview.to_row() for preview in previews])


def request_of(row: dict[str, Any]) -> Request:
    outputs = json.loads(row["outputs_json"]) if row["outputs_json"] else None
    prompt, extra = json.loads(row["prompt_json"]), json.loads(row["extra_data_json"])
    return Request(prompt, extra, None if outputs is None else tuple(outputs))


# Told by their indexes: left to itself, SQLite reads every such row past its prompt, and takes seconds.
FAILED = "FROM job_debug_state INDEXED BY idx_job_debug_state_failures WHERE state IN ('aborted', 'failed')"
ENDED = (
    "FROM job_debug_state INDEXED BY idx_job_debug_state_ended "
    "WHERE state IN ('completed', 'aborted', 'failed')"
)

COUNTED_BY = {
    "reason": "COALESCE(abort_reason, json_extract(error_json, '$.type'), 'no reason given')",
    "node": "node_class",
    "model": "model_file",
    "step": "step",
}


def failure_json(row: dict[str, Any]) -> dict[str, Any]:
    error = json.loads(row["error_json"]) if row["error_json"] else None
    kept = ("job_id", "state", "node_id", "display_node_id", "node_class", "model_file")
    told = {name: row[name] for name in (*kept, "step", "total_steps", "updated_at")}
    return told | {"reason": row["abort_reason"], "mode": row["abort_mode"], "error": error}
