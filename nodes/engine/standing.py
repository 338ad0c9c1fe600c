"""What comes by the wires into a node before which the job pauses. ComfyUI's worker thread."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from comfy_execution.progress import get_progress_state

from ...state.node import Node
from ...state.workflow.graph import link
from ..comfyui.comfy_nodes import node_class
from ..previews.describing import Standing, tensor_of
from ..previews.value_pictures import on_host
from .run_watch import outputs_of

log = logging.getLogger(__name__)

ANYTHING = "*"  # the type of a wire that takes any
DEEPEST = 20  # nodes that pass a value on


def stands_before(node: Node, stop: Node, value: Sequence[Any]) -> list[Standing]:
    """On each wire into the node, as far as it is at hand. stop: the breakpoint that runs, given `value`."""
    graph = get_progress_state().dynprompt
    if node == stop or not graph.has_node(node.node_id):
        own = graph.get_node(stop.node_id)["inputs"].get("value")
        return _standing(graph, "value", own, value)
    found = []
    for name, given in graph.get_node(node.node_id)["inputs"].items():
        source = link(given)
        if source is None:
            continue
        if source == stop.node_id:
            found += _standing(graph, name, graph.get_node(source)["inputs"].get("value"), value)
            continue
        outputs = outputs_of([source]).get(source, ())
        if given[1] < len(outputs):
            found += _standing(graph, name, given, outputs[given[1]])
    return found


def _standing(graph: Any, name: str, came_from: Any, values: Sequence[Any]) -> list[Standing]:
    """Of a list on a wire; none of an empty one, nor of what cannot be looked at."""
    if not values:
        return []
    try:
        tensor = tensor_of(values[0])
        device = None if tensor is None else str(tensor.device)
        kind, text = _origin(graph, came_from)
        return [Standing(name, on_host(values[0]), kind, len(values), device, text)]
    except Exception as error:  # noqa: BLE001  another pack's object may do anything; the prompt goes on
        log.warning("Midrun: what stands on the wire into %s cannot be looked at", name, exc_info=error)
        return []


def _origin(graph: Any, given: Any) -> tuple[str | None, str | None]:
    """The type that the node says which gave it, past those that pass anything on; and the text it had."""
    for _ in range(DEEPEST):
        source = link(given)
        if source is None or not graph.has_node(source):
            break
        told = graph.get_node(source)
        types = getattr(node_class(told["class_type"]), "RETURN_TYPES", ())
        kind = _name_of(types[given[1]]) if given[1] < len(types) else ANYTHING
        if kind != ANYTHING:
            text = told["inputs"].get("text")
            return kind, text if isinstance(text, str) else None
        given = told["inputs"].get("value")
    return None, None


def _name_of(kind: Any) -> str:
    """Of a type; some nodes give the list of what can be chosen."""
    return "COMBO" if isinstance(kind, (list, tuple)) else str(kind)
