"""The example workflows, as ComfyUI's frontend saves them, turned into what its API takes."""

from __future__ import annotations

import json
from typing import Any

from graphs import Graph
from harness import ROOT, Comfy

FOLDER = ROOT / "example_workflows"
NOTES = ("Note", "MarkdownNote")
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def saved(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def as_prompt(comfy: Comfy, workflow: dict[str, Any]) -> Graph:
    """The graph in API format, by what this server's nodes declare."""
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    return {
        str(node["id"]): {"class_type": node["type"], "inputs": _inputs(comfy, node, sources)}
        for node in workflow["nodes"]
        if node["type"] not in NOTES
    }


def _inputs(comfy: Comfy, node: dict[str, Any], sources: dict[int, list[Any]]) -> dict[str, Any]:
    info = comfy.get(f"/object_info/{node['type']}")[node["type"]]["input"]
    linked = {slot["name"]: sources[slot["link"]] for slot in node["inputs"] if slot["link"] is not None}
    values, given = iter(node.get("widgets_values", ())), dict(linked)
    for name, spec in (info.get("required", {}) | info.get("optional", {})).items():
        if name not in linked and (isinstance(spec[0], list) or spec[0] in WIDGETS):
            given[name] = next(values)
            if len(spec) > 1 and spec[1].get("control_after_generate"):
                next(values)  # what the frontend does with a seed afterwards
    assert next(values, None) is None, f"{node['type']} has more values than widgets"
    return given


def node_id(workflow: dict[str, Any], told: str) -> str:
    """Of the one node with that type or title."""
    found = [node for node in workflow["nodes"] if told in (node["type"], node.get("title"))]
    assert len(found) == 1, (told, found)
    return str(found[0]["id"])
