"""Which nodes are behind a Midrun Attach on a wire that is not of ComfyUI's MODEL. Reads the graph."""

from __future__ import annotations

from typing import Any

from ...state.workflow.graph import link
from ...state.workflow.instrument import ATTACH, PASSED_BY
from ..comfyui.comfy_nodes import node_class

MODEL, ANY = "MODEL", "*"


def attach_of(graph: Any, node_id: str) -> dict[str, Any] | None:
    """The inputs of the Midrun Attach that watches this node, or None. graph: ComfyUI's DynamicPrompt

    Also where the wire comes through others that pass on what is of its type, as those do that add a LoRA.
    """
    waiting = _sources(graph, node_id, None)
    seen: set[tuple[str, int]] = set()
    while waiting:
        source, slot = waiting.pop(0)
        if (source, slot) in seen:
            continue
        seen.add((source, slot))
        if _class(graph, source) == ATTACH:
            return graph.get_node(source)["inputs"]
        waiting += _sources(graph, source, type_given(graph, source, slot))
    return None


def is_models(graph: Any, node_id: str) -> bool | None:
    """Whether what goes into that Midrun Attach is of ComfyUI's type MODEL; None where no node tells."""
    found = _linked(graph.get_node(node_id)["inputs"].get("model"))
    kind = ANY if found is None else type_given(graph, *found)
    return None if kind == ANY else kind == MODEL


def type_given(graph: Any, node_id: str, slot: int) -> str:
    """The type of what a node gives there, through nodes of ours."""
    seen: set[str] = set()
    while (name := PASSED_BY.get(_class(graph, node_id))) is not None and node_id not in seen:
        seen.add(node_id)
        found = _linked(graph.get_node(node_id)["inputs"].get(name))
        if found is None:
            return ANY
        node_id, slot = found
    given = getattr(node_class(_class(graph, node_id)), "RETURN_TYPES", ())
    return str(given[slot]) if slot < len(given) else ANY


def sources_of(graph: Any, node_id: str) -> list[str]:
    """The nodes that are linked to it."""
    found = (_linked(value) for value in graph.get_node(node_id)["inputs"].values())
    return [source for source, _ in filter(None, found)]


def _sources(graph: Any, node_id: str, kind: str | None) -> list[tuple[str, int]]:
    """What is linked to the node, but for models of ComfyUI; of one type, where it is told."""
    if not graph.has_node(node_id):
        return []
    found = [_linked(value) for value in graph.get_node(node_id)["inputs"].values()]
    known = [(one, type_given(graph, *one)) for one in found if one is not None and graph.has_node(one[0])]
    return [one for one, given in known if given != MODEL and kind in (None, ANY, given)]


def _linked(value: Any) -> tuple[str, int] | None:
    source = link(value)
    return None if source is None else (source, value[1])


def _class(graph: Any, node_id: str) -> str:
    return graph.get_node(node_id)["class_type"] if graph.has_node(node_id) else ""
