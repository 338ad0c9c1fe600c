"""What of a sampling node edits reach, by way of the graph. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from .edits import Path
from .graph import Prompt, descendants, inputs, link
from .verdicts import in_graph

_LEFT_ALONE = """
    positive negative middle conditioning empty_conditioning cond1 cond2
    cfg cfg1 cfg2 cfg_conds cfg_cond2_negative neg_scale guidance
"""
LEAVES_THE_SCHEDULE = frozenset(_LEFT_ALONE.split())
GUIDER = "guider"  # an input that stands for a node with a model and conditionings of its own


def influenced(prompt: Prompt, sampler: str | None, edited: Iterable[Path]) -> set[str]:
    """The linked inputs of the sampling node, and of its guider, that depend on edited inputs."""
    paths = set(edited)
    sampler = in_graph(prompt, sampler)
    return set() if sampler is None else _reached(prompt, sampler, paths, set())


def reschedules(prompt: Prompt, sampler: str | None, edited: Iterable[Path]) -> bool:
    """Whether edits may have changed the noise levels or the sampler: by anything but a prompt or a cfg."""
    paths = set(edited)
    sampler = in_graph(prompt, sampler)
    own = {name for node_id, name in paths if node_id == sampler}
    return bool((own | influenced(prompt, sampler, paths)) - LEAVES_THE_SCHEDULE)


def _reached(prompt: Prompt, node_id: str, paths: set[Path], seen: set[str]) -> set[str]:
    seen.add(node_id)
    after = descendants(prompt, [node for node, _ in paths if node != node_id])
    found: set[str] = set()
    for name, value in inputs(prompt, node_id).items():
        source = link(value)
        if source is None:
            continue
        if name == GUIDER and source not in seen and (node_id, name) not in paths:
            found |= _reached(prompt, source, paths, seen)
        elif source in after or (node_id, name) in paths:
            found.add(name)
    return found
