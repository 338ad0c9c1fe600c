"""What a network of another server answered, before anything of this process is made of it. Pure functions.

A recording names the classes of what it holds, and whoever wrote it chooses the names: only those of answers
of the libraries that networks come from are made again.
"""

from __future__ import annotations

from typing import Any

from .header import Unsound
from .tree import Tree

LIBRARIES = ("diffusers", "transformers")
ANSWERS = ("Output", "Outputs")  # how the names of such classes end
NESTED = ("list", "tuple")
BY_NAME = ("dict", "OrderedDict")
DEEPEST = 50


def check_tree(tree: Tree, told: str) -> None:
    """Raises Unsound. told: of which evaluation it is"""
    waiting: list[tuple[Any, int]] = [(tree.skeleton, 0)]
    while waiting:
        one, depth = waiting.pop()
        if not isinstance(one, dict) or depth > DEEPEST:
            raise Unsound(f"the answer of {told} cannot be right")
        if one.keys() == {"tensor", "aside"}:
            if one["tensor"] not in tree.tensors or not isinstance(one["aside"], bool):
                raise Unsound(f"the answer of {told} lacks a tensor")
        elif one.keys() != {"value"}:
            waiting += [(part, depth + 1) for part in _parts(one, told)]
        elif not isinstance(one["value"], (type(None), bool, int, float, str)):
            raise Unsound(f"the answer of {told} cannot be right")


def _parts(one: dict[str, Any], told: str) -> list[Any]:
    if one.keys() == {"class", "fields"}:
        _check_class(one["class"], told)
        return _values(one["fields"], told, str)
    kind, parts = next(iter(one.items())) if len(one) == 1 else ("", None)
    if kind in NESTED and isinstance(parts, list):
        return parts
    if kind in BY_NAME:
        return _values(parts, told, (type(None), bool, int, float, str))
    raise Unsound(f"the answer of {told} cannot be right")


def _values(pairs: Any, told: str, key: type | tuple[type, ...]) -> list[Any]:
    if not isinstance(pairs, list):
        raise Unsound(f"the answer of {told} cannot be right")
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], key) for pair in pairs):
        raise Unsound(f"the answer of {told} cannot be right")
    return [pair[1] for pair in pairs]


def _check_class(named: Any, told: str) -> None:
    is_name = isinstance(named, list) and len(named) == 2 and all(isinstance(one, str) for one in named)
    if not is_name:
        raise Unsound(f"the answer of {told} cannot be right")
    module, name = named
    if module.split(".")[0] not in LIBRARIES or not name.endswith(ANSWERS) or "." in name:
        raise Unsound(
            f"the answer of {told} is a {module[:60]}.{name[:60]}, which is made of this server's own "
            "recordings only"
        )
