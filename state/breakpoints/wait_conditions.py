"""What a job waits out: hours of the day and a hot GPU. Pure values; clock and thermometer are elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from typing import Any

from ..errors import BadRequest

HOTTEST = 200  # degrees Celsius that make sense as a limit
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Window:
    """From one time of day to another, by the server's clock; past midnight where the second is earlier."""

    start: str  # "HH:MM"
    end: str

    def holds(self, now: time) -> bool:
        present = f"{now:%H:%M}"
        if self.start < self.end:
            return self.start <= present < self.end
        return present >= self.start or present < self.end

    def because(self) -> str:
        return f"It is between {self.start} and {self.end}. The job goes on by itself at {self.end}."

    def to_json(self) -> dict[str, Any]:
        return {"from": self.start, "to": self.end}


@dataclass(frozen=True)
class Heat:
    """Of the GPU, in degrees Celsius: hotter than the one, until it is cooler than the other."""

    above: float
    below: float

    def holds(self, celsius: float, held: bool) -> bool:
        """held: whether it did so far."""
        return celsius > self.above or (held and celsius >= self.below)

    def because(self, celsius: float) -> str:
        limits = f"above {self.above:g} °C. The job goes on by itself below {self.below:g} °C."
        return f"The GPU is at {celsius:g} °C and was {limits}"

    def to_json(self) -> dict[str, Any]:
        return {"above": self.above, "below": self.below}


Limits = Window | Heat


def window(given: dict[str, Any]) -> Window:
    """From JSON; raises BadRequest."""
    start, end = given.get("from"), given.get("to")
    if not _is_time(start) or not _is_time(end) or start == end:
        told = 'two different times of day, from and to, such as "08:00"'
        raise BadRequest(f"A breakpoint of kind time needs {told}.")
    return Window(str(start), str(end))


def heat(given: dict[str, Any]) -> Heat:
    """From JSON; raises BadRequest."""
    above, below = (_number(given.get(name)) for name in ("above", "below"))
    if not 0 < below < above <= HOTTEST:
        told = f"above and below, in degrees Celsius up to {HOTTEST}, with below lower than above"
        raise BadRequest(f"A breakpoint of kind heat needs {told}.")
    return Heat(above, below)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
