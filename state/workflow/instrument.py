"""Putting Midrun's own nodes into a prompt graph on its way to the queue, and taking them out again.

Pure functions. The nodes pass things through: nothing is computed differently, and the user's workflow stays.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..breakpoints.breakpoints import Breakpoints, nodes_of
from ..breakpoints.choosing import ASKS, choosing_nodes
from .graph import Prompt, class_type, inputs, link
from .kept import KEPT

ATTACH, BREAK, ONCE, CHOOSE = "MidrunAttach", "MidrunBreakpoint", "MidrunOnce", "MidrunChoose"
BATCHES = frozenset({"IMAGE", "LATENT", "MASK"})  # what can be chosen from
WATCHING = ("MidrunKSampler", ATTACH)
PREFIX = "midrun-"
OF = "of"  # an input that the stop does not have: ComfyUI looks at it for its cache alone
WATCH = PREFIX + "watch-"
Types = Callable[[str], tuple[dict[str, str], tuple[str, ...]]]  # class -> (input name -> type, output types)
Lazy = Callable[[str], frozenset[str]]  # class -> the inputs that its node asks for when it wants them
Is = Callable[[str], bool]  # whether a class is of some kind
WANTED = ("output_value", "next_iteration_value", "accumulate")  # what the end of a loop takes for its value
PASSED_BY = {BREAK: "value", ONCE: "value", ATTACH: "model", CHOOSE: "batch"}  # by which input
SAMPLES = frozenset({"LATENT", "GUIDER"})  # what a node gives that samples, or that makes a guider
MAKES = frozenset({"LATENT", "IMAGE", "VIDEO"})  # what a node gives that may sample in a loop of its own
_OF_COMFYUI = """
    MODEL CLIP VAE LORA_MODEL CONTROL_NET CLIP_VISION STYLE_MODEL GLIGEN UPSCALE_MODEL LATENT_UPSCALE_MODEL
    MODEL_PATCH AUDIO_ENCODER PHOTOMAKER
