"""What a job waits for somebody to choose: some of a batch, and perhaps a mask. Frozen values; any thread."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .errors import BadRequest

MOST = 4096  # of a batch


class Kind(str, Enum):
    """Of the wire that the choice is on."""

    IMAGE = "image"
    LATENT = "latent"
    MASK = "mask"


class Otherwise(str, Enum):
    """What is chosen where nobody chooses in time."""

    ALL = "all"
    NONE = "none"
    FIRST = "first"


@dataclass(frozen=True)
class Choice:
    """node_id: that asks, as in the graph; count: how many there are; most: can be chosen, 0 is any number

    until: when `otherwise` is chosen, ISO 8601 in UTC; None: it waits for ever
    paints: a mask can be painted; version: of the pictures, "" where there are none
    """

    node_id: str
    kind: Kind
    count: int
    most: int = 1
    otherwise: Otherwise = Otherwise.ALL
    until: str | None = None
    paints: bool = False
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "kind": self.kind.value, "otherwise": self.otherwise.value}

    def text(self, chosen: list[int] | str) -> str:
        """As the node's input has it. Raises BadRequest where it cannot be chosen."""
        text = chosen if isinstance(chosen, str) else ", ".join(map(str, sorted(set(chosen)))) or "none"
        numbers = numbers_of(text, self.count)
        if self.most and len(numbers) > self.most:
            raise BadRequest(f"At most {self.most} of {self.count} can be chosen, not {len(numbers)}.")
        return text


def choice_of(stored: dict[str, Any]) -> Choice:
    """From `Choice.to_json`."""
    kind, otherwise = Kind(stored["kind"]), Otherwise(stored["otherwise"])
    return Choice(**stored | {"kind": kind, "otherwise": otherwise})


def numbers_of(text: str, count: int) -> list[int]:
    """Which of `count` a text means, from 1, in order: "1, 3", or a word of Otherwise. Raises BadRequest."""
    text = text.strip().lower()
    if text == Otherwise.NONE.value or not count:
        return []
    if text == Otherwise.FIRST.value:
        return [1]
    if text == Otherwise.ALL.value:
        return list(range(1, count + 1))
    if not re.fullmatch(r"\d{1,9}(\s*,\s*\d{1,9})*", text):
        words = ", ".join(word.value for word in Otherwise)
        raise BadRequest(f'What is chosen must be numbers from 1, as "1, 3", or one of {words}.')
    numbers = sorted({int(one) for one in text.split(",")})
    beyond = [number for number in numbers if not 1 <= number <= count]
    if beyond:
        raise BadRequest(f"There is no number {beyond[0]}: there are {count} to choose from.")
    return numbers
