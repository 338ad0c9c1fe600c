"""Reading a prompt graph in API format: plain dictionaries, which may come from anybody. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Prompt = dict[str, Any]  # node_id -> {"class_type", "inputs": {name: value or [node_id, slot]}}
PICTURE_INPUTS = ("latent_image", "latent", "samples", "pixels", "image", "images")
MODEL_FILE_INPUTS = ("ckpt_name", "unet_name", "model_name", "gguf_name", "model_path", "model")


def class_type(prompt: Prompt, node_id: str | None) -> str | None:
    node = prompt.get(node_id) if node_id is not None else None
    found = node.get("class_type") if isinstance(node, dict) else None
    return found if isinstance(found, str) else None


def inputs(prompt: Prompt, node_id: str) -> dict[str, Any]:
    node = prompt.get(node_id)
    found = node.get("inputs") if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def title(prompt: Prompt, node_id: str) -> str | None:
    """The user's own, where the client told it."""
    node = prompt.get(node_id)
    meta = node.get("_meta") if isinstance(node, dict) else None
    found = meta.get("title") if isinstance(meta, dict) else None
    return found if isinstance(found, str) else None


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


def vae_links(prompt: Prompt, node_id: str) -> list[tuple[str, int]]:
    """(node_id, slot) of the workflow's VAEs: those that decode what the node makes first, then any other."""
    after = descendants(prompt, [node_id]) - {node_id}
    found = [
        (value[0], value[1], current not in after)
        for current in prompt
        for name, value in inputs(prompt, current).items()
        if name.startswith("vae") and link(value) is not None
    ]
    found.sort(key=lambda one: one[2])
    return list(dict.fromkeys((node, slot) for node, slot, _ in found))


def loaded_image(prompt: Prompt, node_id: str) -> str | None:
    """The file of the one Load Image whose picture became the latent that the node begins with."""
    files, seen = set(), set()
    waiting = [node_id]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        found = inputs(prompt, current)
        if class_type(prompt, current) == "LoadImage" and isinstance(found.get("image"), str):
            files.add(found["image"])
        waiting += [source for name in PICTURE_INPUTS if (source := link(found.get(name))) is not None]
    return files.pop() if len(files) == 1 else None


def descendants(prompt: Prompt, node_ids: Iterable[str]) -> set[str]:
    """The nodes and all that use what they make, directly or not."""
    users: dict[str, set[str]] = {}
    for user in prompt:
        for value in inputs(prompt, user).values():
            if (source := link(value)) is not None:
                users.setdefault(source, set()).add(user)
    found: set[str] = set()
    waiting = list(node_ids)
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += users.get(current, ())
    return found


def changed(before: Prompt, after: Prompt) -> list[str]:
    """The nodes that are not what they were, those that are gone or new included."""
    ids = before.keys() | after.keys()
    return [
        node_id
        for node_id in ids
        if class_type(before, node_id) != class_type(after, node_id)
        or inputs(before, node_id) != inputs(after, node_id)
    ]
