"""A graph of which ComfyUI does not have all in its cache, though it computes the same. Pure functions."""

from __future__ import annotations

import copy
from collections.abc import Collection

from .graph import Prompt, inputs, link

MARK = "midrun_check"  # an input that no node has: ComfyUI looks at it for its cache alone
APART = "~"  # after the id of a node that is to be made anew, and before the mark


def fresh(prompt: Prompt, mark: str, loaders: Collection[str], kept: Collection[str]) -> Prompt:
    """The graph with a mark on all nodes that begin it, so that everything after them runs again.

    loaders: nodes that may keep what they read from a file; they get another id, for which ComfyUI makes them
        anew, unless they are among the `kept`
    """
    made = copy.deepcopy(prompt)
    for node_id in made:
        given = inputs(made, node_id)
        if not any(link(value) in made for value in given.values()):
            given[MARK] = mark
    names = {
        node_id: f"{node_id}{APART}{mark}" for node_id in loaders if node_id in made and node_id not in kept
    }
    for node_id in made:
        given = inputs(made, node_id)
        for name, value in given.items():
            if (source := link(value)) in names and source is not None:
                given[name] = [names[source], *value[1:]]
    return {names.get(node_id, node_id): node for node_id, node in made.items()}


def run_again(prompt: Prompt, mark: str, node_id: str) -> Prompt:
    """The graph with a mark on that node, so that it runs again whatever ComfyUI has in its cache."""
    made = copy.deepcopy(prompt)
    inputs(made, node_id)[MARK] = mark
    return made


def as_known(node_id: str | None) -> str | None:
    """The id of a node of such a graph as it is in the workflow."""
    return None if node_id is None else node_id.partition(APART)[0]
