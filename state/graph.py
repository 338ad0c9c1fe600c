"""Reading a prompt graph in API format: plain dictionaries, which may come from anybody. Pure functions."""

from __future__ import annotations

from typing import Any

Prompt = dict[str, Any]  # node_id -> {"class_type", "inputs": {name: value or [node_id, slot]}}
MODEL_FILE_INPUTS = ("ckpt_name", "unet_name", "model_name", "gguf_name", "model_path", "model")


def class_type(prompt: Prompt, node_id: str | None) -> str | None:
    node = prompt.get(node_id) if node_id is not None else None
    found = node.get("class_type") if isinstance(node, dict) else None
    return found if isinstance(found, str) else None


def inputs(prompt: Prompt, node_id: str) -> dict[str, Any]:
    node = prompt.get(node_id)
    found = node.get("inputs") if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def link(value: Any) -> str | None:
    """The node that an input's value comes from."""
    is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
    return value[0] if is_link and isinstance(value[1], int) else None


def model_file(prompt: Prompt, node_id: str | None) -> str | None:
    """The file that the nearest loader before that node names, the node's own `model` input first."""
    seen: set[str] = set()
    waiting = [] if node_id is None else [node_id]
    while waiting:
        current = waiting.pop(0)
        if current in seen:
            continue
        seen.add(current)
        found = inputs(prompt, current)
        for name in MODEL_FILE_INPUTS:
            if isinstance(found.get(name), str):
                return found[name]
        names = sorted(found, key=lambda name: (name not in ("model", "guider"), name))
        waiting += [source for name in names if (source := link(found[name])) is not None]
    return None
