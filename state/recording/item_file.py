"""What the files of a recording hold: inputs, evaluations and steps as named tensors. Pure functions."""

from __future__ import annotations

from typing import Any

import torch

from ..node import Node, loops_of
from ..telemetry import Telemetry
from .items import (
    Approach,
    Conditions,
    Evaluation,
    Inputs,
    Origin,
    Remembered,
    Rewound,
    RngState,
    Segment,
    Step,
)
from .tensor_file import Tensors
from .tree import Tree

OF_INPUTS = ("latent_format", "fingerprints", "begun", "seed", "node_id", "display_id", "loops", "own_loop")
TREE, OTHERS = "answer.", "rng.others."  # before the names of such tensors
Item = Inputs | Evaluation | Step | Approach | Segment | Conditions | Rewound | Remembered


def tensors_of(item: Item) -> Tensors:
    if isinstance(item, Step):
        return {} if item.denoised is None else {"denoised": item.denoised}
    if isinstance(item, Approach):
        return {"x": item.x}
    if isinstance(item, (Rewound, Conditions)):
        return {}
    if isinstance(item, Remembered):
        return dict(item.tensors)
    tensors: dict[str, torch.Tensor | None]
    if isinstance(item, Segment):
        tensors = {"x": item.x, "origin": item.origin.x, "sigmas": item.sigmas, "given": item.given}
    elif isinstance(item, Evaluation):
        taps = enumerate(item.taps)
        tensors = {"answer": item.answer} if isinstance(item.answer, torch.Tensor) else _of_tree(item.answer)
        tensors |= {f"tap.{index}.{name}": tensor for index, tap in taps for name, tensor in tap.items()}
    else:
        names = ("noise", "latent_image", "sigmas", "denoise_mask")
        tensors = {name: getattr(item, name) for name in names}
    if item.rng is not None:
        tensors |= {"rng.cpu": item.rng.cpu, "rng.device": item.rng.device}
        tensors |= {f"{OTHERS}{name}": tensor for name, tensor in item.rng.others.items()}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def size_of(item: Item) -> int:
    """Bytes in its tensors."""
    if isinstance(item, Step):
        return 0 if item.denoised is None else item.denoised.nbytes
    if isinstance(item, Approach):
        return item.x.nbytes
    return sum(tensor.nbytes for tensor in tensors_of(item).values())


def about_of(item: Item) -> dict[str, Any]:
    if isinstance(item, Step):
        measured = None if item.measured is None else item.measured.to_json()
        told = {"number": item.number, "evaluations": item.evaluations, "sigma": item.sigma}
        return told | {"measured": measured, "hits": item.hits}
    if isinstance(item, Evaluation):
        tree = item.answer.skeleton if isinstance(item.answer, Tree) else None
        return {"taps": len(item.taps), "tree": tree, "question": item.question}
    if isinstance(item, Rewound):
        return {"step": item.step, "evaluations": item.evaluations}
    if isinstance(item, Remembered):
        return {"evaluations": item.evaluations, "told": item.told}
    if isinstance(item, Conditions):
        told = {"first": item.first, "fingerprints": item.fingerprints}
        return told | {"surroundings": item.surroundings}
    if isinstance(item, Approach):
        return {"evaluations": item.evaluations, "sigma": item.sigma}
    if isinstance(item, Segment):
        origin = {"evaluations": item.origin.evaluations, "sigma": item.origin.sigma}
        return {"first": item.first, "step": item.step, "sampler": item.sampler, "origin": origin}
    return {name: getattr(item, name) for name in OF_INPUTS}


def decode_step(tensors: Tensors, about: dict[str, Any]) -> Step:
    measured = None if about["measured"] is None else Telemetry(**about["measured"])
    known = about["number"], about["evaluations"], about["sigma"], tensors.get("denoised")
    return Step(*known, measured, about["hits"])


def decode_evaluation(tensors: Tensors, about: dict[str, Any]) -> Evaluation:
    taps = tuple(_below(f"tap.{index}.", tensors) for index in range(about["taps"]))
    tree = about["tree"]
    answer = tensors["answer"] if tree is None else Tree(tree, _below(TREE, tensors))
    return Evaluation(answer, taps, _rng(tensors), about["question"])


def decode_inputs(tensors: Tensors, about: dict[str, Any]) -> Inputs:
    rng = _rng(tensors)
    if rng is None:
        raise KeyError("rng.cpu")
    given = (tensors["noise"], tensors["latent_image"], tensors["sigmas"], tensors.get("denoise_mask"))
    kept: dict[str, Any] = {name: about[name] for name in OF_INPUTS} | {"loops": loops_of(about["loops"])}
    return Inputs(*given, rng, **kept)


def decode_origin(about: dict[str, Any]) -> Origin:
    """Of the inputs, whose tensors are left where they are."""
    node = Node(about["node_id"], about["display_id"], loops_of(about["loops"]))
    return Origin(node, about["begun"], about["own_loop"])


def decode_approach(tensors: Tensors, about: dict[str, Any]) -> Approach:
    return Approach(about["evaluations"], about["sigma"], tensors["x"])


def decode_conditions(tensors: Tensors, about: dict[str, Any]) -> Conditions:
    return Conditions(about["first"], about["fingerprints"], about["surroundings"])


def decode_remembered(tensors: Tensors, about: dict[str, Any]) -> Remembered:
    return Remembered(about["evaluations"], about["told"], tensors)


def decode_rewound(tensors: Tensors, about: dict[str, Any]) -> Rewound:
    return Rewound(about["step"], about["evaluations"])


def decode_segment(tensors: Tensors, about: dict[str, Any]) -> Segment:
    origin = Approach(about["origin"]["evaluations"], about["origin"]["sigma"], tensors["origin"])
    rng = _rng(tensors)
    if rng is None:
        raise KeyError("rng.cpu")
    given = (tensors["x"], tensors["sigmas"], tensors["given"])
    return Segment(about["first"], about["step"], origin, *given, about["sampler"], rng)


def _rng(tensors: Tensors) -> RngState | None:
    if "rng.cpu" not in tensors:
        return None
    return RngState(tensors["rng.cpu"], tensors.get("rng.device"), _below(OTHERS, tensors))


def _of_tree(tree: Tree) -> dict[str, torch.Tensor | None]:
    return {f"{TREE}{name}": tensor for name, tensor in tree.tensors.items()}


def _below(prefix: str, tensors: Tensors) -> Tensors:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
