"""When an edit of an input takes effect: by the way it reaches the node that samples. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .graph import Prompt, class_type, inputs, link


class Kind(str, Enum):
    LIVE = "live"  # from the next evaluation
    SCHEDULE = "schedule"  # a new sampler or other noise levels
    CONSUMED = "consumed"  # used up at step 0
    DOWNSTREAM = "downstream"  # after the sampling, or beside it
    CAUTION = "caution"  # unknown


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    reason: str


TypeOf = Callable[[str, str], str | None]  # (class_type, input name) -> ComfyUI's type, None if unknown

_NAMES: dict[Kind, str] = {
    Kind.LIVE: (
        "model positive negative middle conditioning guider cfg cfg_conds guidance cfg_cond2_negative "
        "neg_scale cond1 cond2 cfg1 cfg2 pause_at_step queue_policy "
        "preview_method preview_every preview_max_size"
    ),
    Kind.SCHEDULE: (
        "steps scheduler sampler sampler_name sigmas denoise start_at_step end_at_step "
        "return_with_leftover_noise"
    ),
    Kind.CONSUMED: "latent_image latent samples noise seed noise_seed add_noise start_noise",
}
_BY_NAME = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_BY_TYPE: dict[str, Kind] = {
    "MODEL": Kind.LIVE,
    "CONDITIONING": Kind.LIVE,
    "GUIDER": Kind.LIVE,
    "CONTROL_NET": Kind.LIVE,
    "SAMPLER": Kind.SCHEDULE,
    "SIGMAS": Kind.SCHEDULE,
    "LATENT": Kind.CONSUMED,
    "NOISE": Kind.CONSUMED,
}
_REASON = {
    Kind.LIVE: "It applies from the next evaluation.",
    Kind.SCHEDULE: "The steps that are left are sampled anew from here, with another sampler or schedule.",
    Kind.CONSUMED: (
        "It was used up when sampling began, so it can not change the steps that are done. Queue the "
        "workflow as a new job for that."
    ),
    Kind.DOWNSTREAM: "It is not used by the sampling: it applies when the nodes after it run.",
    Kind.CAUTION: "What this node does with it is not known: its effect may begin anywhere.",
}
_STRONGEST = (Kind.LIVE, Kind.SCHEDULE, Kind.CAUTION, Kind.CONSUMED)


def verdict(
    prompt: Prompt, node_id: str, name: str, sampler: str | None, finished: bool, type_of: TypeOf
) -> Verdict:
    """`sampler`: the node that samples or did so last, None before any has; `finished`: it answered all.

    An edit that reaches it in several ways takes effect where it can: what was used up stays so.
    """
    sampler = in_graph(prompt, sampler)
    if sampler is None:
        return _verdict(Kind.LIVE)
    slots = [name] if sampler == node_id else _slots(prompt, sampler, node_id)
    class_name = class_type(prompt, sampler)
    reached = {Kind.CONSUMED if finished else _kind(class_name, slot, type_of) for slot in slots}
    kind = next((kind for kind in _STRONGEST if kind in reached), Kind.DOWNSTREAM)
    if kind is Kind.CONSUMED and node_id != sampler and _reaches_an_end_without(prompt, node_id, sampler):
        kind = Kind.DOWNSTREAM
    return _verdict(kind)


def in_graph(prompt: Prompt, node_id: str | None) -> str | None:
    """The node, as a person knows it, where the graph has it still."""
    return node_id if node_id is not None and node_id in prompt else None


def ancestors(prompt: Prompt, node_id: str) -> set[str]:
    """The node and all it depends on."""
    seen: set[str] = set()
    waiting = [node_id]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            links = (link(value) for value in inputs(prompt, current).values())
            waiting += [source for source in links if source is not None]
    return seen


def _verdict(kind: Kind) -> Verdict:
    return Verdict(kind, _REASON[kind])


def _reaches_an_end_without(prompt: Prompt, node_id: str, sampler: str) -> bool:
    """Whether something that nobody else uses depends on the node by a way around the sampler."""
    users: dict[str, set[str]] = {}
    for user in prompt:
        for value in inputs(prompt, user).values():
            if (source := link(value)) is not None:
                users.setdefault(source, set()).add(user)
    seen, waiting = {sampler}, [node_id]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if not users.get(current):
            return True
        waiting += users[current]
    return False


def _slots(prompt: Prompt, sampler: str, node_id: str) -> list[str]:
    """The inputs of the sampling node that depend on that node."""
    given = inputs(prompt, sampler)
    sources = {name: link(value) for name, value in given.items()}
    return [name for name, source in sources.items() if source and node_id in ancestors(prompt, source)]


def _kind(class_name: str | None, slot: str, type_of: TypeOf) -> Kind:
    found = _BY_NAME.get(slot)
    if found is None and class_name is not None:
        found = _BY_TYPE.get(type_of(class_name, slot) or "")
    return found or Kind.CAUTION
