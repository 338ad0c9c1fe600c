"""Breakpoints at which somebody chooses from what comes to a node. Pure functions; any thread.

Such a one puts a MidrunChoose into the graph, before the node.
"""

from __future__ import annotations

from collections.abc import Set

from ..node import Node
from .breakpoints import Breakpoint, Breakpoints, before_nodes

ASKS = "midrun-choose-"  # the id of what lets choose before a node, followed by the id of that


def choosing_nodes(breakpoints: Breakpoints) -> dict[str, int]:
    """The nodes before which to choose -> how many at most."""
    return {node_id: choose for node_id, choose in before_nodes(breakpoints) if choose is not None}


def timely(breakpoints: Breakpoints, used: Set[str]) -> Breakpoints:
    """Without those that let choose before nodes of which what they got is used up."""
    return tuple(one for one in breakpoints if one.choose is None or one.node_id not in used)


def is_withdrawn(asks: str, breakpoints: Breakpoints) -> bool:
    """Whether what was put into the graph to let choose is not wanted any more."""
    return asks.startswith(ASKS) and asks.removeprefix(ASKS) not in choosing_nodes(breakpoints)


def asked_by(breakpoints: Breakpoints, node: Node) -> list[Breakpoint]:
    """Those that put that node into the graph."""
    choosing = (one for one in breakpoints if one.enabled and one.choose is not None)
    return [one for one in choosing if node.is_called(f"{ASKS}{one.node_id}")]
