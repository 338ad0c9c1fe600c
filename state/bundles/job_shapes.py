"""The shapes of job.json. A table; no behaviour of its own."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from ..states import AbortMode, PauseReason, QueuePolicy, State
from .layout import FORMAT, INPUT
from .shapes import (
    Misshapen,
    Shape,
    anything,
    count,
    fields,
    flag,
    list_of,
    named,
    number,
    one_of,
    optional,
    row_of,
    text,
    whole,
)

SHORT = 500  # characters of a name
MANY = 100_000  # lines of an audit trail
HEX = re.compile(r"[0-9a-f]{1,64}")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def _label(value: Any, name: str) -> None:
    text(value, name)
    if len(value) > SHORT:
        raise Misshapen(name)


def _like(pattern: re.Pattern[str]) -> Shape:
    def check(value: Any, name: str) -> None:
        text(value, name)
        if not pattern.fullmatch(value):
            raise Misshapen(name)

    return check


def _stamp(value: Any, name: str) -> None:
    _like(STAMP)(value, name)
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError as error:
        raise Misshapen(name) from error


def _node(value: Any, name: str) -> None:
    """Of a graph; other packs write into it, too."""
    if not isinstance(value, dict):
        raise Misshapen(name)
    named(anything)(value, name)
    text(value.get("class_type"), f"{name}.class_type")
    named(anything)(value.get("inputs", {}), f"{name}.inputs")


def _history(value: Any, name: str) -> None:
    named(named(list_of(EDIT)))(value, name)
    for node_id, inputs in value.items():
        for edits in inputs.values():
            pending = [edit for edit in edits if edit["from_step"] is None]
            if not edits or len(pending) > 1 or (pending and edits[-1] is not pending[0]):
                raise Misshapen(f"{name}.{node_id[:40]}")


PROMPT = named(_node)
LOOPS = list_of(row_of(text, count), 100)
NODE = row_of(text, text, LOOPS)
EDIT = fields(
    **{"from": anything, "to": anything, "from_step": optional(count), "in_node": optional(text)}, chosen=flag
)
KEPT = fields(answers=named(list_of(optional(list_of(anything)))), done=list_of(text))
AT = {
    "node_id": optional(text),
    "step": count,
    "evaluations": count,
    "total_steps": optional(count),
    "sigma": optional(number),
    "call": count,
    "display_node_id": optional(text),
    "loops": LOOPS,
}
TAKE = fields(moment=fields(**AT), edits=_history, prompt=PROMPT, kept=KEPT)
ERROR = fields(type=text, message=text, node_id=optional(text))
JOB = fields(
    **AT,
    job_id=_label,
    state=one_of(*State),
    pause_reason=optional(one_of(*PauseReason)),
    paused_at_step=optional(count),
    modified_params=_history,
    abort_reason=optional(text),
    abort_mode=optional(one_of(*AbortMode)),
    error=optional(ERROR),
    queue_policy=one_of(*QueuePolicy),
    active_s=number,
    paused_s=number,
    mean_step_s=optional(number),
    take=optional(TAKE),
    parent_id=optional(_label),
    parent_step=optional(count),
    parent_node_id=optional(text),
    paused_before=optional(NODE),
    has_source=one_of(0, 1),
    breakpoints=list_of(anything, 100),  # read by what reads those of anybody
    updated_at=_stamp,
    created_at=_stamp,
    prompt=PROMPT,
    extra_data=named(anything),
    outputs=optional(list_of(text)),
    kept=KEPT,
)
EVENT = fields(
    kind=_label,
    state_from=one_of(*State),
    state_to=one_of(*State),
    node_id=optional(text),
    step=count,
    at=_stamp,
    detail=named(anything),
)
TELEMETRY = fields(
    node_id=text,
    step=count,
    sigma=optional(number),
    change=optional(number),
    norm=optional(number),
    seconds=optional(number),
    memory=optional(whole),
    display_node_id=text,
    iteration=optional(count),
)
PREVIEW = fields(
    node_id=text,
    ordinal=count,
    kind=one_of("step", "source"),
    step=count,
    sigma=optional(number),
    width=count,
    height=count,
    frames=count,
    method=_label,
    digest=_like(HEX),
    created_at=_stamp,
    reason=optional(text),
    display_node_id=text,
    iteration=optional(count),
)
MODEL = fields(
    folder=_label,
    name=_label,
    size=optional(whole),
    sha256=optional(_like(HEX)),
    samples=optional(_like(HEX)),
    why=optional(_label),
)
PACK = fields(name=_label, version=optional(_label), nodes=list_of(_label, 10_000), code=optional(_like(HEX)))
SURROUNDINGS = fields(
    values=named(_label),
    packs=list_of(PACK, 10_000),
    models=list_of(MODEL, 10_000),
    missing_nodes=list_of(_label, 10_000),
    missing_inputs=list_of(_label, 10_000),
)
CARRIED = fields(file=_like(INPUT), value=text, name=_label, at=list_of(row_of(text, text), 10_000))
SENT = fields(
    format=one_of(FORMAT),
    job=JOB,
    events=list_of(EVENT, MANY),
    telemetry=list_of(TELEMETRY, MANY),
    previews=list_of(PREVIEW, 10_000),
    inputs=list_of(CARRIED, 10_000),
    lost=list_of(_label, 10_000),
    signed_in=flag,
    was=one_of(*State),
    surroundings=SURROUNDINGS,
)
