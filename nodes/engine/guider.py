"""What a guider and a model carry through a sampling call: wrappers, conditioning, post-CFG functions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

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
