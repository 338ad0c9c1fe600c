"""What a check of a job found: each recorded evaluation asked once more, and what is not as it was.

Frozen values and their JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from .surroundings import Difference


class Same(str, Enum):
    """How an answer compares with the recorded one, from the best to the worst."""

    EQUAL = "equal"
    ROUNDING = "rounding"  # within what the order of additions may change
    DIFFERENT = "different"


class Progress(str, Enum):
    """Of a check."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


OPEN = (Progress.QUEUED, Progress.RUNNING)
# What the evaluations were not asked with, and what makes another result of the same answers.
GIVEN_OTHER, GIVEN_ROUNDED, SAMPLER_CODE = "given", "given_rounded", "sampler_code"
# Whose change explains most comes first.
CULPRITS = (
    "model",
    "model_missing",
    "node_pack",
    "node_pack_missing",
    "patches",
    "conditioning",
    GIVEN_OTHER,
)


@dataclass(frozen=True)
class Compared:
    """One evaluation, asked once more. evaluation, step: from 1; step: that it belongs to

    difference: the largest of all elements; relative: that, of the largest recorded value; None is infinite
    """

    node_id: str
    call: int
    evaluation: int
    step: int
    sigma: float
    same: Same
    difference: float | None
    relative: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"same": self.same.value}


@dataclass(frozen=True)
class Check:
    """few: only the first, the middle and the last; total: to be asked; earlier: that no check can ask,
    as an edit came after them; changed: what is on record and is not as it was, the likeliest culprit first

    error: why it did not come to its end
    """

    prompt_id: str
    at: str
    few: bool = False
    progress: Progress = Progress.QUEUED
    total: int = 0
    earlier: int = 0
    compared: tuple[Compared, ...] = ()
    changed: tuple[Difference, ...] = ()
    error: str | None = None

    @property
    def is_open(self) -> bool:
        return self.progress in OPEN

    @property
    def verdict(self) -> Same | None:
        """The worst of all; None where nothing was compared."""
        order = list(Same)
        return max((one.same for one in self.compared), key=order.index, default=None)

    @property
    def first(self) -> Compared | None:
        """The first that is not equal: of those that differ by more than rounding, if any does."""
        return next((one for one in self.compared if one.same is self.verdict is not Same.EQUAL), None)

    @property
    def largest(self) -> Compared | None:
        """That which differs most."""
        apart = [one for one in self.compared if one.same is not Same.EQUAL]
        return max(apart, key=_size, default=None)

    def summary(self) -> dict[str, Any]:
        """For the Job of the REST API."""
        first, largest, verdict = self.first, self.largest, self.verdict
        return {
            "prompt_id": self.prompt_id,
            "at": self.at,
            "steps": "few" if self.few else "all",
            "state": self.progress.value,
            "verdict": None if verdict is None or self.is_open else verdict.value,
            "message": sentence(self),
            "compared": len(self.compared),
            "total": self.total,
            "earlier": self.earlier,
            "first": None if first is None else first.to_json(),
            "largest": None if largest is None else largest.to_json(),
            "changed": [asdict(one) for one in self.changed],
            "error": self.error,
        }

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return self.summary() | {"evaluations": [one.to_json() for one in self.compared]}

    def to_row(self) -> dict[str, Any]:
        return asdict(self)


def check_of(stored: dict[str, Any]) -> Check:
    """From `Check.to_row`. One that was open has ended with its server."""
    progress, error = Progress(stored["progress"]), stored["error"]
    if progress in OPEN:
        progress, error = Progress.FAILED, "ComfyUI ended meanwhile."
    return Check(
        **stored
        | {
            "progress": progress,
            "error": error,
            "compared": tuple(Compared(**one | {"same": Same(one["same"])}) for one in stored["compared"]),
            "changed": tuple(Difference(**one) for one in stored["changed"]),
        }
    )


def in_order(changed: Iterable[Difference]) -> tuple[Difference, ...]:
    """The likeliest culprit first, what changes no answer last; each once."""

    def place(one: Difference) -> tuple[bool, int]:
        return not one.arithmetic, CULPRITS.index(one.code) if one.code in CULPRITS else len(CULPRITS)

    return tuple(sorted(dict.fromkeys(changed), key=place))


def sentence(check: Check) -> str:
    """What a person is told."""
    if check.is_open:
        return f"The check has asked {len(check.compared)} of {check.total} evaluations."
    if check.progress is Progress.CANCELLED:
        return "The check was cancelled."
    if check.progress is Progress.FAILED:
        return f"The check could not come to its end: {check.error}"
    return " ".join(part for part in (_found(check), _because(check), _left_out(check)) if part)


def _found(check: Check) -> str:
    first, largest, count = check.first, check.largest, len(check.compared)
    asked = "The evaluation that was asked again is" if count == 1 else f"All {count} evaluations are"
    if first is None or largest is None:
        return f"{asked} answered exactly as on record."
    if check.verdict is Same.ROUNDING:
        return f"{asked} equal to rounding; the largest difference is {_number(largest.difference)}."
    where = f"Step {first.step} (evaluation {first.evaluation} of node {first.node_id}) is the first that"
    by = f"by {_number(first.difference)} at most"
    more = "" if first.relative is None else f", {first.relative:.2g} of its largest value"
    count = sum(one.same is Same.DIFFERENT for one in check.compared)
    return f"{where} is answered otherwise, {by}{more}. {count} of {len(check.compared)} differ."


def _because(check: Check) -> str:
    matter = [one.message for one in check.changed if one.arithmetic]
    given = [one.message for one in check.changed if one.code in (GIVEN_OTHER, GIVEN_ROUNDED)]
    if matter:
        return "What changed: " + " ".join(matter + given)
    if check.verdict is Same.EQUAL:
        return " ".join(given)
    unknown = (
        "Nothing changed of what Midrun puts on record (models, node packs, patches, conditioning, versions, "
        "threads), so it is something else: a driver, say, or a file that a node pack loads by itself."
    )
    return " ".join((unknown, *given))


def _left_out(check: Check) -> str:
    if not check.earlier:
        return ""
    return f"{check.earlier} earlier evaluations were recorded before an edit and were not asked again."


def _size(one: Compared) -> float:
    return math.inf if one.difference is None else one.difference


def _number(value: float | None) -> str:
    return "an infinite or undefined amount" if value is None else f"{value:.3g}"