"""
OF_COMFYUI = frozenset(_OF_COMFYUI.split())  # types of models that no loop of its own samples with
A_MODEL = ("MODEL", "PIPE", "TRANSFORMER", "UNET", "DIT")  # of which a type says that it is one


def watch_all(prompt: Prompt, types_of: Types) -> Prompt:
    """A MidrunAttach on the way of every model into a node that samples with it or makes a guider of it.

    Also of models that are none of ComfyUI's, into a node that may have a sampling loop of its own.
    """
    made = copy.deepcopy(prompt)
    for node_id in prompt:
        for name in _models_of(prompt, node_id, types_of):
            source, slot = inputs(made, node_id)[name]
            attach = f"{WATCH}{source}-{slot}"
            made[attach] = _node(ATTACH, model=[source, slot])
            inputs(made, node_id)[name] = [attach, 0]
    return made


def break_before(prompt: Prompt, node_ids: Iterable[str], lazy: Lazy = lambda kind: frozenset()) -> Prompt:
    """A MidrunBreakpoint on a link into each of these nodes, which waits for its other links, too.

    A lazy link is not waited for, as its node may never ask for it. Nodes without a link are left alone. The
    stop has the node's own values, too: ComfyUI's cache answers for it only where it answers for the node.
    """
    made = copy.deepcopy(prompt)
    for node_id in dict.fromkeys(node_ids):
        given = inputs(made, node_id)
        names = [name for name, value in given.items() if link(value) is not None]
        eager = [name for name in names if name not in _lazy(made, node_id, lazy)] or names[:1]
        after: dict[str, Any] = {}
        for name in eager:
            stop = f"{PREFIX}break-{node_id}-{name}"
            last = name == eager[-1]
            told = {OF: _values(given)} if last else {}
            made[stop] = _node(BREAK, value=given[name], before=node_id, stops=last, **after, **told)
            after = {"after": [stop, 0]}
            if last:
                given[name] = [stop, 0]
    return made


def choose_before(prompt: Prompt, most: dict[str, int], types_of: Types) -> Prompt:
    """A MidrunChoose on the first link of each of these nodes that has a batch. What was chosen stays.

    most: by node, how many may be chosen
    """
    made = copy.deepcopy(plain(prompt, (CHOOSE,)))
    known = {node_id: inputs(prompt, node_id) for node_id in prompt if node_id.startswith(ASKS)}
    chosen = {node_id.removeprefix(ASKS): one["most"] for node_id, one in known.items() if one.get("chosen")}
    for node_id, number in (chosen | most).items():
        for name, value in inputs(made, node_id).items():
            source = link(value)
            outputs = types_of(class_type(made, source) or "")[1] if source is not None else ()
            if source is None or value[1] >= len(outputs) or outputs[value[1]] not in BATCHES:
                continue
            asks = f"{ASKS}{node_id}"
            made[asks] = _node(
                CHOOSE, **{"chosen": "", **known.get(asks, {}), "most": number, "batch": value}
            )
            inputs(made, node_id)[name] = [asks, 0]
            break
    return made


def is_choice(prompt: Prompt, node_id: str, name: str) -> bool:
    """Whether that input says what somebody chose."""
    return class_type(prompt, node_id) == CHOOSE and name in ("chosen", "painted")


def has_watched_all(prompt: Prompt) -> bool:
    return any(node_id.startswith(WATCH) for node_id in prompt)


def once(prompt: Prompt, ends_loop: Is, saves: Is) -> Prompt:
    """MidrunOnce before and behind what saves in the body of a loop, if nobody wants what it gives."""
    made = copy.deepcopy(prompt)
    users = _users(prompt)
    ends = [node_id for node_id in prompt if ends_loop(class_type(prompt, node_id) or "")]
    waits = {(end, name) for end in ends for name in inputs(prompt, end) if name not in WANTED}
    for node_id, places in users.items():
        if not waits.issuperset(places) or not saves(class_type(prompt, node_id) or ""):
            continue
        for user, name in places:
            _put_before(made, user, name, _node(ONCE, value=inputs(made, user)[name], blocks=False))
        for name, value in inputs(made, node_id).items():
            if link(value) is not None:
                _put_before(made, node_id, name, _node(ONCE, value=value, blocks=True))
    return made


def plain(prompt: Prompt, kinds: tuple[str, ...] = (ATTACH, BREAK, ONCE)) -> Prompt:
    """The graph without the nodes of these kinds that were put into it."""
    ours = {
        node_id for node_id in prompt if node_id.startswith(PREFIX) and class_type(prompt, node_id) in kinds
    }
    if not ours:
        return prompt
    made = {node_id: copy.deepcopy(node) for node_id, node in prompt.items() if node_id not in ours}
    for node_id in made:
        for name, value in inputs(made, node_id).items():
            inputs(made, node_id)[name] = _behind(prompt, ours, value)
    return made


def _users(prompt: Prompt) -> dict[str, list[tuple[str, str]]]:
    """(node, input) of all that uses what a node gives."""
    users: dict[str, list[tuple[str, str]]] = {}
    for node_id in prompt:
        for name, value in inputs(prompt, node_id).items():
            if (source := link(value)) in prompt and source is not None:
                users.setdefault(source, []).append((node_id, name))
    return users


def _put_before(prompt: Prompt, node_id: str, name: str, node: dict[str, Any]) -> None:
    prompt[f"{PREFIX}once-{node_id}-{name}"] = node
    inputs(prompt, node_id)[name] = [f"{PREFIX}once-{node_id}-{name}", 0]


def _values(given: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in given.items() if link(value) is None}, sort_keys=True)


def _lazy(prompt: Prompt, node_id: str, lazy: Lazy) -> frozenset[str]:
    kind = class_type(prompt, node_id)
    return lazy(kind) if kind is not None else frozenset()


def _models_of(prompt: Prompt, node_id: str, types_of: Types) -> list[str]:
    """The inputs by which a node takes a model that nobody watches yet, if it samples."""
    kind = class_type(prompt, node_id)
    if kind is None or kind in (*WATCHING, BREAK):
        return []
    types, outputs = types_of(kind)
    links = {name: source for name, value in inputs(prompt, node_id).items() if (source := link(value))}
    models = [name for name in links if types.get(name) == "MODEL"]
    if models or not MAKES & set(outputs):
        models = models if SAMPLES & set(outputs) else []
    else:  # one is enough, as it is the node that is watched
        models = [name for name in links if _is_anothers(types.get(name, ""))][:1]
    return [name for name in models if class_type(prompt, links[name]) != ATTACH]


def _is_anothers(kind: str) -> bool:
    """Whether the type is of models that ComfyUI does not know."""
    return kind.upper() not in OF_COMFYUI and any(part in kind.upper() for part in A_MODEL)


def _behind(prompt: Prompt, ours: set[str], value: Any) -> Any:
    """What a link comes from, past nodes of ours."""
    seen: set[str] = set()
    while (source := link(value)) in ours and source not in seen:
        assert source is not None
        seen.add(source)
        given = inputs(prompt, source)
        if class_type(prompt, source) == KEPT:
            return [given.get("node"), given.get("slot")]
        value = given.get(PASSED_BY[class_type(prompt, source) or ""])
    return value


def _node(kind: str, **given: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": given, "_meta": {"title": "Midrun"}}


class Kinds(Protocol):
    """What is known of the classes of nodes."""

    def types(self, class_type: str) -> tuple[dict[str, str], tuple[str, ...]]: ...
    def lazy(self, class_type: str) -> frozenset[str]: ...
    def saves(self, class_type: str) -> bool: ...
    def ends_loop(self, class_type: str) -> bool: ...


class Instruments:
    """What is put into prompts, knowing the nodes and the settings of this ComfyUI."""

    def __init__(self, kinds: Kinds, watch_everything: Callable[[], bool]) -> None:
        self._kinds = kinds
        self._watch_everything = watch_everything

    def first(self, prompt: Prompt) -> Prompt:
        """For a prompt that was just queued."""
        return watch_all(prompt, self._kinds.types) if self._watch_everything() else prompt

    def stopping(self, prompt: Prompt, breakpoints: Breakpoints) -> Prompt:
        """With what pauses before nodes."""
        return break_before(self.choosing(prompt, breakpoints), nodes_of(breakpoints), self._kinds.lazy)

    def choosing(self, prompt: Prompt, breakpoints: Breakpoints) -> Prompt:
        """With what asks before nodes; it stays in the job's graph, as choices are edits of it."""
        return choose_before(prompt, choosing_nodes(breakpoints), self._kinds.types)

    def saving_once(self, prompt: Prompt) -> Prompt:
        """With what keeps a loop from saving again what it saved in an earlier run of the job."""
        return once(prompt, self._kinds.ends_loop, self._kinds.saves)

    def again(self, prompt: Prompt, was: Prompt) -> Prompt:
        """For another run of a job; samplers that were watched in the run before are watched still."""
        bare = plain(prompt)
        return watch_all(bare, self._kinds.types) if has_watched_all(was) else bare
