"""The forks of one call as a grid: what varied, and which place each has. Values and pure functions."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest

Variant = dict[str, dict[str, Any]]  # {node_id: {input: value}}
LABEL = 40  # characters


@dataclass(frozen=True)
class Axis:
    """An input that varied, and its values in order."""

    node_id: str
    input: str
    values: tuple[Any, ...]

    def label(self, index: int) -> str:
        value = self.values[index]
        told = f"{value:g}" if isinstance(value, float) else str(value)
        text = " ".join(f"{self.input} {told}".split()).encode(errors="replace").decode()
        return text if len(text) <= LABEL else text[: LABEL - 1] + "…"


@dataclass(frozen=True)
class Cell:
    """The place of one job in a grid. `grid` names the grid; at: an index for each axis; repeat: from 0."""

    grid: str
    axes: tuple[Axis, ...]
    at: tuple[int, ...]
    repeat: int = 0

    @property
    def column(self) -> int:
        return self.at[0] if self.at else 0

    @property
    def row(self) -> tuple[int, int]:
        return (self.at[1] if len(self.at) > 1 else 0), self.repeat

    def to_row(self) -> dict[str, Any]:
        axes = [[axis.node_id, axis.input, list(axis.values)] for axis in self.axes]
        return {"grid": self.grid, "axes": axes, "at": list(self.at), "repeat": self.repeat}


def cell_of(row: dict[str, Any]) -> Cell:
    axes = tuple(Axis(node_id, name, tuple(values)) for node_id, name, values in row["axes"])
    return Cell(row["grid"], axes, tuple(row["at"]), row["repeat"])


def axes_of(vary: dict[str, dict[str, list[Any]]]) -> tuple[Axis, ...]:
    named = [(node_id, name, values) for node_id, of in vary.items() for name, values in of.items()]
    axes = [Axis(node_id, name, tuple(values)) for node_id, name, values in named]
    if len(axes) > 2:
        raise BadRequest(f"At most two inputs can vary at once, not {len(axes)}.")
    return tuple(axes)


def cells(name: str, axes: tuple[Axis, ...], count: int, most: int) -> list[Cell]:
    """Every combination, each `count` times; one where nothing varies. Raises BadRequest for too many."""
    number = count * math.prod(len(axis.values) for axis in axes)
    if number > most:
        raise BadRequest(f"That would be {number} jobs; the limit is {most} at once.")
    places = itertools.product(*(range(len(axis.values)) for axis in axes))
    return [Cell(name, axes, at, repeat) for at in places for repeat in range(count)]


def variant(cell: Cell) -> Variant:
    """What that one is to be computed with."""
    made: Variant = {}
    for axis, index in zip(cell.axes, cell.at, strict=True):
        made.setdefault(axis.node_id, {})[axis.input] = axis.values[index]
    return made
