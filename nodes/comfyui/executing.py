"""Which node runs on this thread, in ComfyUI's own words and in a person's. ComfyUI's worker thread."""

from __future__ import annotations

import re
from typing import Any

from comfy_execution.progress import get_progress_state

from ...state.node import Loops, Node, itself


def node_that_runs(prompt_id: str, node_id: str) -> Node:
    """The node that executes under that id in the prompt that runs."""
    progress = get_progress_state()
    if progress.prompt_id != prompt_id:
        return itself(node_id)
    graph = progress.dynprompt
    return Node(node_id, graph.get_display_node_id(node_id), _loops(graph, node_id))


def loop_ends(loops: Loops) -> list[str]:
    """The nodes of the workflow that end these loops of the prompt that runs."""
    graph = get_progress_state().dynprompt
    return [graph.get_display_node_id(graph.get_node(loop)["_loop_end"]) for loop, _ in loops]


def prompt_that_runs() -> dict[str, Any]:
    return get_progress_state().dynprompt.get_original_prompt()


def _loops(graph: Any, node_id: str) -> Loops:
    """The loops of ComfyUI that the node is in the body of; none where ComfyUI has no loops."""
    found: list[tuple[str, int]] = []
    while (parent := graph.get_parent_node_id(node_id)) is not None:
        body = graph.get_node(parent).get("_loop_body")
        # ComfyUI names a copy of the body after its place among the iterations and the node that it is of.
        place = re.fullmatch(r"\d+\.\d+\.(\d+)_(.+)", node_id.removeprefix(f"{parent}."), re.DOTALL)
        if body is not None and place is not None and place[2] in body:
            found.insert(0, (parent, int(place[1]) + 1))
        node_id = parent
    return tuple(found)
