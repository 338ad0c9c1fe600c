"""Words besides its name by which the frontend finds a node, where the nodes of ComfyUI have such words."""

from __future__ import annotations

import inspect
from typing import Any

from comfy_api.v0_0_2 import io

HAS_WORDS = "search_aliases" in inspect.signature(io.Schema).parameters


def found_by(*words: str) -> dict[str, Any]:
    """More arguments for io.Schema."""
    return {"search_aliases": list(words)} if HAS_WORDS else {}
