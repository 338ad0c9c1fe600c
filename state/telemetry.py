"""What is measured of each step: a frozen value, its JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Telemetry:
    """Of one step. change: of `denoised`, relative to the step before; norm: of `denoised`, Euclidean.

    display_node_id, iteration: of the node, as in Node;
    seconds: that the model took for it; memory: bytes that torch holds on the device. None where not known.
    """

    node_id: str
    step: int
    sigma: float | None
    change: float | None = None
    norm: float | None = None
    seconds: float | None = None
    memory: int | None = None
    display_node_id: str = ""
    iteration: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: _finite(value) for name, value in asdict(self).items()}

    def of_job(self) -> dict[str, Any]:
        """The same inside a Job, which names the node itself."""
        told = self.to_json()
        for name in ("node_id", "display_node_id", "iteration"):
            del told[name]
        return told


COLUMNS = tuple(field.name for field in fields(Telemetry))


def to_csv(rows: Iterable[Telemetry]) -> str:
    """With a header line; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(row.to_json() for row in rows)
    return text.getvalue()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
