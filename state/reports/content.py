"""What is on a job's report: frozen values. Whatever a person or a client wrote is text, of any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..job.view import JobView
from ..telemetry import Telemetry

T = TypeVar("T")


@dataclass(frozen=True)
class Shot:
    """A step, and its picture as WebP, if there is one."""

    measured: Telemetry
    picture: bytes | None = None

    @property
    def node(self) -> str:
        """As a person knows it."""
        return self.measured.display_node_id or self.measured.node_id


@dataclass(frozen=True)
class Content:
    """shots: in order of time; of: how many steps there are, where those are too many for a page

    relatives: the jobs that it was forked from, that were forked from it, and that were drafted with it
    titles: of nodes, by their ids in the workflow
    """

    name: str
    view: JobView
    made_at: str
    shots: tuple[Shot, ...] = ()
    of: int = 0
    source: bytes | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    relatives: tuple[JobView, ...] = ()
    titles: dict[str, str] = field(default_factory=dict)


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly, the first and the last included."""
    if len(items) <= most:
        return list(items)
    last = len(items) - 1
    return [items[round(index * last / (most - 1))] for index in range(most)]
