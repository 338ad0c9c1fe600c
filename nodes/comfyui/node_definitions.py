"""What ComfyUI's nodes declare about their inputs. ComfyUI's event loop."""

from __future__ import annotations

import logging
import math
from typing import Any

from ...state.workflow.input_values import Definition
from .comfy_nodes import comfy_nodes, node_class

log = logging.getLogger(__name__)


class Definitions:
    """Looked up each time: the options of a choice are files, which come and go."""

    def inputs(self, class_type: str) -> dict[str, Definition]:
        """Input name -> definition; empty for a node that is not installed."""
        node = node_class(class_type)
        if node is None:
            return {}
        try:
            declared = node.INPUT_TYPES()
        except Exception:  # noqa: BLE001  another pack's code
            log.exception("Midrun: the node %s does not tell its inputs", class_type)
            return {}
        return {
            str(name): _definition(spec)
            for category in ("required", "optional")
            for name, spec in dict(declared.get(category) or {}).items()
        }

    def types(self, class_type: str) -> tuple[dict[str, str], tuple[str, ...]]:
        """Input name -> type, and the types of what it gives; empty for a node that is not installed."""
        given = getattr(node_class(class_type), "RETURN_TYPES", None)
        outputs = tuple(str(kind) for kind in given) if isinstance(given, (list, tuple)) else ()
        return {name: one.type for name, one in self.inputs(class_type).items()}, outputs

    def lazy(self, class_type: str) -> frozenset[str]:
        """The inputs that the node asks for when it wants them."""
        return frozenset(name for name, one in self.inputs(class_type).items() if one.lazy)

    def saves(self, class_type: str) -> bool:
        """Whether the node is run for what it does, not for what it gives."""
        return getattr(node_class(class_type), "OUTPUT_NODE", False) is True

    def ends_loop(self, class_type: str) -> bool:
        """Whether it is the end of a loop of ComfyUI, where that has loops."""
        schema = getattr(node_class(class_type), "GET_SCHEMA", lambda: None)()
        return getattr(schema, "loop_boundary", None) == "end"

    def display_name(self, class_type: str) -> str:
        return comfy_nodes.NODE_DISPLAY_NAME_MAPPINGS.get(class_type, class_type)


def _definition(spec: Any) -> Definition:
    kind = spec[0] if isinstance(spec, (list, tuple)) and spec else "*"
    more = spec[1] if isinstance(spec, (list, tuple)) and len(spec) > 1 and isinstance(spec[1], dict) else {}
    options = list(kind) if isinstance(kind, (list, tuple)) else more.get("options")
    if isinstance(kind, (list, tuple)):
        kind = "COMBO"
    chosen = tuple(options) if kind == "COMBO" and isinstance(options, (list, tuple)) else None
    limits = {name: _limit(more.get(name)) for name in ("min", "max", "step")}
    said = {name: more.get(name) is True for name in ("multiline", "lazy")}
    upload = any(str(name).endswith("_upload") and value is True for name, value in more.items())
    return Definition(str(kind), chosen, **limits, **said, upload=upload)


def _limit(value: Any) -> float | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if number and math.isfinite(value) else None
