"""Whether two graphs compute the same up to a node. Pure functions."""

from __future__ import annotations

import hashlib
import json

from .graph import Prompt, class_type, inputs
from .instrument import plain
from .verdicts import ancestors

SAMPLES = frozenset({"latent_image", "sampler_name", "guider", "sigmas", "noise_seed"})


class Sameness:
    """Digests of parts of one graph, without what Midrun put into it. Each is made once."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = plain(prompt)
        self._known: dict[tuple[str, bool], str] = {}

    def of_samplers(self, most: int) -> list[str]:
        """Of so many nodes that may sample: by what they are given, as only ComfyUI knows what they are."""
        nodes = [node for node in self._prompt if SAMPLES & inputs(self._prompt, node).keys()]
        return [digest for node in nodes[:most] if (digest := self.of(node)) is not None]

    def of(self, node_id: str, whole: bool = False) -> str | None:
        """Of the node and all that it depends on: ids, classes and inputs, to the last character.

        whole: of all other nodes, too. None where there is no such node
        """
        if node_id not in self._prompt:
            return None
        if (node_id, whole) not in self._known:
            self._known[node_id, whole] = self._digest(node_id, whole)
        return self._known[node_id, whole]

    def _digest(self, node_id: str, whole: bool) -> str:
        nodes = self._prompt if whole else ancestors(self._prompt, node_id)
        told = [[node, class_type(self._prompt, node), inputs(self._prompt, node)] for node in sorted(nodes)]
        content = json.dumps([node_id, told], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()
