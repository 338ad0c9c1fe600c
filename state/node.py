"""Which node something belongs to: the one that executed, and the one that a person sees. Pure functions.

What a node puts in its place while it runs is known as that node as well: `6.0.0.1` as 6. ComfyUI copies the
body of a loop for each iteration: `5.0.0.2_6` is node 6 in the third.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

Loops = tuple[tuple[str, int], ...]  # (the loop, the iteration of it), the outermost first; from 1


@dataclass(frozen=True)
class Node:
    """node_id: of what executed; display_id: of the node of the workflow that a person sees it as."""

    node_id: str
    display_id: str
    loops: Loops = ()

    def is_called(self, name: str | None) -> bool:
        """Whether that is a name of it. The one place that says so."""
        return name is not None and name in (self.node_id, self.display_id)

    def beside(self, name: str) -> Node:
        """The node of the workflow with that name, as it executes in the same iteration as this one."""
        where = self.node_id.removesuffix(self.display_id) if self.loops else ""
        return Node(where + name, name, self.loops)

    @property
    def iteration(self) -> int | None:
        """Of the innermost loop that it is in."""
        return self.loops[-1][1] if self.loops else None

    def fields(self) -> dict[str, Any]:
        """Of a view or a moment that is at this node."""
        return {"node_id": self.node_id, "display_node_id": self.display_id, "loops": self.loops}

    def told(self) -> dict[str, Any]:
        """For the REST API."""
        return {"node_id": self.node_id, "display_node_id": self.display_id, "iteration": self.iteration}

    def to_json(self) -> list[Any]:
        return [self.node_id, self.display_id, self.loops]


def itself(node_id: str) -> Node:
    """A node that nothing was put in the place of."""
    return Node(node_id, node_id)


def node_of(stored: list[Any]) -> Node:
    """From `Node.to_json`."""
    node_id, display_id, loops = stored
    return Node(node_id, display_id, loops_of(loops))


def loops_of(stored: list[Any]) -> Loops:
    return tuple((loop, iteration) for loop, iteration in stored)


def told_of(loops: Loops) -> dict[str, Any]:
    """In which iteration, where there is a loop. For the audit trail."""
    return {"iteration": loops[-1][1]} if loops else {}


def is_past(other: Node, node: Node, ends: Sequence[str], needs: Callable[[str], Container[str]]) -> bool:
    """Whether `other` runs only after the iterations that `node` is in: in a later one, or behind the loop.

    ends: of the loops of `node`; needs: all nodes that a node of the workflow depends on
    """
    for depth, (loop, iteration) in enumerate(node.loops):
        here = other.loops[depth] if depth < len(other.loops) else None
        if here is None or here[0] != loop:
            return ends[depth] in needs(other.display_id)
        if here[1] != iteration:
            return here[1] > iteration
    return False
