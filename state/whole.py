"""Whole numbers as JSON has them, where 3 and 3.0 are the same. Pure; any thread."""

from __future__ import annotations

from typing import Any


def whole_number(value: Any) -> int | None:
    """That number; None for what is no whole number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None
