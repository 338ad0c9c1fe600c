"""What a resume of a job will be like, where the model's patches remember. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EXACT, RECOMPUTES, INEXACT = "exact", "recomputes", "inexact"


@dataclass(frozen=True)
class Exactness:
    """kind: one of the three; evaluations, seconds: that a resume asks again; because: what remembers"""

    kind: str = EXACT
    evaluations: int = 0
    seconds: float | None = None
    because: str | None = None

    def to_json(self) -> dict[str, Any]:
        seconds = None if self.seconds is None else round(self.seconds, 3)
        told = {"kind": self.kind, "evaluations": self.evaluations, "seconds": seconds}
        return told | {"because": self.because}


def exactness_of(stored: dict[str, Any]) -> Exactness:
    """From `to_json`."""
    return Exactness(**stored)
