"""What a sampling call is given, against what it was given when it was recorded. ComfyUI's worker thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import comfy.model_management as mm
import torch

from ...state.job.job import Job
from ...state.job.warnings import INPUTS_CHANGED, RECORDING_DAMAGED, RECORDING_GONE
from ...state.node import Node
from ...state.recording.items import Damaged, Inputs
from ...state.recording.recording import Recording
from ...state.workflow.influence import influenced
from ..comfyui.latents import describe
from .copies import host_copy
from .fingerprint import PATCHES, SAMPLER, fingerprints, sampler_digest
from .tape import InputsChanged, capture_rng

VALUES = frozenset(
    {"cfg", "steps", "denoise", "seed", "noise_seed", "sampler_name", "scheduler"}
)  # plain ones
FINGERPRINT_OF = {
    "model": PATCHES,
    "conditioning": "positive",
    "cond1": "positive",
    "cond2": "middle",
}  # by the input of a sampling node
TENSORS = ("noise", "latent_image", "denoise_mask")  # the sigmas may change: see segments.py


@dataclass(frozen=True)
class CallArguments:
    """The arguments of outer_sample that Midrun records; as in `Inputs`."""

    noise: torch.Tensor
    latent_image: torch.Tensor
    sigmas: torch.Tensor
    denoise_mask: torch.Tensor | None
    seed: int | None = None

    def again(self, recorded: Inputs) -> tuple[Any, ...]:
        """Fresh copies of the recorded noise, latent_image and denoise_mask, on the devices of these."""
        given = (getattr(self, name) for name in TENSORS)
        return tuple(
            None if now is None else getattr(recorded, name).to(now.device, copy=True)
            for name, now in zip(TENSORS, given, strict=True)
        )


def seed_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Of outer_sample's arguments after the callback: disable_pbar, seed, ..."""
    seed = kwargs.get("seed", args[1] if len(args) > 1 else None)
    return None if seed is None else int(seed)


def with_seed(seed: int | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The recorded one, which samplers that draw noise of their own draw it from."""
    if seed is None:
        return args, kwargs
    if "seed" in kwargs:
        return args, kwargs | {"seed": seed}
    return (*args[:1], seed, *args[2:]), kwargs


def recorded_inputs(
    job: Job,
    node: Node,
    ordinal: int,
    recording: Recording,
    now: Inputs,
) -> Inputs:
    """The recorded inputs of this call; what ComfyUI passes now is recorded the first time.

    Raises InputsChanged. What differs and still fits is told to the job.
    """
    view = job.view()
    stands_here = (view.node_id, view.call) == (node.node_id, ordinal)
    recorded = read_recorded(job, recording, view.evaluations if stands_here else 0)
    if recorded is None or not len(recording):  # nothing was computed from them yet
        if recorded is not None and recording.rewound and _alike(recorded, now):
            return recorded
        recording.inputs = now
        return now
    for name in TENSORS:
        then, new = getattr(recorded, name), getattr(now, name)
        if (then is None) != (new is None) or (then is not None and then.shape != new.shape):
            raise InputsChanged(
                f"Midrun cannot go on with this sampling call: its {name} was {_shape(then)} when it was "
                f"recorded and is {_shape(new)} now. The recording is kept; undo the change and resume, "
                "or rewind to step 0."
            )
    _tell_differences(job, recorded, now, recording)
    return recorded


def inputs_now(
    node: Node, given: CallArguments, guider: Any, sampler: Any, latent_shapes: list[Any] | None
) -> Inputs:
    """What ComfyUI passes to the call that begins."""
    patcher = guider.model_patcher
    mask = None if given.denoise_mask is None else host_copy(given.denoise_mask)
    return Inputs(
        host_copy(given.noise),
        host_copy(given.latent_image),
        host_copy(given.sigmas),
        mask,
        capture_rng(mm.get_torch_device()),
        describe(patcher.model.latent_format, latent_shapes),
        fingerprints(guider.conds, patcher) | {SAMPLER: sampler_digest(sampler)},
        time.time(),
        given.seed,
        node.node_id,
        node.display_id,
        node.loops,
    )


def read_recorded(job: Job, recording: Recording, evaluations: int) -> Inputs | None:
    """None where there are none that a replay could begin with; then its evaluations are void.

    evaluations: that the job had come to in this call
    """
    try:
        recorded = recording.inputs
        lost = "they are gone" if recorded is None else None
    except Damaged as damaged:
        recorded, lost = None, str(damaged)
    if lost is not None and len(recording):
        job.warn(RECORDING_DAMAGED, len(recording), 1, f"the inputs of its sampling call: {lost}")
        recording.truncate(0)
    elif recorded is None and evaluations:
        job.warn(RECORDING_GONE, evaluations)
    return recorded


def _tell_differences(job: Job, recorded: Inputs, now: Inputs, recording: Recording) -> None:
    """What is not as it was when the newest evaluation was asked, and was not edited since."""
    names = different(recorded, now)
    if names:
        job.note("inputs_differ", {"inputs": names, "used": "recorded"})
    then, new = _in_force(recorded, recording), conditions_of(now)
    changed = {name for name in then.keys() | new.keys() if then.get(name) != new.get(name)}
    if changed:
        edited = influenced(job.request.prompt, now.display_id, job.worker.taken())
        unexplained = sorted(changed - _explained(edited, new))
        if unexplained:
            job.warn(INPUTS_CHANGED, " and ".join(unexplained))


def _in_force(recorded: Inputs, recording: Recording) -> dict[str, str]:
    try:
        conditions = recording.conditions()
    except Damaged:
        conditions = None
    return conditions_of(recorded) if conditions is None else conditions.fingerprints


def conditions_of(inputs: Inputs) -> dict[str, str]:
    """Without the sampler, which begins a segment of its own."""
    return {name: digest for name, digest in inputs.fingerprints.items() if name != SAMPLER}


def _explained(slots: set[str], fingerprints: dict[str, str]) -> set[str]:
    """The fingerprints that edits reaching those inputs of the sampling node change."""
    names = {FINGERPRINT_OF.get(slot, slot) for slot in slots - VALUES}
    return names if names <= fingerprints.keys() else set(fingerprints)


def _alike(recorded: Inputs, now: Inputs) -> bool:
    """Whether a call that has computed nothing is the one on record."""
    same_sampler = recorded.fingerprints.get(SAMPLER) == now.fingerprints.get(SAMPLER)
    same_schedule = torch.equal(recorded.sigmas, now.sigmas)
    return same_sampler and same_schedule and recorded.seed == now.seed and not different(recorded, now)


def differing(recorded: Inputs, now: Inputs, recording: Recording) -> list[str]:
    """All that is not as it was recorded, by name."""
    then, new = _in_force(recorded, recording), conditions_of(now)
    names = [
        *different(recorded, now),
        *sorted(n for n in then.keys() | new.keys() if then.get(n) != new.get(n)),
    ]
    return names if _alike(recorded, now) else [*names, "sampler, schedule or seed"]


def different(recorded: Inputs, now: Inputs) -> list[str]:
    """The tensors that are not as they were, by name."""
    return [name for name in TENSORS if not _equal(getattr(recorded, name), getattr(now, name))]


def _equal(then: torch.Tensor | None, now: torch.Tensor | None) -> bool:
    return then is now if then is None or now is None else then.dtype == now.dtype and torch.equal(then, now)


def _shape(tensor: torch.Tensor | None) -> str:
    return "absent" if tensor is None else f"{tuple(tensor.shape)}"
