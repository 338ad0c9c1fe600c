"""job.json: all that is known of a job beside its files, as JSON and back. Pure functions.

Written and read by the functions that make rows of the database; what is read is held against shapes first.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import MidrunError
from ..job.request import Request
from ..job.view import Change, JobView
from ..pictures.previews import Preview, preview_of
from ..states import State
from ..store.rows import (
    change_of,
    event_columns,
    event_json,
    previews_column,
    request_columns,
    request_of,
    view_columns,
    view_of,
)
from ..surroundings import Surroundings, surroundings_of
from ..telemetry import Telemetry
from ..workflow.kept import Kept
from .job_shapes import SENT
from .layout import FORMAT, JOB, JOB_ID, BadBundle
from .scrubbing import without_paths
from .shapes import Misshapen

# What is another where the job goes on, or a secret.
OMITTED: dict[str, Any] = {
    "held": 0,
    "gpu_released": 1,
    "warnings_json": "{}",
    "grid_json": None,
    "exactness_json": '{"kind": "exact", "evaluations": 0, "seconds": null, "because": null}',
    "imported_json": None,
    "check_json": None,
    "retried_json": None,
    "choice_json": None,  # its pictures stay here; it asks again there
    "wires_json": None,  # the same
    "secret_keys_json": "[]",
}
IS_JSON = frozenset({"paused_before"})  # columns besides those whose names say so
WORKFLOW = "extra_pnginfo"  # of a prompt's extra_data, what is no business of one client alone
ALLOWED = (State.PAUSED, State.FAILED, State.COMPLETED, State.ABORTED)


@dataclass(frozen=True)
class Carried:
    """A file of ComfyUI's input folder. file: its name in the bundle; value: as the graph names it

    name: without what says in which folder; at: the inputs with that value, as (node_id, input)
    """

    file: str
    value: str
    name: str
    at: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Sent:
    """A job as a bundle tells it. lost: files that the graph names and that are not in the bundle

    then: what it was computed with; signed_in: it was queued with a token, which is not in the bundle
    """

    view: JobView
    request: Request
    events: tuple[Change, ...] = ()
    telemetry: tuple[Telemetry, ...] = ()
    previews: tuple[Preview, ...] = ()
    inputs: tuple[Carried, ...] = ()
    lost: tuple[str, ...] = ()
    then: Surroundings = Surroundings()
    signed_in: bool = False
    was: State = State.PAUSED  # when it was exported


def to_json(sent: Sent) -> dict[str, Any]:
    """Without tokens, without the client's id, and without places of this machine but those in the graph."""
    extra = {name: sent.request.extra_data[name] for name in (WORKFLOW,) if name in sent.request.extra_data}
    kept = replace(sent.request.kept, done=())  # what was saved lies on this machine
    request = replace(sent.request, extra_data=extra, kept=kept, secrets=None)
    columns = view_columns(sent.view) | request_columns(request)
    error = None if sent.view.error is None else sent.view.error.to_json()
    columns["error_json"] = None if error is None else json.dumps(without_paths(error))
    row = {_key(name): _parsed(name, value) for name, value in columns.items() if name not in OMITTED}
    events = [event_json(event_columns(sent.view.job_id, event)) for event in sent.events]
    return {
        "format": FORMAT,
        "job": row | {"job_id": sent.view.job_id, "created_at": sent.view.created_at},
        "events": without_paths(events),
        "telemetry": [one.to_json() for one in sent.telemetry],
        "previews": [one.to_row() for one in sent.previews],
        "inputs": [asdict(one) for one in sent.inputs],
        "lost": list(sent.lost),
        "signed_in": sent.signed_in,
        "was": sent.was.value,
        "surroundings": sent.then.to_json(),
    }


def sent_of(told: dict[str, Any]) -> Sent:
    """From `to_json`. Raises BadBundle."""
    if told.get("format") != FORMAT:
        shown = str(told.get("format"))[:40]
        raise BadBundle(f"its format is {shown!r}; this version of Midrun reads {FORMAT!r}. Update Midrun.")
    try:
        SENT(told, "")
        job = told["job"]
        view, request = _view(job, told["previews"]), request_of(_row(job))
        sent = Sent(
            view,
            replace(request, kept=Kept(request.kept.answers)),
            tuple(map(change_of, told["events"])),
            tuple(Telemetry(**one) for one in told["telemetry"]),
            tuple(preview_of(one) for one in told["previews"]),
            tuple(_carried(one) for one in told["inputs"]),
            tuple(told["lost"]),
            surroundings_of(told["surroundings"]),
            told["signed_in"],
            State(told["was"]),
        )
        view.to_json()
    except Misshapen as error:
        raise BadBundle(f"{JOB} has no sensible {str(error).strip('.') or 'content'}.") from error
    except (MidrunError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, BadBundle):
            raise
        raise BadBundle(f"{JOB} makes no sense ({type(error).__name__}).") from error
    return sent


# -- inside ----------------------------------------------------------------------------------------------


def _view(job: dict[str, Any], previews: list[dict[str, Any]]) -> JobView:
    view = view_of(_row(job) | {"intermediate_previews_json": _listed(previews)}, (job["job_id"],))
    if view.unreadable:
        names = ", ".join(_key(name) for name in view.unreadable)
        raise BadBundle(f"this version of Midrun cannot read the {names} of its job. Update Midrun.")
    if view.state not in ALLOWED:
        raise BadBundle(f"its job is {view.state.value}, which no job in a bundle is.")
    if not JOB_ID.fullmatch(view.job_id):
        raise BadBundle("the id of its job is none.")
    return view


def _row(job: dict[str, Any]) -> dict[str, Any]:
    """A row of the database, of the columns that this version has."""
    names = (*view_columns(_BLANK), *request_columns(_NOTHING))
    read = {name: _column(name, job[_key(name)]) for name in names if name not in OMITTED}
    more = {"job_id": job["job_id"], "created_at": job["created_at"], "paused_until_now_s": job["paused_s"]}
    return OMITTED | read | more


def _listed(previews: list[dict[str, Any]]) -> str:
    return previews_column([preview_of(one) for one in previews])


def _key(name: str) -> str:
    return name.removesuffix("_json")


def _parsed(name: str, value: Any) -> Any:
    return json.loads(value) if value is not None and _is_json(name) else value


def _column(name: str, value: Any) -> Any:
    return json.dumps(value) if value is not None and _is_json(name) else value


def _is_json(name: str) -> bool:
    return name.endswith("_json") or name in IS_JSON


def _carried(told: dict[str, Any]) -> Carried:
    return Carried(
        told["file"], told["value"], told["name"], tuple((node, name) for node, name in told["at"])
    )


_BLANK = JobView("", ("",), State.PAUSED, "", "")
_NOTHING = Request({}, {})
