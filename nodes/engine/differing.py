"""What a sampling call is given, against what it was given when recorded, in sentences. Pure functions."""

from __future__ import annotations

from ...state.bundles.comparing import of_values as sentences_of
from ...state.checks import GIVEN_OTHER, GIVEN_ROUNDED
from ...state.surroundings import Difference
from .fingerprint import PATCHES

GIVEN = {
    "noise": "noise",
    "latent_image": "latent that it begins with",
    "denoise_mask": "mask",
    "sampler": "sampler or its options",
}
OTHER = "is not what it was, so the result is another"


def of_inputs(names: list[str], node: str, rounded: bool = False) -> tuple[Difference, ...]:
    """names: of tensors and the sampler, that are not as they were; the recorded ones are used.

    rounded: they differ by no more than rounding may
    """
    code, how = (GIVEN_ROUNDED, "is what it was only to rounding") if rounded else (GIVEN_OTHER, OTHER)
    told = "The {} of node {} {}; the evaluations were asked with the recorded one."
    return tuple(Difference(code, name, None, None, told.format(GIVEN[name], node, how)) for name in names)


def of_conditions(then: dict[str, str], now: dict[str, str]) -> tuple[Difference, ...]:
    """By the digests of `Inputs.fingerprints`, without the sampler's."""
    names = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    return tuple(_condition(name, then.get(name), now.get(name)) for name in names)


def of_values(then: dict[str, str], now: dict[str, str]) -> tuple[Difference, ...]:
    """What is told of the model and of the sampling thread. now: of these alone"""
    here = {"device": then["device"]} if "device" in then else {}
    return tuple(sentences_of({name: then[name] for name in now if name in then} | here, now | here))


def _condition(name: str, then: str | None, now: str | None) -> Difference:
    if name == PATCHES:
        told = "The LoRAs, or other changes of the model's weights, are not what they were: a file was "
        told += "replaced, or a node loads it otherwise."
        return Difference("patches", name, then, now, told, True)
    told = f"The {name} conditioning is not what it was: the text encoder, or a node before the sampler, "
    told += "answers otherwise."
    return Difference("conditioning", name, then, now, told, True)
