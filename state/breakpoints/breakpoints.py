"""Conditions on which a job pauses by itself: named fields and comparisons, never code. Pure functions."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..choice import MOST as MOST_CHOSEN
from ..errors import BadRequest
from ..node import Node
from ..whole import whole_number
from .actions import ASK_S, STRENGTH, Action, action_of, timeout_of
from .wait_conditions import Limits, heat, window

MOST = 100  # of a job
DRAFT = "draft"  # the id of that at which a draft waits to be chosen
OF_A_NODE = "Midrun.breakpoints"  # the property of a node in a workflow that holds its breakpoints


class BreakpointKind(str, Enum):
    STEP = "step"  # once so many steps are done
    EVERY = "every"  # after each so many steps
    SIGMA_BELOW = "sigma_below"  # when the noise level falls below a value
    CHANGE_BELOW = "change_below"  # when a step's relative change of `denoised` falls below a value
    NAN = "nan"  # when an answer of the model has a NaN or an infinity
    EXCEPTION = "exception"  # when the sampling raises one
    NODE = "node"  # before a node of the workflow runs
    TIME = "time"  # in certain hours of the day; it goes on by itself after them
    HEAT = "heat"  # while the GPU is hot; it goes on by itself when it is not


COUNTED = (BreakpointKind.STEP, BreakpointKind.EVERY)
BELOW = (BreakpointKind.SIGMA_BELOW, BreakpointKind.CHANGE_BELOW)
AT_STEPS = (*COUNTED, *BELOW)
AROUND = {
    BreakpointKind.TIME: window,
    BreakpointKind.HEAT: heat,
}  # what is so around the server, whatever the job does
NAMES = {
    BreakpointKind.TIME: {"from", "to"},
    BreakpointKind.HEAT: {"above", "below"},
    BreakpointKind.NODE: {"choose"},
}


@dataclass(frozen=True)
class Breakpoint:
    """value: steps, sigma or a ratio, by kind; None for those that need none. node_id: None is any node.

    choose: of kind node: from what comes to the node, so many are chosen at most, 0 is any number
    iteration: of the loop that the node is in, from 1; None is each
    timeout_s: that an answer may take, where it asks
    limits: of the kinds time and heat
    """

    id: str
    kind: BreakpointKind
    value: float | None = None
    node_id: str | None = None
    enabled: bool = True
    action: Action = Action.PAUSE
    timeout_s: float = ASK_S
    hits: int = 0
    limits: Limits | None = None
    iteration: int | None = None
    choose: int | None = None

    def is_about(self, node: Node | None) -> bool:
        """Whether it is for that node, which samples or is to run next."""
        if self.node_id is not None and (node is None or not node.is_called(self.node_id)):
            return False
        return self.iteration is None or (node is not None and node.iteration == self.iteration)

    @property
    def reason(self) -> str:
        """With which it ends a job."""
        limits = self.limits.to_json().values() if self.limits is not None else ()
        of_a_node = self.node_id if self.kind is BreakpointKind.NODE else None
        value = None if self.value is None else f"{self.value:g}"
        told = (one for one in (self.kind.value, value, of_a_node, *limits) if one is not None)
        return " ".join(("breakpoint", *map(str, told)))

    def to_json(self) -> dict[str, Any]:
        told = {**self.__dict__, "kind": self.kind.value, "action": self.action.value}
        limits = told.pop("limits")
        if self.kind is not BreakpointKind.NODE:
            del told["choose"]
        return told | (limits.to_json() if limits is not None else {})


Breakpoints = tuple[Breakpoint, ...]
DEFAULT: Breakpoints = (Breakpoint("nan", BreakpointKind.NAN),)


@dataclass(frozen=True)
class Observation:
    """A step that was done. `before`: of the step before it; change: relative, None where it is not known.

    norm: of `denoised`; memory: bytes on the device
    """

    step: int
    sigma: float
    sigma_before: float | None = None
    change: float | None = None
    change_before: float | None = None
    norm: float | None = None
    memory: int | None = None


def met(breakpoint: Breakpoint, node: Node | None, seen: Observation) -> bool:
    """A value has to fall below the limit: one that stays there is not met again."""
    if not breakpoint.enabled or not breakpoint.is_about(node):
        return False
    limit = breakpoint.value or 0.0
    if breakpoint.kind is BreakpointKind.STEP:
        return seen.step == limit
    if breakpoint.kind is BreakpointKind.EVERY:
        return seen.step % limit == 0
    if breakpoint.kind is BreakpointKind.SIGMA_BELOW:
        return _fell(seen.sigma_before, seen.sigma, limit)
    if breakpoint.kind is BreakpointKind.CHANGE_BELOW:
        return seen.change is not None and _fell(seen.change_before, seen.change, limit)
    return False


def _fell(before: float | None, now: float, limit: float) -> bool:
    return now < limit and (before is None or before >= limit)


def hit(breakpoints: Breakpoints, which: Iterable[Breakpoint]) -> Breakpoints:
    """The same with those counted."""
    ids = {breakpoint.id for breakpoint in which}
    return tuple(replace(one, hits=one.hits + (one.id in ids)) for one in breakpoints)


def strongest(which: Iterable[Breakpoint]) -> Breakpoint:
    """That whose action counts, of several that are met at once."""
    return min(which, key=lambda one: STRENGTH.index(one.action))


def parsed(given: Any) -> Breakpoints:
    """From JSON; raises BadRequest."""
    if not isinstance(given, list) or len(given) > MOST:
        raise BadRequest(f"breakpoints must be a list of at most {MOST} breakpoints.")
    breakpoints = tuple(_parsed(one) for one in given)
    if len({breakpoint.id for breakpoint in breakpoints}) != len(breakpoints):
        raise BadRequest("Two breakpoints have the same id.")
    return breakpoints


def _parsed(one: Any) -> Breakpoint:
    kind = _kind(one)
    known = {"id", "kind", "value", "node_id", "iteration", "enabled", "action", "timeout_s", "hits"}
    known |= NAMES.get(kind, set())
    if not one.keys() <= known:
        told = ", ".join(sorted(known))
        raise BadRequest(f"A breakpoint of kind {kind.value} can have only these keys: {told}.")
    texts = {name: one.get(name) for name in ("id", "node_id")}
    enabled = one.get("enabled", True)
    if not all(text is None or isinstance(text, str) for text in texts.values()):
        raise BadRequest("id and node_id of a breakpoint must be texts or null.")
    if not isinstance(enabled, bool):
        raise BadRequest("enabled of a breakpoint must be true or false.")
    hits = whole_number(one.get("hits", 0))
    if hits is None or hits < 0:
        raise BadRequest("hits of a breakpoint must be a whole number from 0.")
    if kind is BreakpointKind.NODE and texts["node_id"] is None:
        raise BadRequest("A breakpoint of kind node needs a node_id.")
    name = texts["id"] or uuid.uuid4().hex[:8]
    limits = AROUND[kind](one) if kind in AROUND else None
    value = _value(kind, one.get("value"))
    where = {"node_id": texts["node_id"], "iteration": _iteration(one.get("iteration"))}
    does = {"action": _action(kind, one), "timeout_s": timeout_of(one.get("timeout_s", ASK_S))}
    more = {"limits": limits, "choose": _choose(one.get("choose"))}
    if more["choose"] is not None and (does["action"] is not Action.PAUSE or where["iteration"] is not None):
        raise BadRequest(
            "A breakpoint with choose always pauses, once: it has no other action, nor an iteration."
        )
    return Breakpoint(name, kind, value, **where, **does, enabled=enabled, hits=hits, **more)


def _action(kind: BreakpointKind, one: dict[str, Any]) -> Action:
    action = action_of(one.get("action", Action.PAUSE.value))
    if action is Action.ASK and kind in AROUND:
        raise BadRequest(f"A breakpoint of kind {kind.value} cannot ask.")
    return action


def _choose(given: Any) -> int | None:
    number = whole_number(given)
    if given is None or (number is not None and 0 <= number <= MOST_CHOSEN):
        return number
    told = f"how many may be chosen, a whole number from 0 to {MOST_CHOSEN}, or null"
    raise BadRequest(f"choose of a breakpoint must be {told}.")


def _iteration(given: Any) -> int | None:
    number = whole_number(given)
    if given is None or (number is not None and number > 0):
        return number
    raise BadRequest("iteration of a breakpoint must be a whole number from 1, or null for every iteration.")


def _kind(one: Any) -> BreakpointKind:
    if not isinstance(one, dict):
        raise BadRequest("A breakpoint must be an object.")
    try:
        return BreakpointKind(one.get("kind"))
    except ValueError:
        names = ", ".join(kind.value for kind in BreakpointKind)
        raise BadRequest(f"The kind of a breakpoint must be one of {names}.") from None


def conditions(breakpoints: Breakpoints) -> list[Breakpoint]:
    """Those that depend on what is so around the server; of whichever node, they are about the job."""
    return [one for one in breakpoints if one.limits is not None and one.enabled]


def nodes_of(breakpoints: Breakpoints) -> list[str]:
    """The nodes before which to pause."""
    return [node_id for node_id, choose in before_nodes(breakpoints) if choose is None]


def before_nodes(breakpoints: Breakpoints) -> list[tuple[str, int | None]]:
    enabled = (one for one in breakpoints if one.kind is BreakpointKind.NODE and one.enabled)
    return [(one.node_id, one.choose) for one in enabled if one.node_id is not None]


def _value(kind: BreakpointKind, value: Any) -> float | None:
    if kind not in AT_STEPS:
        if value is not None:
            raise BadRequest(f"A breakpoint of kind {kind.value} has no value.")
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise BadRequest(f"A breakpoint of kind {kind.value} needs a value above 0.")
    if kind in COUNTED and value != int(value):
        raise BadRequest(f"The value of a breakpoint of kind {kind.value} must be a whole number of steps.")
    return value


def of_workflow(extra_data: dict[str, Any]) -> Breakpoints:
    """Those that nodes of the workflow carry. It comes from anybody: what makes no sense is left out."""
    found: list[Breakpoint] = []
    for node_id, properties in _nodes(extra_data):
        given = properties.get(OF_A_NODE)
        for one in given if isinstance(given, list) else ():
            found += _sound(one | {"node_id": node_id} if isinstance(one, dict) else one)
    return tuple({breakpoint.id: breakpoint for breakpoint in found}.values())[:MOST]


def of_setting(given: Any) -> Breakpoints:
    """Hours and heat that every job waits out, from a setting. What makes no sense is left out."""
    found = [one for told in (given if isinstance(given, list) else ())[:MOST] for one in _sound(told)]
    return tuple({one.id: one for one in found if one.limits is not None}.values())


def _sound(one: Any) -> Breakpoints:
    try:
        return (replace(_parsed(one), hits=0),)
    except BadRequest:
        return ()


def _nodes(extra_data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(execution id, properties) of the nodes of the frontend's workflow, those inside subgraphs included."""
    workflow = _dict(_dict(extra_data.get("extra_pnginfo")).get("workflow"))
    inner = _dict(workflow.get("definitions")).get("subgraphs")
    subgraphs = (
        {one.get("id"): one for one in inner if isinstance(one, dict)} if isinstance(inner, list) else {}
    )
    waiting: list[tuple[str, dict[str, Any], int]] = [("", workflow, 0)]
    while waiting:
        prefix, graph, depth = waiting.pop()
        nodes = graph.get("nodes")
        for node in nodes if isinstance(nodes, list) else ():
            if not isinstance(node, dict):
                continue
            node_id = f"{prefix}{node.get('id')}"
            yield node_id, _dict(node.get("properties"))
            kind = node.get("type")
            if isinstance(kind, str) and kind in subgraphs and depth < 16:
                waiting.append((node_id + ":", subgraphs[kind], depth + 1))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
