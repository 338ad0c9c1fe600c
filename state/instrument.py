"""Putting Midrun's own nodes into a prompt graph on its way to the queue, and taking them out again.

Pure functions. The nodes pass things through: nothing is computed differently, and the user's workflow stays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from .graph import Prompt, class_type, inputs, link

ATTACH, BREAK = "MidrunAttach", "MidrunBreakpoint"
WATCHING = ("MidrunKSampler", ATTACH)
PREFIX = "midrun-"
Types = Callable[[str], tuple[dict[str, str], tuple[str, ...]]]  # class -> (input name -> type, output types)
SAMPLES = frozenset({"LATENT", "GUIDER"})  # what a node gives that samples, or that makes a guider


def watch_all(prompt: Prompt, types_of: Types) -> Prompt:
    """A MidrunAttach on the way of every model into a node that samples with it or makes a guider of it."""
    made = copy.deepcopy(prompt)
    for node_id in prompt:
        for name in _models_of(prompt, node_id, types_of):
            source, slot = inputs(made, node_id)[name]
            attach = f"{PREFIX}watch-{source}-{slot}"
            made[attach] = _node(ATTACH, model=[source, slot])
            inputs(made, node_id)[name] = [attach, 0]
    return made


def break_before(prompt: Prompt, node_ids: Iterable[str]) -> Prompt:
    """A MidrunBreakpoint on every link into these nodes; those without a link, or unknown, are left alone."""
    made = copy.deepcopy(prompt)
    for node_id in dict.fromkeys(node_ids):
        for name, value in list(inputs(made, node_id).items()):
            if link(value) is not None:
                stop = f"{PREFIX}break-{node_id}-{name}"
                made[stop] = _node(BREAK, value=value, before=node_id)
                inputs(made, node_id)[name] = [stop, 0]
    return made


def breakable(prompt: Prompt, node_id: str) -> bool:
    return any(link(value) is not None for value in inputs(prompt, node_id).values())


def plain(prompt: Prompt) -> Prompt:
    """The graph without what was put into it."""
    ours = {node_id for node_id in prompt if _is_ours(prompt, node_id)}
    if not ours:
        return prompt
    made = {node_id: copy.deepcopy(node) for node_id, node in prompt.items() if node_id not in ours}
    for node_id in made:
        for name, value in inputs(made, node_id).items():
            inputs(made, node_id)[name] = _behind(prompt, ours, value)
    return made


def _models_of(prompt: Prompt, node_id: str, types_of: Types) -> list[str]:
    """The inputs by which a node takes a model that nobody watches yet, if it samples."""
    kind = class_type(prompt, node_id)
    if kind is None or kind in (*WATCHING, BREAK):
        return []
    types, outputs = types_of(kind)
    if not SAMPLES & set(outputs):
        return []
    models = {
        name: link(value) for name, value in inputs(prompt, node_id).items() if types.get(name) == "MODEL"
    }
    return [name for name, source in models.items() if source and class_type(prompt, source) != ATTACH]


def _is_ours(prompt: Prompt, node_id: str) -> bool:
    return node_id.startswith(PREFIX) and class_type(prompt, node_id) in (ATTACH, BREAK)


def _behind(prompt: Prompt, ours: set[str], value: Any) -> Any:
    """What a link comes from, past nodes of ours."""
    seen: set[str] = set()
    while (source := link(value)) in ours and source not in seen:
        assert source is not None
        seen.add(source)
        given = inputs(prompt, source)
        value = given.get("model") if class_type(prompt, source) == ATTACH else given.get("value")
    return value


def _node(kind: str, **given: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": given, "_meta": {"title": "Midrun"}}
