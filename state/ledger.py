"""What is entered of a job's evaluations for the ledger, and what the ledger tells. Values; any thread.

The ledger says what became of the GPU's time:

- computed: seconds of all evaluations that a model was asked for, which are those that are
  - kept: in a result that was completed, of the job itself, of a fork of it or of one that went on from it;
  - undecided: held by a job that has neither ended nor been deleted, a failed one included;
  - thrown away: all others.
- replayed: seconds that the evaluations took which were answered from a recording instead.
- saved: what aborted drafts and other aborted jobs did not compute, at their own mean of an evaluation.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple


class Answered(NamedTuple):
    """The model answered an evaluation of that sampling call, which is on record. number: from 1"""

    node_id: str
    call: int
    number: int
    seconds: float


class Replayed(NamedTuple):
    """An evaluation was answered from the recording."""

    node_id: str
    call: int
    number: int


class Wasted(NamedTuple):
    """The model was asked, and there is no answer that counts. reason: one of those below"""

    node_id: str
    seconds: float
    reason: str


Entry = Answered | Replayed | Wasted

# Why something was thrown away, besides what people give as the reason when they abort.
INTERRUPTED = "interrupted"  # an evaluation was left in the middle
NOT_A_NUMBER = "not a number"
REWOUND = "rewound"
LOST = "lost"  # it could not be read back
DELETED = "deleted"
NO_REASON = "no reason given"


@dataclass(frozen=True)
class Figures:
    """Seconds; see the top of this module. computed_s = kept_s + undecided_s + thrown_s"""

    computed_s: float = 0.0
    kept_s: float = 0.0
    undecided_s: float = 0.0
    thrown_s: float = 0.0
    replayed_s: float = 0.0
    saved_by_drafts_s: float = 0.0
    saved_by_aborts_s: float = 0.0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) + getattr(other, name) for name in FIGURES))

    def to_json(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


FIGURES = tuple(field.name for field in fields(Figures))
MOST = 100
COLUMNS = ("week", "workflow", "model", "reason")


@dataclass(frozen=True)
class Row:
    """Of one week, workflow, model and reason. week: as 2026-W05, by UTC; "": not known, or none"""

    week: str
    workflow: str
    model: str
    reason: str
    figures: Figures


def to_json(rows: list[Row], most: int = MOST) -> dict[str, Any]:
    """All together, and by each column; what has no reason is not listed by reason.

    most: workflows, models and reasons of each; what is least of them is summed up as `others` of that number
    """
    told: dict[str, Any] = {"total": total(rows).to_json()}
    for column in COLUMNS:
        sums: dict[str, Figures] = {}
        for row in rows:
            name = getattr(row, column)
            if name or column != "reason":
                sums[name] = sums.get(name, Figures()) + row.figures
        names = sorted(sums, key=lambda name: -_size(sums[name]))
        largest, rest = (names, []) if column == "week" else (names[:most], names[most:])
        told[f"by_{column}"] = [
            {column: name, **sums[name].to_json()} for name in sorted(largest, reverse=True)
        ]
        if rest:
            left = sum((sums[name] for name in rest), Figures())
            told[f"by_{column}"].append({column: "other", "others": len(rest), **left.to_json()})
    return told


def _size(figures: Figures) -> float:
    saved = figures.saved_by_drafts_s + figures.saved_by_aborts_s
    return figures.computed_s + figures.replayed_s + saved


def to_csv(rows: list[Row]) -> str:
    """With a header line. A text that a spreadsheet would take for a formula has an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((*COLUMNS, *FIGURES))
    for row in rows:
        writer.writerow(
            (*(_harmless(getattr(row, name)) for name in COLUMNS), *row.figures.to_json().values())
        )
    return text.getvalue()


def total(rows: Iterable[Row]) -> Figures:
    return sum((row.figures for row in rows), Figures())


def _harmless(told: str) -> str:
    return f"'{told}" if told[:1] in ("=", "+", "-", "@", "\t", "\r") else told
