"""When an edit of an input takes effect: by the way it reaches the node that samples. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from .graph import Prompt, class_type, inputs, link

NOTHING: frozenset[str] = frozenset()


class VerdictKind(str, Enum):
    LIVE = "live"  # from the next evaluation
    SCHEDULE = "schedule"  # a new sampler or other noise levels
    CONSUMED = "consumed"  # used up at step 0
    DOWNSTREAM = "downstream"  # after the sampling, or beside it
    CAUTION = "caution"  # unknown


class Progress(Enum):
    """How far a node's sampling is."""

    BEGUN = "begun"  # nothing is computed yet
    GOING = "going"
    CUT = "cut"  # over where its edited schedule ended: another schedule goes on from there
    DONE = "done"


@dataclass(frozen=True)
class Sampled:
    """A node that has begun to sample. on_record: else it cannot be rewound.

    own_loop: it has a sampling loop of its own, whose steps nobody but it can make
    """

    node_id: str
    progress: Progress
    on_record: bool = True
    own_loop: bool = False


@dataclass(frozen=True)
class Verdict:
    """used_by: the sampler to whose beginning a rewind makes an edit of what was used up possible."""

    kind: VerdictKind
    reason: str
    used_by: Sampled | None = None


TypeOf = Callable[[str, str], str | None]  # (class_type, input name) -> ComfyUI's type, None if unknown

_NAMES: dict[VerdictKind, str] = {
    VerdictKind.LIVE: (
        "model positive negative middle conditioning guider cfg cfg_conds guidance cfg_cond2_negative "
        "neg_scale cond1 cond2 cfg1 cfg2 pause_at_step queue_policy "
        "preview_method preview_every preview_max_size"
    ),
    VerdictKind.SCHEDULE: (
        "steps scheduler sampler sampler_name sigmas denoise start_at_step end_at_step "
        "return_with_leftover_noise"
    ),
    VerdictKind.CONSUMED: "latent_image latent samples noise seed noise_seed add_noise start_noise",
}
_BY_NAME = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_BY_TYPE: dict[str, VerdictKind] = {
    "MODEL": VerdictKind.LIVE,
    "CONDITIONING": VerdictKind.LIVE,
    "GUIDER": VerdictKind.LIVE,
    "CONTROL_NET": VerdictKind.LIVE,
    "SAMPLER": VerdictKind.SCHEDULE,
    "SIGMAS": VerdictKind.SCHEDULE,
    "LATENT": VerdictKind.CONSUMED,
    "NOISE": VerdictKind.CONSUMED,
}
_REASON = {
    VerdictKind.LIVE: "It applies from the next evaluation.",
    VerdictKind.SCHEDULE: "The remaining steps are sampled from here with the new sampler or schedule.",
    VerdictKind.CONSUMED: (
        "It was used up when sampling began, so an edit could not change the steps that are done."
    ),
    VerdictKind.DOWNSTREAM: "The sampler does not use it: it applies when the nodes after the sampler run.",
    VerdictKind.CAUTION: "Midrun does not know what this node does with it, nor when an edit takes effect.",
}
TRIED = (
    "It is tried: it applies from the next evaluation, unless it changes what the steps that are done asked "
    "the model. Then the job is paused again as it was, and you can undo it."
)
_OF_A_LOOP = ("shift", "sigma", "frames", "num_frames", "length", "width", "height", "batch_size")
CFGS = ("cfg", "guidance", "guidance_scale", "true_cfg", "cfg_scale", "embedded_guidance_scale")
_STRONGEST = (VerdictKind.LIVE, VerdictKind.SCHEDULE, VerdictKind.CAUTION, VerdictKind.CONSUMED)


