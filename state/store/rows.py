"""Rows of the database and what they stand for. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from ..breakpoints.breakpoints import parsed
from ..checks import check_of
from ..choice import choice_of
from ..errors import MidrunError
from ..exactness import Exactness, exactness_of
from ..job.fork_grid import cell_of
from ..job.request import Request
from ..job.view import Change, JobError, JobView, Moment, Take, Timing
from ..job.warnings import UNREADABLE
from ..node import loops_of, node_of
from ..pictures.previews import Preview, newest_step, preview_of, source_url, step_url
from ..retried import retried_of
from ..states import AbortMode, PauseReason, QueuePolicy, State
from ..surroundings import imported_of
from ..wire import wires_of
from ..workflow.edits import from_json, to_json
from ..workflow.kept import Kept, kept_of

WAITS = ("queued", "paused", "failed")
# Columns that are fields of the view as they are, and may change.
PLAIN = ("updated_at", "node_id", "call", "display_node_id", "step", "total_steps", "evaluations", "sigma")
PLAIN += ("paused_at_step", "abort_reason", "parent_id", "parent_step", "parent_node_id")


def view_columns(view: JobView) -> dict[str, Any]:
    """Without what could not be read and has not changed since."""
    columns = _columns(view)
    return {
        name: value
        for name, value in columns.items()
        if name not in view.unreadable or view.unreadable[name] != value
    }


def _columns(view: JobView) -> dict[str, Any]:
    stored = {code: told for code, told in view.warnings.items() if code != UNREADABLE[0]}
    return {name: getattr(view, name) for name in PLAIN} | {
        "state": view.state.value,
        "held": int(view.held),
        "pause_reason": view.pause_reason.value if view.pause_reason else None,
        "loops_json": json.dumps(view.loops),
        "modified_params_json": json.dumps(to_json(view.edits)),
        "abort_mode": view.abort_mode.value if view.abort_mode else None,
        "error_json": json.dumps(view.error.to_json()) if view.error else None,
        "gpu_released": int(view.gpu_released),
        "queue_policy": view.queue_policy.value,
        "active_s": view.timing.active_s,
        "paused_s": view.timing.paused_s,
        "mean_step_s": view.timing.mean_step_s,
        "warnings_json": json.dumps(stored),
        "take_json": json.dumps(_take_json(view.take)) if view.take else None,
        "grid_json": json.dumps(view.cell.to_row()) if view.cell else None,
        "paused_before": json.dumps(view.paused_before.to_json()) if view.paused_before else None,
        "choice_json": json.dumps(view.choice.to_json()) if view.choice else None,
        "wires_json": json.dumps(view.wires.to_json()) if view.wires else None,
        "has_source": int(view.source_url is not None),
        "exactness_json": json.dumps(view.exactness.to_json()),
        "imported_json": json.dumps(view.imported.to_row()) if view.imported else None,
        "check_json": json.dumps(view.check.to_row()) if view.check else None,
        "retried_json": json.dumps(view.retried.to_json()) if view.retried else None,
        "breakpoints_json": json.dumps([breakpoint.to_json() for breakpoint in view.breakpoints]),
    }


def _take_json(take: Take) -> dict[str, Any]:
    told = {"moment": asdict(take.moment), "edits": to_json(take.edits), "prompt": take.prompt}
    return told | {"kept": take.kept.to_json()}


def _take_of(stored: dict[str, Any]) -> Take:
    moment = stored["moment"] | {"loops": loops_of(stored["moment"]["loops"])}
    edits, kept = from_json(stored["edits"]), kept_of(stored["kept"])
    return Take(Moment(**moment), edits, stored["prompt"], kept)


def request_columns(request: Request) -> dict[str, Any]:
    return {
        "prompt_json": json.dumps(request.prompt),
        "extra_data_json": json.dumps(request.extra_data),
        "outputs_json": None if request.outputs is None else json.dumps(request.outputs),
        "secret_keys_json": json.dumps(sorted(request.secrets or ())),
        "kept_json": json.dumps(request.kept.to_json()),
    }


def event_columns(job_id: str, change: Change) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "kind": change.kind,
        "state_from": change.state_from.value,
        "state_to": change.state_to.value,
        "node_id": change.node_id,
        "step": change.step,
        "at": change.at,
        "detail_json": json.dumps(change.detail),
    }


def event_json(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("kind", "state_from", "state_to", "node_id", "step", "at")
    return {name: row[name] for name in kept} | {"detail": json.loads(row["detail_json"])}


def change_of(told: dict[str, Any]) -> Change:
    """From `event_json`."""
    states = State(told["state_from"]), State(told["state_to"])
    return Change(told["kind"], *states, told["step"], told["at"], told["detail"], told["node_id"])


def view_of(row: dict[str, Any], prompt_ids: tuple[str, ...]) -> JobView:
    """What this version cannot read, as a newer one may have written it, is left out, told, and kept."""
    unreadable: list[str] = []

    def read(column: str, decode: Callable[[Any], Any], default: Any = None) -> Any:
        try:
            return decode(row[column])
        except (MidrunError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            unreadable.append(column)
            return default

    view = JobView(
        job_id=row["job_id"],
        prompt_ids=prompt_ids or (row["job_id"],),
        state=read("state", State, State.FAILED),
        held=bool(row["held"]),
        pause_reason=read("pause_reason", _optional(PauseReason)),
        loops=read("loops_json", lambda told: loops_of(json.loads(told)), ()),
        edits=read("modified_params_json", lambda told: from_json(json.loads(told)), {}),
        abort_mode=read("abort_mode", _optional(AbortMode)),
        error=read("error_json", _optional(lambda told: JobError(**json.loads(told)))),
        gpu_released=bool(row["gpu_released"]),
        queue_policy=read("queue_policy", QueuePolicy, QueuePolicy.AUTO),
        timing=_timing(row),
        warnings=read("warnings_json", lambda told: dict(json.loads(told)), {}),
        take=read("take_json", _optional(lambda told: _take_of(json.loads(told)))),
        cell=read("grid_json", _optional(lambda told: cell_of(json.loads(told)))),
        paused_before=read("paused_before", _optional(lambda told: node_of(json.loads(told)))),
        choice=read("choice_json", _optional(lambda told: choice_of(json.loads(told)))),
        wires=read("wires_json", _optional(lambda told: wires_of(json.loads(told)))),
        exactness=read("exactness_json", lambda told: exactness_of(json.loads(told)), Exactness()),
        imported=read("imported_json", _optional(lambda told: imported_of(json.loads(told)))),
        check=read("check_json", _optional(lambda told: check_of(json.loads(told)))),
        retried=read("retried_json", _optional(lambda told: retried_of(json.loads(told)))),
        breakpoints=read("breakpoints_json", lambda told: parsed(json.loads(told)), ()),
        **{name: row[name] for name in ("created_at", *PLAIN)},
        **_preview_urls(row),
    )
    return _telling_of(unreadable, view) if unreadable else view


def _timing(row: dict[str, Any]) -> Timing:
    """Of a job that is not at hand: how long its other nodes take is told once it is."""
    mean, total = row["mean_step_s"], row["total_steps"]
    eta = None
    if mean is not None and total is not None and row["state"] in WAITS:
        eta = mean * max(0, total - row["step"])
    return Timing(row["active_s"], row["paused_until_now_s"], mean, eta, eta is not None)


def _optional(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda told: decode(told) if told else None


def _telling_of(unreadable: list[str], view: JobView) -> JobView:
    columns = view_columns(view)
    names = ", ".join(name.removesuffix("_json") for name in unreadable)
    return replace(
        view,
        unreadable={name: columns[name] for name in unreadable},
        warnings=view.warnings | {UNREADABLE[0]: UNREADABLE[1].format(names)},
    )


def _preview_urls(row: dict[str, Any]) -> dict[str, Any]:
    job_id, node_id = row["job_id"], row["node_id"]
    previews = previews_of(row["intermediate_previews_json"])
    shown = newest_step(one for one in previews if one.node_id == node_id and one.step == row["step"])
    told: dict[str, str | None] = {}
    if shown is not None:
        told["preview_url"] = shown.url(job_id)
    elif previews:  # the picture of that step is made when somebody looks at it
        told["preview_url"] = step_url(job_id, node_id, row["step"])
    if row["has_source"]:
        told["source_url"] = source_url(job_id, node_id)
    return told


def previews_of(told: str) -> list[Preview]:
    """In the order in which they were made; what cannot be read is left out."""
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
    try:
        kept = kept_of(json.loads(row["kept_json"]))
    except (ValueError, KeyError, TypeError):  # of a newer version: then nothing is kept
        kept = Kept()
    return Request(prompt, extra, None if outputs is None else tuple(outputs), kept=kept)


# A paused job's row is not written while time goes by, so what was written last is told from updated_at.
PAUSED_S = (
    "paused_s + CASE state WHEN 'paused' THEN "
    "max(0, (julianday('now') - julianday(updated_at)) * 86400) ELSE 0 END"
)

# Told by their indexes: left to itself, SQLite reads every such row past its prompt, and takes seconds.
FAILED = "FROM job_debug_state INDEXED BY idx_job_debug_state_failures WHERE state IN ('aborted', 'failed')"
ENDED = (
    "FROM job_debug_state INDEXED BY idx_job_debug_state_ended "
    "WHERE state IN ('completed', 'aborted', 'failed')"
)
