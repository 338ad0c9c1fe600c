"""What the files of a recording hold: inputs, evaluations and steps as named tensors. Pure functions."""

from __future__ import annotations

from typing import Any

import torch

from .recording import Evaluation, Inputs, RngState, Step
from .tensor_file import Tensors

Item = Inputs | Evaluation | Step


def tensors_of(item: Item) -> Tensors:
    if isinstance(item, Step):
        return {} if item.denoised is None else {"denoised": item.denoised}
    tensors: dict[str, torch.Tensor | None]
    if isinstance(item, Evaluation):
        taps = enumerate(item.taps)
        tensors = {"answer": item.answer}
        tensors |= {f"tap.{index}.{name}": tensor for index, tap in taps for name, tensor in tap.items()}
    else:
        names = ("noise", "latent_image", "sigmas", "denoise_mask")
        tensors = {name: getattr(item, name) for name in names}
    if item.rng is not None:
        tensors |= {"rng.cpu": item.rng.cpu, "rng.device": item.rng.device}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def about_of(item: Item) -> dict[str, Any]:
    if isinstance(item, Step):
        return {"number": item.number, "evaluations": item.evaluations, "sigma": item.sigma}
    if isinstance(item, Evaluation):
        return {"taps": len(item.taps)}
    return {"latent_format": item.latent_format, "fingerprints": item.fingerprints}


def decode_step(tensors: Tensors, about: dict[str, Any]) -> Step:
    return Step(about["number"], about["evaluations"], about["sigma"], tensors.get("denoised"))


def decode_evaluation(tensors: Tensors, about: dict[str, Any]) -> Evaluation:
    def tap(index: int) -> Tensors:
        prefix = f"tap.{index}."
        found = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
        return found

    return Evaluation(tensors["answer"], tuple(tap(index) for index in range(about["taps"])), _rng(tensors))


def decode_inputs(tensors: Tensors, about: dict[str, Any]) -> Inputs:
    rng = _rng(tensors)
    if rng is None:
        raise KeyError("rng.cpu")
    given = (tensors["noise"], tensors["latent_image"], tensors["sigmas"], tensors.get("denoise_mask"))
    return Inputs(*given, rng, about["latent_format"], about["fingerprints"])


def _rng(tensors: Tensors) -> RngState | None:
    return RngState(tensors["rng.cpu"], tensors.get("rng.device")) if "rng.cpu" in tensors else None
