"""That a job went on from what another had computed of the very same prompt. A frozen value and its JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Retried:
    """job_id: of the job whose server died; evaluations: that were taken over, of all sampling calls

    server: that had it, where that is another
    """

    job_id: str
    evaluations: int
    server: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def retried_of(stored: dict[str, Any]) -> Retried:
    """From `Retried.to_json`. Raises KeyError or TypeError for anything else."""
    return Retried(stored["job_id"], stored["evaluations"], stored["server"])
