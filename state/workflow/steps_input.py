"""Which input of a graph says how many steps a node samples. Pure functions."""

from __future__ import annotations

from .edits import Path
from .graph import Prompt, inputs, link
from .verdicts import ancestors

STEPS, SIGMAS, VALUE = "steps", "sigmas", "value"
END = "end_at_step"  # of nodes that sample a part of their schedule only


def steps_input(prompt: Prompt, sampler: str) -> Path | None:
    """The sampler's own `steps`, or that of the one node that makes its sigmas; None where there is none."""
    given = inputs(prompt, sampler)
    source = link(given.get(SIGMAS))
    nodes = [sampler] if STEPS in given else [] if source is None else sorted(ancestors(prompt, source))
    found = [node for node in nodes if STEPS in inputs(prompt, node)]
    return _number(prompt, (found[0], STEPS)) if len(found) == 1 else None


def steps_of(prompt: Prompt, path: Path) -> int:
    return inputs(prompt, path[0])[path[1]]


def ends_before(prompt: Prompt, sampler: str, steps: int) -> int | None:
    """The step at which the node was told to end, where its schedule has more."""
    end = inputs(prompt, sampler).get(END)
    return end if isinstance(end, int) and end < steps else None


def _number(prompt: Prompt, path: Path) -> Path | None:
    """Where it is typed: there, or in the node of a number that is connected."""
    value = inputs(prompt, path[0]).get(path[1])
    source = link(value)
    if source is not None:
        path, value = (source, VALUE), inputs(prompt, source).get(VALUE)
    return path if isinstance(value, int) and not isinstance(value, bool) else None
