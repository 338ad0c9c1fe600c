"""The report's HTML: one file with all in it, which needs no network and no server. Pure functions.

Nothing in it is markup from a person: every text is escaped where it is put into the page. Its script and its
style are allowed by their hashes alone, so that whatever else came in would not run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from ..bundles.scrubbing import without_paths
from ..job.view import JobView
from ..states import AbortMode, State
from ..telemetry import Telemetry
from ..workflow.edits import to_json
from .content import Content, Shot

HERE = Path(__file__).parent
TEXT, MOST_EVENTS, MOST_EDITS = 1000, 1000, 300  # characters of a text; lines of a table
SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
MEASURES = ("sigma", "change", "norm", "seconds", "memory")
LINE = 'stroke="currentColor" fill="none" vector-effect="non-scaling-stroke"'


def page(content: Content) -> bytes:
    """UTF-8."""
    style, script = (_file(name) for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    policy += "; base-uri 'none'; form-action 'none'"
    title = _text(content.name)
    parts = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{title} · Midrun</title><style>{style}</style></head><body>",
        f"<header><h1>{title}</h1><p>{_text(_standing(content.view))}</p></header><main>",
        _player(content),
        _section("Edits", _table(("node", "input", "from", "to", "takes effect"), _edits(content))),
        _section(
            "Forks and drafts", _table(("job", "is", "state", "step", "varied", "why"), _family(content))
        ),
        _chart([shot.measured for shot in content.shots]),
        _section("What happened", _table(("when", "what", "step", "details"), _log(content.events))),
        _measurements(content),
        f'</main><footer class="quiet"><p>{_text(_about(content))}</p></footer>',
        f"<script>{script}</script></body></html>",
    )
    return "".join(parts).encode(errors="replace")


# -- the steps -----------------------------------------------------------------------------------------


def _player(content: Content) -> str:
    if not content.shots:
        return '<p class="quiet">No step of this job is known.</p>'
    last = len(content.shots) - 1
    source = _figure(content.source, "Source", "") if content.source else ""
    figures = "".join(
        _figure(shot.picture, _label(shot, content.view), ' class="step"') for shot in content.shots
    )
    return (
        f'<div class="pictures">{source}{figures}</div><div id="controls" hidden>'
        '<button id="back" type="button" aria-label="A step back">‹</button>'
        f'<input id="range" type="range" min="0" max="{last}" value="{last}" aria-label="Step">'
        '<button id="on" type="button" aria-label="A step on">›</button>'
        '<span id="told" role="status"></span></div>'
        '<p class="quiet">Left and right arrow, Page Up, Page Down, Home and End move through the steps.</p>'
    )


def _figure(picture: bytes | None, label: str, attributes: str) -> str:
    told = _text(label)
    shown = "<p>No picture.</p>"
    if picture is not None:
        data = base64.b64encode(picture).decode()
        shown = f'<img src="data:image/webp;base64,{data}" alt="{told}">'
    return f'<figure{attributes} data-label="{told}">{shown}<figcaption>{told}</figcaption></figure>'


def _label(shot: Shot, view: JobView) -> str:
    measured = shot.measured
    total = f" of {view.total_steps}" if view.total_steps and measured.node_id == view.node_id else ""
    sigma = "" if measured.sigma is None else f" · {SIGMA} {measured.sigma:.3g}"
    where = "" if measured.node_id == view.node_id else f" · node {shot.node}"
    return f"Step {measured.step}{total}{sigma}{where}"


def _measurements(content: Content) -> str:
    lines = [
        f'<tr data-row="{index}">{_cells((shot.node, shot.measured.step, *_measures(shot)))}</tr>'
        for index, shot in enumerate(content.shots)
    ]
    if not lines:
        return ""
    head = _head(("node", "step", SIGMA, "change", "norm", "seconds", "memory"))
    return (
        f'<h2>Measurements</h2><div class="wide"><table>{head}<tbody>{"".join(lines)}</tbody></table></div>'
    )


def _measures(shot: Shot) -> list[str]:
    told = shot.measured.to_json()
    return ["" if told[name] is None else f"{told[name]:.4g}" for name in MEASURES[:-1]] + [
        "" if told["memory"] is None else f"{told['memory'] / 1e9:.2f} GB"
    ]


def _chart(measured: list[Telemetry]) -> str:
    values = [one.change for one in measured if one.change is not None]
    if len(values) < 2:
        return ""
    highest = max(values) or 1.0
    points = " ".join(
        f"{index * 1000 / (len(values) - 1):.1f},{88 - 84 * value / highest:.1f}"
        for index, value in enumerate(values)
    )
    box = 'viewBox="0 0 1000 90" preserveAspectRatio="none" aria-hidden="true"'
    drawn = f'<svg {box}><polyline {LINE} points="{points}"/></svg>'
    return f"<h2>Change from step to step</h2>{drawn}"


# -- what is told of the job ---------------------------------------------------------------------------


def _standing(view: JobView) -> str:
    where = f"step {view.step}" + (f" of {view.total_steps}" if view.total_steps else "")
    told = f"{view.state.value.capitalize()} after {where}"
    if view.state is State.ABORTED:
        kept = ", and its workflow finished with that" if view.abort_mode is AbortMode.FINISH else ""
        return f"{told}{kept}: {view.abort_reason or 'no reason was given'}"
    if view.error is not None:
        return f"{told}: {view.error.type}: {without_paths(view.error.message)}"
    return told + (f": {view.pause_reason.value.replace('_', ' ')}" if view.pause_reason else "")


def _edits(content: Content) -> Iterable[tuple[Any, ...]]:
    found = [
        (_called(content, node_id), name, edit["from"], edit["to"], _effect(edit["from_step"]))
        for node_id, named in to_json(content.view.edits).items()
        for name, edits in named.items()
        for edit in edits
    ]
    return found[-MOST_EDITS:]


def _effect(step: int | None) -> str:
    return "not yet" if step is None else f"after step {step}"


def _called(content: Content, node_id: str) -> str:
    return f"{content.titles[node_id]} ({node_id})" if node_id in content.titles else node_id


def _family(content: Content) -> Iterable[tuple[Any, ...]]:
    me = content.view
    for one in content.relatives:
        is_parent = one.job_id == me.parent_id
        kin = f"forked from it after step {one.parent_step}" if one.parent_id == me.job_id else "beside it"
        told = one.to_json()
        why = one.abort_reason or (without_paths(one.error.message) if one.error else "")
        yield (
            one.job_id,
            "its parent" if is_parent else kin,
            one.state.value,
            one.step,
            told["varied"] or "",
            why,
        )


def _log(events: list[dict[str, Any]]) -> Iterable[tuple[Any, ...]]:
    for event in events[-MOST_EVENTS:]:
        yield (
            event["at"],
            event["kind"].replace("_", " "),
            event["step"],
            without_paths(event["detail"]) or "",
        )


def _about(content: Content) -> str:
    view, left = content.view, content.of - len(content.shots)
    some = f" {left} of {content.of} steps are left out." if left > 0 else ""
    return (
        f"Job {view.job_id}, created {view.created_at}. This page was made {content.made_at} by Midrun.{some}"
    )


# -- HTML ----------------------------------------------------------------------------------------------


def _section(title: str, table: str) -> str:
    return f'<h2>{title}</h2><div class="wide">{table}</div>' if table else ""


def _table(names: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [f"<tr>{_cells(row)}</tr>" for row in rows]
    return f"<table>{_head(names)}<tbody>{''.join(lines)}</tbody></table>" if lines else ""


def _head(names: tuple[str, ...]) -> str:
    return f"<thead><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr></thead>"


def _cells(values: Iterable[Any]) -> str:
    return "".join(f"<td>{_text(value)}</td>" for value in values)


def _text(value: Any) -> str:
    """As text that a page shows as it is, shortened."""
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    told = "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in told)
    return escape(told if len(told) <= TEXT else f"{told[:TEXT]}…")


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
