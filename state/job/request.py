"""What ComfyUI needs to run a job: a frozen value, safe to hand to any thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..workflow import graph
from ..workflow.edits import Edits, with_edits
from ..workflow.kept import Kept
from ..workflow.verdicts import in_graph
from .view import Origin

SAMPLER_CLASSES = ("MidrunKSampler",)  # their nodes sample by themselves; others only behind a Midrun Attach
NAME_LENGTH = 200


@dataclass(frozen=True)
class Request:
    """What ComfyUI needs to run the job again. Only `secrets` may hold API tokens; it never leaves memory.

    kept: what earlier runs did, of the nodes that are as they were
    """

    prompt: dict[str, Any]
    extra_data: dict[str, Any]
    outputs: tuple[str, ...] | None = None
    secrets: dict[str, Any] | None = None
    kept: Kept = Kept()

    @property
    def client_id(self) -> str | None:
        client_id = self.extra_data.get("client_id")
        return client_id if isinstance(client_id, str) else None

    def gone_back(self, node_id: str | None, undoing: Edits) -> Request:
        """To an earlier moment of that node: with edits undone, and without what was made after it."""
        prompt = with_edits(self.prompt, undoing)
        changed = [path[0] for path in undoing]
        sampler = in_graph(prompt, node_id)
        changed += [] if sampler is None else [sampler]
        return replace(self, prompt=prompt, kept=self.kept.without(prompt, changed))

    @property
    def origin(self) -> Origin:
        """Which workflow it came from, as far as the client told."""
        pnginfo = self.extra_data.get("extra_pnginfo")
        workflow = pnginfo.get("workflow") if isinstance(pnginfo, dict) else None
        told = workflow if isinstance(workflow, dict) else {}
        nodes = (node for node in self.prompt if graph.class_type(self.prompt, node) in SAMPLER_CLASSES)
        return Origin(_name(told.get("id")), _name(told.get("name")), tuple(nodes))


def _name(told: Any) -> str | None:
    return told[:NAME_LENGTH] if isinstance(told, str) and told else None
