"""What a guider and a model carry through a sampling call: wrappers, conditioning, post-CFG functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import comfy.sampler_helpers
import comfy.samplers
import torch
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key

from .tape import Tap

KEY = "midrun"  # of Midrun's own wrappers
OWN_POST_CFG = "sampler_post_cfg_function"


def put_first(wrappers: dict[str | None, list[Any]]) -> None:
    """Make ours the outermost: what other wrappers set up for an attempt is set up anew for the next."""
    ours = wrappers.pop(KEY)
    others = dict(wrappers)
    wrappers.clear()
    wrappers.update({KEY: ours, **others})


@contextmanager
def wrapped(guider: Any, predict_noise: Callable[..., torch.Tensor]) -> Iterator[None]:
    """That as PREDICT_NOISE wrapper in the options that the guider keeps for this one call, outermost."""
    options = guider.model_options
    add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, predict_noise, options, is_model_options=True)
    wrappers = options["transformer_options"]["wrappers"][WrappersMP.PREDICT_NOISE]
    put_first(wrappers)
    try:
        yield
    finally:
        wrappers.pop(KEY, None)


@contextmanager
def tapped(options: dict[str, Any], shared: int, own: list[Any], tap: Tap) -> Any:
    """Put `tap` just before the sampler's own post-CFG functions, where it has any."""
    if not own:
        yield
        return
    functions = options[OWN_POST_CFG]
    options[OWN_POST_CFG] = [*functions[:shared], tap, *own]
    try:
        yield
    finally:
        options[OWN_POST_CFG] = functions


def copy_conds(conds: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {kind: [cond.copy() for cond in entries] for kind, entries in conds.items()}


def clean_up(guider: Any, conds: dict[str, list[dict[str, Any]]]) -> None:
    """What outer_sample leaves undone when something is raised in it. conds: as they were before it"""
    kept = guider.__dict__
    loaded = kept.pop("loaded_models", None)
    if loaded is not None:
        comfy.sampler_helpers.cleanup_models(guider.conds, loaded)
    kept.pop("inner_model", None)
    guider.conds = copy_conds(conds)


def leave_device(guider: Any) -> None:
    """Have patches, wrappers and callbacks that ComfyUI moved there moved back, as it does after the call."""
    comfy.samplers.cast_to_load_options(guider.model_options, device=guider.model_patcher.offload_device)
