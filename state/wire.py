"""What stands on the wires into the node before which a job is paused. Frozen values; any thread."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

MOST_TEXT = 2000  # characters


class WireKind(str, Enum):
    IMAGE = "image"
    LATENT = "latent"
    MASK = "mask"
    CONDITIONING = "conditioning"
    TENSOR = "tensor"  # any other
    NUMBER = "number"
    TEXT = "text"
    OTHER = "other"  # a model, say


@dataclass(frozen=True)
class Value:
    """What comes by one wire. name: of the input; type: of the wire, as ComfyUI or else Python names it

    count: how many are in the list on the wire, of which this is the first; shape: of its tensor
    minimum, maximum, mean: of its finite numbers; not_finite: how many others; tokens: of a conditioning
    parts: what is there beside the tensor; text: the number, the beginning of the text, or what it is of
    pictured: there is a picture of it
    """

    name: str
    kind: WireKind
    type: str
    count: int = 1
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    device: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    not_finite: int = 0
    tokens: int | None = None
    parts: tuple[str, ...] = ()
    text: str | None = None
    pictured: bool = False

    def to_json(self) -> dict[str, Any]:
        lists = {"shape": None if self.shape is None else list(self.shape), "parts": list(self.parts)}
        return self.__dict__ | {"kind": self.kind.value} | lists


@dataclass(frozen=True)
class Wires:
    """node_id: before which the job is paused, as a person knows it; version: of the pictures, "" for none"""

    node_id: str
    values: tuple[Value, ...]
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        values = [value.to_json() for value in self.values]
        return {"node_id": self.node_id, "version": self.version, "values": values}


def wires_of(stored: dict[str, Any]) -> Wires:
    """From `Wires.to_json`. Raises KeyError, TypeError or ValueError for what that did not make."""
    return Wires(stored["node_id"], tuple(map(_value_of, stored["values"])), stored["version"])


def _value_of(stored: dict[str, Any]) -> Value:
    shape = None if stored["shape"] is None else tuple(stored["shape"])
    read: dict[str, Any] = {"kind": WireKind(stored["kind"]), "shape": shape, "parts": tuple(stored["parts"])}
    return Value(**stored | read)