def verdict(
    prompt: Prompt, node_id: str, name: str, sampled: tuple[Sampled, ...], type_of: TypeOf
) -> Verdict:
    """`sampled`: in the order in which they began.

    An edit that reaches samplers in several ways takes effect where it can: what was used up stays so.
    """
    known = [(one, sampler) for one in sampled if (sampler := in_graph(prompt, one.node_id)) is not None]
    if all(one.progress is Progress.BEGUN for one, _ in known):
        return _verdict(VerdictKind.LIVE)
    over = {sampler for one, sampler in known if one.progress in (Progress.CUT, Progress.DONE)}
    reached: list[tuple[Sampled, str, VerdictKind]] = []
    for one, sampler in known:
        slots = [name] if sampler == node_id else _slots(prompt, sampler, node_id, over - {sampler})
        class_name = class_type(prompt, sampler)
        reached += [(one, sampler, _effect(one, _kind(class_name, slot, type_of, one))) for slot in slots]
    kinds = {kind for _, _, kind in reached}
    kind = next((kind for kind in _STRONGEST if kind in kinds), VerdictKind.DOWNSTREAM)
    if kind is VerdictKind.CAUTION and all(one.own_loop for one, _, found in reached if found is kind):
        return Verdict(kind, TRIED)
    if kind is not VerdictKind.CONSUMED:
        return _verdict(kind)
    users = {sampler for _, sampler, _ in reached}
    if node_id not in users and _reaches_an_end_without(prompt, node_id, users):
        return _verdict(VerdictKind.DOWNSTREAM)
    return Verdict(kind, _REASON[kind], reached[0][0])


def in_graph(prompt: Prompt, node_id: str | None) -> str | None:
    """The node, as a person knows it, where the graph has it still."""
    return node_id if node_id is not None and node_id in prompt else None


def ancestors(prompt: Prompt, node_id: str, without: AbstractSet[str] = NOTHING) -> set[str]:
    """The node and all it depends on, by ways that lead through none of `without`."""
    seen = set(without)
    waiting = [node_id]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            links = (link(value) for value in inputs(prompt, current).values())
            waiting += [source for source in links if source is not None]
    return seen - without


def _verdict(kind: VerdictKind) -> Verdict:
    return Verdict(kind, _REASON[kind])


def _effect(sampler: Sampled, kind: VerdictKind) -> VerdictKind:
    """What an edit does that reaches a sampler which is so far by a slot of that kind."""
    if sampler.progress is Progress.BEGUN:
        return VerdictKind.LIVE
    if sampler.progress is Progress.GOING:
        return kind
    again = sampler.progress is Progress.CUT and kind is VerdictKind.SCHEDULE
    return kind if again else VerdictKind.CONSUMED


def _reaches_an_end_without(prompt: Prompt, node_id: str, samplers: set[str]) -> bool:
    """Whether something that nobody else uses depends on the node by a way around the samplers."""
    users: dict[str, set[str]] = {}
    for user in prompt:
        for value in inputs(prompt, user).values():
            if (source := link(value)) is not None:
                users.setdefault(source, set()).add(user)
    seen, waiting = set(samplers), [node_id]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if not users.get(current):
            return True
        waiting += users[current]
    return False


def _slots(prompt: Prompt, sampler: str, node_id: str, over: AbstractSet[str]) -> list[str]:
    """The inputs of the sampling node that depend on that node; what a sampler that is over made stays so."""
    given = inputs(prompt, sampler)
    sources = {name: link(value) for name, value in given.items()}
    return [name for name, source in sources.items() if source and node_id in ancestors(prompt, source, over)]


def _kind(class_name: str | None, slot: str, type_of: TypeOf, sampler: Sampled) -> VerdictKind:
    """What an input of a node that samples is to it; a loop of its own begins no other schedule."""
    found = _BY_NAME.get(slot)
    if sampler.own_loop and slot in _OF_A_LOOP:
        return VerdictKind.CONSUMED
    if sampler.own_loop and slot in CFGS:
        return VerdictKind.CAUTION
    if found is None and class_name is not None:
        found = _BY_TYPE.get(type_of(class_name, slot) or "")
    if sampler.own_loop and found is VerdictKind.SCHEDULE:
        return VerdictKind.CONSUMED
    return found or VerdictKind.CAUTION
