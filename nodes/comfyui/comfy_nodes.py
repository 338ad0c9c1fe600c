"""ComfyUI's own module `nodes`, which a type checker would take for this room. Any thread."""

from __future__ import annotations

from importlib import import_module
from typing import Any

comfy_nodes: Any = import_module("nodes")


def node_class(class_type: str | None) -> Any:
    """None where no pack brought such a node."""
    return comfy_nodes.NODE_CLASS_MAPPINGS.get(class_type)
