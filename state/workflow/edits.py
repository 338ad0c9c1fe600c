"""Edits of a prompt graph: what was changed, from what to what, from which step on. Plain dictionaries.

A job's history has, for each input, its edits in order. Only the last of them can be pending.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .graph import Prompt, inputs

Path = tuple[str, str]  # (node_id, input name)
Edits = dict[Path, "Edit"]
History = dict[str, dict[str, tuple["Edit", ...]]]  # node_id -> input -> edits


@dataclass(frozen=True)
class Edit:
    """`before`, `after`: values or links, None for an input that is not there.

    from_step: how many steps were done when it was applied; None while it is pending
    in_node: the node that sampled then
    chosen: it is somebody's choice at a MidrunChoose, which a rewind to that very step takes back
    """

    before: Any
    after: Any
    from_step: int | None = None
    in_node: str | None = None
    chosen: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"from": self.before, "to": self.after, "from_step": self.from_step}


def audit(path: Path, edit: Edit | None) -> dict[str, Any]:
    """A line of the audit trail; an edit that was taken back has no more to tell."""
    return {"node_id": path[0], "input": path[1]} | ({"undone": True} if edit is None else edit.to_json())


def changed(history: History, path: Path, edit: Edit | None) -> History:
    """A pending edit is replaced, or with None taken back; an applied one is followed by the new one."""
    node_id, name = path
    edits = history.get(node_id, {}).get(name, ())
    if edits and edits[-1].from_step is None:
        edits = edits[:-1]
    if edit is not None and edit.before != edit.after:
        edits = (*edits, edit)
    of_node = {**history.get(node_id, {}), name: edits}
    return _without_empty({**history, node_id: of_node})


def pending(history: History) -> dict[Path, Edit]:
    return {
        (node_id, name): edits[-1]
        for node_id, named in history.items()
        for name, edits in named.items()
        if edits[-1].from_step is None
    }


def applied(history: History, taken: dict[Path, Edit], step: int, node_id: str | None = None) -> History:
    """The same after these pending edits took effect; one that was replaced meanwhile stays pending."""
    for (input_of, name), edit in taken.items():
        edits = history.get(input_of, {}).get(name, ())
        made = replace(edit, from_step=step, in_node=node_id)
        if edit in edits:
            now = tuple(made if known is edit else known for known in edits)
        elif edits and edits[-1].from_step is None:
            now = (*edits[:-1], made, edits[-1])
        else:
            now = (*edits, made)
        history = {**history, input_of: {**history.get(input_of, {}), name: now}}
    return history


def taken_back(history: History, later: Callable[[Edit], bool]) -> tuple[History, Edits]:
    """Without the edits that were applied later than some moment, and what undoes those in a graph."""
    undoing: Edits = {}
    kept: History = {}
    for node_id, named in history.items():
        for name, edits in named.items():
            gone = [edit for edit in edits if edit.from_step is not None and later(edit)]
            left = tuple(edit for edit in edits if edit not in gone)
            if gone:
                undoing[node_id, name] = Edit(gone[-1].after, gone[0].before)
                left = tuple(_on_top_of(gone[0].before, edit) for edit in left)
            kept = {**kept, node_id: {**kept.get(node_id, {}), name: left}}
    return _without_empty(kept), undoing


def _on_top_of(value: Any, edit: Edit) -> Edit:
    """A pending edit changes what is in force, which is that value now."""
    return replace(edit, before=value) if edit.from_step is None else edit


def newest(history: History, step: int, node_id: str | None) -> frozenset[Path]:
    """The inputs that were edited after that step of the node, or later."""
    return frozenset(
        (edited, name)
        for edited, named in history.items()
        for name, edits in named.items()
        for edit in edits
        if edit.from_step is not None and edit.from_step >= step and edit.in_node in (None, node_id)
    )


def without_pending(history: History) -> History:
    for path in pending(history):
        history = changed(history, path, None)
    return history


def with_edits(prompt: Prompt, edits: dict[Path, Edit]) -> Prompt:
    """A copy of the graph with these edits made."""
    edited = copy.deepcopy(prompt)
    for (node_id, name), edit in edits.items():
        if edit.after is None:
            inputs(edited, node_id).pop(name, None)
        else:
            inputs(edited, node_id)[name] = copy.deepcopy(edit.after)
    return edited


def difference(before: Prompt, after: Prompt) -> dict[Path, Edit]:
    """What became of the inputs of the nodes that are in both; values, links and converted widgets alike."""
    found: dict[Path, Edit] = {}
    for node_id in before.keys() & after.keys():
        then, now = inputs(before, node_id), inputs(after, node_id)
        for name in then.keys() | now.keys():
            if then.get(name) != now.get(name):
                found[node_id, name] = Edit(then.get(name), now.get(name))
    return found


def summary(history: History) -> dict[str, dict[str, Any]]:
    """The newest edit of each input."""
    return {
        node_id: {name: edits[-1].to_json() for name, edits in named.items()}
        for node_id, named in history.items()
    }


def modified(history: History) -> dict[str, Any]:
    """For the REST API: the newest edit of each input, and the node that sampled when that took effect."""
    newest = {(node_id, name): edits[-1] for node_id, of in history.items() for name, edits in of.items()}
    within: dict[str, dict[str, str]] = {}
    for (node_id, name), edit in newest.items():
        if edit.in_node is not None:
            within.setdefault(node_id, {})[name] = edit.in_node
    return {"modified_params": summary(history), "modified_in": within}


def to_json(history: History) -> dict[str, dict[str, list[dict[str, Any]]]]:
    return {
        node_id: {
            name: [edit.to_json() | {"in_node": edit.in_node, "chosen": edit.chosen} for edit in edits]
            for name, edits in named.items()
        }
        for node_id, named in history.items()
    }


def from_json(stored: dict[str, Any]) -> History:
    return {
        node_id: {name: tuple(map(_edit_of, edits)) for name, edits in named.items()}
        for node_id, named in stored.items()
    }


def _edit_of(stored: dict[str, Any]) -> Edit:
    told = stored["from"], stored["to"], stored["from_step"], stored["in_node"]
    return Edit(*told, stored["chosen"])


def _without_empty(history: History) -> History:
    kept = {
        node_id: {name: edits for name, edits in named.items() if edits} for node_id, named in history.items()
    }
    return {node_id: named for node_id, named in kept.items() if named}
