"""Where the items of one recording lie: on disk, in memory, or wherever else these few verbs can be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .item_file import Item
from .tensor_file import Tensors

Decode = Callable[[Tensors, dict[str, Any]], Any]


class Shelf(Protocol):
    """Items by name. Any thread."""

    def stems(self) -> set[str]:
        """The names of what lies there."""
        ...

    def unwritten(self, name: str) -> Item | None:
        """What is at hand without being read."""
        ...

    def get(self, name: str, decode: Decode) -> Any:
        """Raises Damaged."""
        ...

    def about(self, name: str) -> dict[str, Any]:
        """Without the tensors. Raises Damaged."""
        ...

    def put(self, name: str, item: Item) -> None:
        """Written with the next `save` or `save_now`."""
        ...

    def delete(self, *names: str, write_first: bool = False) -> None:
        """In that order. write_first: what waits to be written is, so that it is there until then"""
        ...

    def save(self) -> None:
        """Have what was put written; waits where too much waits already."""
        ...

    def save_now(self) -> None:
        """The same without waiting."""
        ...


class MemoryShelf:
    """Lives as long as this process."""

    def __init__(self, items: dict[str, Item] | None = None) -> None:
        self.items: dict[str, Item] = {} if items is None else items

    def stems(self) -> set[str]:
        return set(self.items)

    def unwritten(self, name: str) -> Item | None:
        return self.items.get(name)

    def get(self, name: str, decode: Decode) -> Any:
        return self.items[name]

    def about(self, name: str) -> dict[str, Any]:
        raise KeyError(name)

    def put(self, name: str, item: Item) -> None:
        self.items[name] = item

    def delete(self, *names: str, write_first: bool = False) -> None:
        for name in names:
            self.items.pop(name, None)

    def save(self) -> None:
        pass

    def save_now(self) -> None:
        pass
