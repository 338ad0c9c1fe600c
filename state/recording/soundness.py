"""Whether the recording of a call that came from elsewhere makes sense: names, counts, dtypes, shapes.

By the headers of its files alone. What it says the model's patches remember is not taken over: that names
functions and classes of this process, and only what this server wrote itself is trusted so far.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..server_directory import directory_name
from ..telemetry import Telemetry
from . import tensor_file
from .header import Unsound, read_header
from .item_file import (
    about_of,
    decode_approach,
    decode_conditions,
    decode_evaluation,
    decode_inputs,
    decode_rewound,
    decode_segment,
    decode_step,
)
from .items import Approach, Conditions, Evaluation, Inputs, Remembered, Rewound, RngState, Segment, Step
from .shelved import REMEMBERED
from .tensor_file import SUFFIX, Tensors
from .tree import Tree
from .tree_check import check_tree

FOREIGN = "another server wrote it down, which is not trusted"
LONGEST = 100_000  # noise levels, and bytes or numbers of a generator's state
OF_A_FORMAT = {"module", "name", "scalars", "shapes"}
DECODERS: dict[str, Callable[[Tensors, dict[str, Any]], Any]] = {
    "inputs": decode_inputs,
    "rewound": decode_rewound,
    "x": decode_approach,
    "step": decode_step,
    "segment": decode_segment,
    "conditions": decode_conditions,
    "": decode_evaluation,
}
Items = dict[str, dict[int, Any]]  # kind -> number -> item


def check_call(directory: Path, limit: int) -> None:
    """The files of one sampling call. Raises Unsound. limit: bytes of a header"""
    items: Items = {kind: {} for kind in DECODERS}
    for path in sorted(directory.iterdir()):
        kind, number = _kind(path.stem)
        tensors, about = read_header(path, limit)
        if kind in DECODERS:
            try:
                items[kind][number] = DECODERS[kind](tensors, about)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise Unsound(f"{path.name} lacks {str(error)[:80]}") from error
    _check_counts(directory.name, items)
    inputs = items["inputs"].get(0)
    if inputs is None:
        raise Unsound("it lacks the inputs of a sampling call")
    _check_inputs(directory.name, inputs)
    for kind in DECODERS:
        for number, item in items[kind].items():
            _check_item(item, number, inputs, items)


def without_memory(directory: Path) -> None:
    """Of what the patches remembered, leave that they did: a resume then asks the model again."""
    first = directory / f"{REMEMBERED}000000{SUFFIX}"
    told = tensor_file.read_about(first).get("told") if first.exists() else None
    for path in directory.glob(f"{REMEMBERED}*{SUFFIX}"):
        path.unlink()
    if not isinstance(told, dict):
        return
    length = sum(path.stem.isdigit() for path in directory.iterdir())
    since = told.get("first")
    if not told.get("opaque") and (type(since) is not int or length < since):
        return  # it was as it began
    names = told.get("names")
    kept = [str(name)[:80] for name in names[:20]] if isinstance(names, list) else []
    known = {"names": kept, "opaque": [FOREIGN], "first": since if type(since) is int else None}
    item = Remembered(0, known | {"before": {}})
    tensor_file.write(first, tensor_file.encode({}, about_of(item)))


# -- inside ----------------------------------------------------------------------------------------------


def _kind(stem: str) -> tuple[str, int]:
    kind, _, number = stem.rpartition("-")
    return (kind, int(number)) if number.isdigit() else (stem, 0)


def _check_counts(name: str, items: Items) -> None:
    evaluations = len(items[""])
    if sorted(items[""]) != list(range(evaluations)):
        raise Unsound(f"an evaluation of {name} is missing")
    for rewound in items["rewound"].values():
        _require(_is_count(rewound.step) and _is_count(rewound.evaluations), "the rewind")
        _require(rewound.evaluations <= evaluations, "the rewind")
        _require(rewound.step == 0 or rewound.step in items["step"], "the rewind")


def _check_inputs(directory: str, inputs: Inputs) -> None:
    texts = (inputs.node_id, inputs.display_id, *inputs.fingerprints, *inputs.fingerprints.values())
    _require(all(isinstance(one, str) for one in texts), "the names in the inputs")
    _require(directory.rpartition(".")[0] == directory_name(inputs.node_id), "the node of the inputs")
    _require(_is_number(inputs.begun) and isinstance(inputs.own_loop, bool), "the inputs")
    _require(inputs.seed is None or (_is_whole(inputs.seed) and abs(inputs.seed) < 2**64), "the seed")
    loops = all(isinstance(loop, str) and _is_count(iteration) for loop, iteration in inputs.loops)
    _require(loops, "the loops of the inputs")
    _check_format(inputs.latent_format)
    for tensor in (inputs.noise, inputs.latent_image, inputs.sigmas):
        _require(tensor.is_floating_point(), "the dtypes of the inputs")
    _require(inputs.sigmas.dim() == 1 and inputs.sigmas.numel() <= LONGEST, "the noise levels")
    _require(inputs.noise.shape == inputs.latent_image.shape, "the shapes of the inputs")
    mask = inputs.denoise_mask
    _require(mask is None or mask.is_floating_point() or mask.dtype is torch.bool, "the mask")
    _check_rng(inputs.rng)


def _check_format(told: dict[str, Any]) -> None:
    _require(isinstance(told, dict) and told.keys() <= OF_A_FORMAT, "the latent's format")
    shapes, scalars = told.get("shapes"), told.get("scalars", {})
    texts = (told.get("module", ""), told.get("name", ""))
    _require(all(isinstance(one, str) for one in texts) and isinstance(scalars, dict), "the latent's format")
    _require(all(_is_number(one) for one in scalars.values()), "the latent's format")
    sizes = shapes is None or (
        isinstance(shapes, list)
        and all(isinstance(shape, list) and all(_is_count(one) for one in shape) for shape in shapes)
    )
    _require(sizes, "the latent's format")


def _check_item(item: Any, number: int, inputs: Inputs, items: Items) -> None:
    evaluations = len(items[""])
    if isinstance(item, Evaluation):
        approach = items["x"].get(number)
        asked = inputs.noise if approach is None else approach.x
        _check_evaluation(item, number, asked, inputs.own_loop)
    elif isinstance(item, Approach):
        _require(item.evaluations == number and _is_number(item.sigma), f"the way to evaluation {number + 1}")
        _require(_is_latent(item.x, inputs), f"the x of evaluation {number + 1}")
    elif isinstance(item, Step):
        _check_step(item, number, evaluations)
    elif isinstance(item, Segment):
        _check_segment(item, number, inputs)
    elif isinstance(item, Conditions):
        told = item.fingerprints, item.surroundings
        texts = [text for known in told for text in (*known, *known.values())]
        _require(item.first == number and all(isinstance(one, str) for one in texts), "the conditions")
    else:
        _require(isinstance(item, (Inputs, Rewound)), "an item")


def _check_evaluation(item: Evaluation, number: int, asked: torch.Tensor, own_loop: bool) -> None:
    told = f"evaluation {number + 1}"
    if isinstance(item.answer, Tree):
        check_tree(item.answer, told)
    else:
        _require(not own_loop and item.answer.is_floating_point(), f"the dtype of {told}")
        _require(item.answer.shape == asked.shape, f"the shape of {told}")
    _require(isinstance(item.question, str), told)
    for tap in item.taps:
        _require(all(one.is_floating_point() for one in tap.values()), f"the dtype of {told}")
    if item.rng is not None:
        _check_rng(item.rng)


def _check_step(item: Step, number: int, evaluations: int) -> None:
    told = f"step {number}"
    _require(item.number == number and _is_count(item.evaluations), told)
    _require(item.evaluations <= evaluations and _is_number(item.sigma), told)
    _require(item.denoised is None or item.denoised.is_floating_point(), f"the dtype of {told}")
    hits = isinstance(item.hits, dict) and all(_is_count(one) for one in item.hits.values())
    _require(hits and (item.measured is None or _is_sound(item.measured)), told)


def _check_segment(item: Segment, number: int, inputs: Inputs) -> None:
    _require(item.first == number and _is_count(item.step) and isinstance(item.sampler, str), "a segment")
    _require(_is_count(item.origin.evaluations) and _is_number(item.origin.sigma), "a segment")
    _require(item.origin.x.is_floating_point(), "the dtype of a segment")
    for sigmas in (item.sigmas, item.given):
        _require(sigmas.is_floating_point() and sigmas.dim() == 1, "the noise levels of a segment")
    _require(0 < item.sigmas.numel() <= LONGEST, "the noise levels of a segment")
    _require(_is_latent(item.x, inputs) and item.x.shape == item.origin.x.shape, "the x of a segment")
    _check_rng(item.rng)


def _check_rng(state: RngState) -> None:
    own = torch.get_rng_state()
    _require(state.cpu.dtype is own.dtype and state.cpu.shape == own.shape, "the state of the generators")
    device = state.device
    fits = device is None or (device.dtype is torch.uint8 and device.dim() == 1 and device.numel() <= LONGEST)
    _require(fits, "the state of the generators")
    _require(all(one.numel() <= LONGEST for one in state.others.values()), "the state of the generators")


def _is_latent(x: torch.Tensor, inputs: Inputs) -> bool:
    """Some samplers ask at another resolution in between."""
    alike = x.dim() == inputs.noise.dim() and x.shape[:2] == inputs.noise.shape[:2]
    return x.is_floating_point() and (alike or inputs.own_loop)


def _is_sound(measured: Telemetry) -> bool:
    numbers = (measured.sigma, measured.change, measured.norm, measured.seconds, measured.memory)
    texts = isinstance(measured.node_id, str) and isinstance(measured.display_node_id, str)
    iteration = measured.iteration is None or _is_count(measured.iteration)
    known = all(one is None or _is_number(one) for one in numbers)
    return texts and iteration and known and _is_count(measured.step)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Unsound(f"{what} cannot be right")
