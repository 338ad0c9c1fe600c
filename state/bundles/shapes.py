"""Whether plain JSON is shaped as it has to be. Pure functions.

A shape is a function that raises Misshapen. What a bundle says is held against one before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Shape = Callable[[Any, str], None]  # (value, how it is called)
LONGEST = 1_000_000  # characters of a text, and members of a list


class Misshapen(ValueError):
    """The message names the part of the JSON."""


def _is(kind: type | tuple[type, ...], fits: Callable[[Any], bool] = lambda value: True) -> Shape:
    def check(value: Any, name: str) -> None:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool) or not fits(value):
            raise Misshapen(name)

    return check


text = _is(str, lambda value: len(value) <= LONGEST and _encodable(value))
flag = _is(bool)
count = _is(int, lambda value: 0 <= value < 2**31)
whole = _is(int, lambda value: abs(value) < 2**63)
number = _is((int, float), lambda value: abs(value) < 1e300 and math.isfinite(value))


def anything(value: Any, name: str) -> None:
    """Of a graph: whatever JSON can be. That it can be stored is all that is asked."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            text(one, name)
        elif isinstance(one, (int, float)) and not isinstance(one, bool):
            number(one, name)


def optional(shape: Shape) -> Shape:
    return lambda value, name: None if value is None else shape(value, name)


def one_of(*values: Any) -> Shape:
    return _is(object, lambda value: any(value is one or value == one for one in values))


def list_of(shape: Shape, most: int = LONGEST) -> Shape:
    def check(value: Any, name: str) -> None:
        _is(list, lambda value: len(value) <= most)(value, name)
        for one in value:
            shape(one, name)

    return check


def row_of(*shapes: Shape) -> Shape:
    """A list with just those members."""

    def check(value: Any, name: str) -> None:
        _is(list, lambda value: len(value) == len(shapes))(value, name)
        for shape, one in zip(shapes, value, strict=True):
            shape(one, name)

    return check


def named(shape: Shape) -> Shape:
    """A dictionary with any names, whose values are of that shape."""

    def check(value: Any, name: str) -> None:
        _is(dict)(value, name)
        for key, one in value.items():
            text(key, name)
            shape(one, f"{name}.{key[:40]}")

    return check


def fields(**shapes: Shape) -> Shape:
    """A dictionary with just those names."""

    def check(value: Any, name: str) -> None:
        _is(dict, lambda value: value.keys() == shapes.keys())(value, name)
        for key, shape in shapes.items():
            shape(value[key], f"{name}.{key}")

    return check


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
