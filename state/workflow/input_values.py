"""Whether a value fits an input of a node. Each refusal is a sentence for the artist who gave it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Definition:
    """An input as its node declares it. type: ComfyUI's, COMBO for a choice; None limits are no limits.

    upload: it names a file that a user uploads, such as a picture
    """

    type: str
    options: tuple[Any, ...] | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    multiline: bool = False
    lazy: bool = False
    upload: bool = False

    @property
    def editable(self) -> bool:
        return self.type in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def refusal(definition: Definition, value: Any) -> str | None:
    """Why the value cannot be taken, or None."""
    if isinstance(value, (list, dict)):
        return "it takes a value, not a link or a structure"
    if definition.type in ("INT", "FLOAT"):
        return _number(definition, value)
    if definition.type == "BOOLEAN":
        return None if isinstance(value, bool) else f"it must be true or false, not {_short(value)}"
    if definition.type == "STRING":
        return None if isinstance(value, str) else f"it must be a text, not {_short(value)}"
    if definition.options is not None and value not in definition.options:
        known = ", ".join(str(option) for option in definition.options[:8])
        more = " ..." if len(definition.options) > 8 else ""
        return f"{_short(value)} is not one of its options: {known}{more}"
    return None


def _number(definition: Definition, value: Any) -> str | None:
    kinds = (int,) if definition.type == "INT" else (int, float)
    whole = "a whole number" if definition.type == "INT" else "a number"
    if isinstance(value, bool) or not isinstance(value, kinds) or not _is_finite(value):
        return f"it must be {whole}, not {_short(value)}"
    if definition.min is not None and value < definition.min:
        return f"{_short(value)} is below its minimum, {definition.min:g}"
    if definition.max is not None and value > definition.max:
        return f"{_short(value)} is above its maximum, {definition.max:g}"
    return None


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "…"
