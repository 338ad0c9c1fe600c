"""Where the patches of a sampling call hang: the guider's options, hooks, control, and the model's modules.

A model with no patch but ComfyUI's own has no roots, and is not looked at. ComfyUI's worker thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from .kinds import is_foreign, name_of
from .places import Part

POST_CFG = "sampler_post_cfg_function"
# Asked outside of evaluations, so that a replay asks it, too; or handed in anew for each evaluation.
PASSED_BY = frozenset({"denoise_mask_function", "multigpu_thread_pool", "multigpu_clones"})
OF_A_CALL = frozenset({"sample_sigmas", "sigmas", "uuids", "cond_or_uncond", "multigpu_clones"})
NESTED = ("wrappers", "callbacks")
OF_A_GUIDER = frozenset(
    {"conds", "original_conds", "inner_model", "model_patcher", "model_options", "loaded_models"}
)
NETWORK = "network "  # followed by a number: the address of one that a node with a loop of its own asks
FORWARDS = ("forward", "_forward", "forward_orig")
PARTS = ("callbacks", "injections", "attachments")  # of a ModelPatcher


@dataclass(frozen=True)
class Roots:
    """places: address -> what is to be looked into; names: of the patches; conds: name of each by its uuid"""

    places: dict[str, Any]
    names: tuple[str, ...]
    conds: dict[Any, str]

    def and_those(self, others: Roots) -> Roots:
        names = tuple(dict.fromkeys([*self.names, *others.names]))
        return Roots(self.places | others.places, names, self.conds | others.conds)


def roots_of(options: dict[str, Any], guider: Any, own_key: str, own_post_cfg: list[Any]) -> Roots | None:
    """None where no patch could remember anything.

    options: what an evaluation is asked with; own_key: of Midrun's wrappers
    own_post_cfg: the sampler's own functions, which are a part of the sampler
    """
    transformer = options.get("transformer_options", {})
    patcher = guider.model_patcher
    network = getattr(patcher.model, "diffusion_model", None)
    shared = [one for one in options.get(POST_CFG, ()) if not any(one is other for other in own_post_cfg)]
    places: dict[str, Any] = {
        "options": Part(options, without=PASSED_BY | {POST_CFG, "transformer_options"}),
        POST_CFG: shared,
        "transformer_options": Part(transformer, without=OF_A_CALL | set(NESTED)),
    }
    places |= {name: _without(own_key, transformer.get(name) or {}) for name in NESTED}
    places |= {f"patcher.{name}": _without(own_key, getattr(patcher, name, None) or {}) for name in PARTS}
    places["patcher.objects"] = _objects(patcher)
    places["guider"] = Part(vars(guider), without=OF_A_GUIDER) if is_foreign(guider) else None
    set_on_it = [vars(network)[name] for name in FORWARDS if name in vars(network)] if network else []
    found = dict(_of_conds(guider))
    patches = [one for place in places.values() for one in _patches(place)] + list(_patches(set_on_it))
    if not patches and not found:
        return None
    places |= found | {"model": network}
    names = dict.fromkeys([*(name_of(one) for one in patches), *(name.split(" ")[0] for name in found)])
    return Roots(places, tuple(names), _conds(guider))


def of_network(network: torch.nn.Module, number: int) -> Roots:
    """Of the network that a node with a loop of its own asked after so many others."""
    return Roots({f"{NETWORK}{number}": network}, (name_of(network),), {})


def _without(own_key: str, table: dict[str, Any]) -> dict[str, Any]:
    """ComfyUI's {kind: {key: [function]}}, flat, without what is Midrun's."""
    flat: dict[str, Any] = {}
    for kind, by_key in table.items():
        if isinstance(by_key, dict):
            flat |= {f"{kind}.{key}": one for key, one in by_key.items() if key != own_key}
        else:
            flat[str(kind)] = by_key
    return {name: one for name, one in flat.items() if one}


def _objects(patcher: Any) -> dict[str, Any]:
    """What was put in the place of parts of the model; what scales the noise is no memory."""
    patches = getattr(patcher, "object_patches", {})
    return {name: one for name, one in patches.items() if not name.startswith("model_sampling")}


def _patches(place: Any) -> Iterator[Any]:
    """The functions and objects in it that are nobody's whom we know."""
    if isinstance(place, Part):
        place = place.slots()
    if isinstance(place, dict):
        place = list(place.values())
    if isinstance(place, (list, tuple)):
        for one in place:
            yield from _patches(one)
    elif is_foreign(place):
        yield place


def _of_conds(guider: Any) -> Iterator[tuple[str, Any]]:
    """Hooks that change with the noise level, and control that is not ComfyUI's own."""
    seen: set[int] = set()
    for kind, entries in (getattr(guider, "conds", None) or {}).items():
        for number, cond in enumerate(entries):
            for index, hook in enumerate(getattr(cond.get("hooks"), "hooks", ())):
                group = getattr(hook, "hook_keyframe", None)
                if getattr(group, "keyframes", None) and id(group) not in seen:
                    seen.add(id(group))
                    yield f"hooks {kind}.{number}.{index}", group
                options = getattr(hook, "transformers_dict", None)
                if options and is_foreign(options):
                    yield f"hooks {kind}.{number}.{index}.options", options
            control, depth = cond.get("control"), 0
            while control is not None:
                if is_foreign(control) and id(control) not in seen:
                    seen.add(id(control))
                    yield f"control {kind}.{number}.{depth}", control
                control, depth = getattr(control, "previous_controlnet", None), depth + 1


def _conds(guider: Any) -> dict[Any, str]:
    """Their uuids are new in each run; patches keep things by them."""
    found: dict[Any, str] = {}
    for kind, entries in (getattr(guider, "conds", None) or {}).items():
        for number, cond in enumerate(entries):
            if "uuid" in cond:
                found.setdefault(cond["uuid"], f"{kind}.{number}")
    return found
