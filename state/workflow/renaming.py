"""Files that a graph names, under other names. Pure functions over plain dictionaries."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from .edits import Edit, History
from .graph import Prompt, inputs

Renamed = dict[tuple[str, str], tuple[str, str]]  # (node_id, input) -> the value and what takes its place


def in_prompt(prompt: Prompt, names: Renamed) -> Prompt:
    made = copy.deepcopy(prompt)
    for (node_id, name), (old, new) in names.items():
        given = inputs(made, node_id)
        if given.get(name) == old:
            given[name] = new
    return made


def in_history(history: History, names: Renamed) -> History:
    """An edit is one of the same input, so it is told with the new names, too."""

    def told(edit: Edit, old: str, new: str) -> Edit:
        before, after = (new if value == old else value for value in (edit.before, edit.after))
        return replace(edit, before=before, after=after)

    made = {node_id: dict(named) for node_id, named in history.items()}
    for (node_id, name), (old, new) in names.items():
        edits = made.get(node_id, {}).get(name)
        if edits is not None:
            made[node_id][name] = tuple(told(edit, old, new) for edit in edits)
    return made


def in_workflow(extra_data: dict[str, Any], names: Renamed) -> dict[str, Any]:
    """The workflow as the page has it, which saved pictures carry; left as it is where it looks otherwise."""
    made = copy.deepcopy(extra_data)
    embedded = made.get("extra_pnginfo")
    workflow = embedded.get("workflow") if isinstance(embedded, dict) else None
    nodes = workflow.get("nodes") if isinstance(workflow, dict) else None
    for node in nodes if isinstance(nodes, list) else ():
        values = node.get("widgets_values") if isinstance(node, dict) else None
        if not isinstance(values, list):
            continue
        for (node_id, _), (old, new) in names.items():
            if str(node.get("id")) == node_id:
                values[:] = [new if value == old else value for value in values]
    return made
