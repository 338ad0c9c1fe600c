"""What live evaluations are computed with, put on record beside them where it changed.

Told of the model on the sampling thread; read and entered beside it, while the model works.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ...state.recording.items import Conditions, Damaged
from ...state.recording.recording import Recording
from ..remembering.kinds import name_of
from .fingerprint import digest
from .guider import KEY

TENSORS, ELEMENTS = 64, 64  # of a model, and of each at two places, that are read
LONGEST = 400  # characters of what is told of patches
NONE = "nothing"
OF_MODEL = ("weights", "patches", "threads")  # what of_model tells
log = logging.getLogger(__name__)
_weights: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()  # of models that were looked at


class ComputedWith:
    """Of one sampling call. around: what the graph is computed with, which may read files"""

    def __init__(
        self,
        recording: Recording,
        fingerprints: dict[str, str],
        model: dict[str, str],
        around: Callable[[], dict[str, str]],
    ) -> None:
        self._recording, self._around = recording, around
        self._fingerprints, self._model = fingerprints, model

    def enter(self) -> None:
        """A live evaluation is being asked. Raises nothing that keeps it from its answer."""
        now = Conditions(len(self._recording), self._fingerprints, self._told() | self._model)
        try:
            then = self._recording.conditions()
        except Damaged:
            then = None
        is_known = then is not None and then.surroundings == now.surroundings
        if then is None or not is_known or then.fingerprints != now.fingerprints:
            self._recording.condition(now)

    def _told(self) -> dict[str, str]:
        try:
            return self._around()
        except Exception:  # noqa: BLE001  other packs' nodes are asked what they are given
            log.exception("Midrun could not see what a job is computed with")
            return {}


def of_model(patcher: Any) -> dict[str, str]:
    """What is told of a ModelPatcher beside the digests that are compared at each resume.

    And of torch's threads, whose number is each thread's own: the sampling thread alone can tell it.
    """
    weights = _weights_of(patcher)
    known = {} if weights is None else {"weights": weights}
    return known | {"patches": _patches_of(patcher), "threads": str(torch.get_num_threads())}


def _weights_of(patcher: Any) -> str | None:
    """Of samples of the model's own weights, without what LoRAs make of them. Once for each model.

    None where they are of a kind that cannot be read so
    """
    model = patcher.model
    try:
        known = _weights.get(model)
        if known is None:
            known = _weights[model] = digest(list(_samples(model, getattr(patcher, "backup", {}))))
    except (RuntimeError, NotImplementedError, TypeError, AttributeError):
        return None
    return known


def _samples(model: torch.nn.Module, backup: Any) -> Iterator[torch.Tensor]:
    named = sorted(model.named_parameters(), key=lambda one: one[0])
    for name, parameter in named[:: max(1, len(named) // TENSORS)]:
        own = getattr(backup.get(name), "weight", parameter)
        flat = own.detach().reshape(-1)
        middle = flat.numel() // 2
        parts = flat[:ELEMENTS], flat[middle : middle + ELEMENTS]
        yield torch.cat([part.to("cpu", torch.float32) for part in parts])


def _patches_of(patcher: Any) -> str:
    """By the names of their functions and classes, and for LoRAs by the number of weights they change."""
    options = patcher.model_options
    transformer = options.get("transformer_options", {})
    found = [f"{len(patcher.patches)} weights"] if getattr(patcher, "patches", None) else []
    own = {name: one for name, one in options.items() if name != "transformer_options"}
    names = ("object_patches", "wrappers", "callbacks", "injections")
    for place in (own, transformer, *(getattr(patcher, name, {}) for name in names)):
        found += _names(place)
    return ", ".join(sorted(found))[:LONGEST] or NONE


def _names(place: Any, depth: int = 0) -> list[str]:
    """Of what can be called, in dictionaries and lists."""
    if isinstance(place, dict):
        parts = [part for key, part in place.items() if key != KEY]
    elif isinstance(place, (list, tuple)):
        parts = list(place)
    else:
        return [name_of(place)] if callable(place) else []
    return [name for part in parts for name in _names(part, depth + 1)] if depth < 6 else []
