"""A prompt as a client sends it: what Midrun keeps of it, and which nodes are watched. Pure functions."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from ..job.request import Request
from ..states import QueuePolicy
from ..workflow.graph import Prompt, class_type
from ..workflow.instrument import Instruments


class Incoming:
    """class_types: the nodes that are watched; secret_keys: of extra_data, which are never stored"""

    def __init__(
        self, instruments: Instruments, class_types: Iterable[str], secret_keys: Iterable[str]
    ) -> None:
        self._instruments = instruments
        self._class_types = frozenset(class_types)
        self._secret_keys = frozenset(secret_keys)

    def request(self, body: dict[str, Any]) -> Request:
        """body: of POST /prompt"""
        extra = body.get("extra_data")
        extra = copy.deepcopy(extra) if isinstance(extra, dict) else {}
        secrets = {key: extra.pop(key) for key in self._secret_keys & extra.keys()}
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        targets = body.get("partial_execution_targets")
        outputs = tuple(str(target) for target in targets) if isinstance(targets, list) else None
        prompt = self._instruments.first(copy.deepcopy(body["prompt"]))
        return Request(prompt, extra, outputs, secrets)

    def watched(self, prompt: Prompt) -> list[dict[str, Any]]:
        """The nodes of the graph that make a job of it."""
        named = {node_id: class_type(prompt, node_id) for node_id in prompt}
        return [prompt[node_id] for node_id, kind in named.items() if kind in self._class_types]


def policy_of(nodes: list[dict[str, Any]]) -> QueuePolicy:
    for node in nodes:
        inputs = node.get("inputs")
        policy = inputs.get("queue_policy") if isinstance(inputs, dict) else None
        if isinstance(policy, str) and policy in {known.value for known in QueuePolicy}:
            return QueuePolicy(policy)
    return QueuePolicy.AUTO
