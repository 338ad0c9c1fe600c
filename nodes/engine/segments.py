"""Schedule edits: another sampler or other sigmas from some step on. ComfyUI's worker thread.

The sampler starts anew from x, where the stretch before it had come to, while noise, latent_image and mask
stay the originals, as inpainting reads them at every evaluation. A stretch of one noise level is an end: what
is there is returned, and nothing is evaluated. Where a schedule had come to its end and is longer now, its
last steps are sampled: x is taken up to the level where these begin, with fresh noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from ...state.recording.items import Approach, Damaged, Inputs, RngState, Segment
from ...state.recording.recording import Recording
from ...state.workflow.edits import History
from .copies import host_copy
from .fingerprint import SAMPLER
from .tape import InputsChanged

AGAIN = "The recording is kept; undo the edit and resume, or rewind to an earlier step."
SAME_LEVEL = 1e-4  # relative; samplers that compute their noise levels round them


def segment_for(
    recording: Recording,
    inputs: Inputs,
    sigmas: torch.Tensor,
    sampler_digest: str,
    edits: History,
    rescheduled: bool,
    model_sampling: Any,
    rng: RngState,
    ended: Callable[[], bool],
) -> Segment | None:
    """The stretch that this call is in: the newest on record or, after an edit of the schedule, a new one.

    sigmas: [steps + 1], as ComfyUI gives them now; ended: whether the call was over before that edit
    rescheduled: whether an edit since the newest evaluation can have changed them
    Raises InputsChanged where no such stretch can begin.
    """
    newest = _read(recording.segment)
    then = inputs.sigmas if newest is None else newest.given
    sampler = inputs.fingerprints.get(SAMPLER) if newest is None else newest.sampler
    now = host_copy(sigmas)
    same = sampler == sampler_digest and torch.equal(then, now)
    if not len(recording) or same or ended():
        return newest
    if not rescheduled:
        if then.shape == now.shape:
            return newest
        raise InputsChanged(
            f"Midrun cannot go on with this sampling call: it had {len(then) - 1} steps when it was "
            f"recorded and has {len(now) - 1} now, although nobody edited them. {AGAIN}"
        )
    origin, step, x, own = _start(recording, inputs, newest, now, edits, model_sampling)
    begun = Segment(origin.evaluations, step, origin, x, own, now, sampler_digest, rng)
    recording.begin(begun)
    return begun


def _start(
    recording: Recording,
    inputs: Inputs,
    newest: Segment | None,
    now: torch.Tensor,
    edits: History,
    model_sampling: Any,
) -> tuple[Approach, int, torch.Tensor, torch.Tensor]:
    """Where a new stretch begins: the approach, the steps done, x, and the sigmas from there on."""
    origin = _origin(recording, newest)
    steps = [number for number in recording.steps() if _ended_by(recording, number, origin.evaluations)]
    step = steps[-1] if steps else 0
    void = newest is not None and newest.first == len(recording)
    before = _given_before(recording, inputs, newest, void)
    is_longer = origin.sigma <= float(before[-1]) and len(now) > len(before)
    if newest is None and _is_cut(inputs.sigmas, now, step):
        own, x = now[-1:].clone(), _denoised(recording, step)
    elif is_longer or _denoise_was_edited(edits, newest, void):
        begin = len(before) - 1 if is_longer else min(step, len(now) - 1)
        own, denoised = now[begin:].clone(), _denoised(recording, step)
        x = moved(origin, denoised, own, model_sampling, (inputs.seed or 0) + origin.evaluations)
    else:
        own = remaining(now, origin.sigma)
        x = origin.x
    return origin, step, x, own


def remaining(sigmas: torch.Tensor, sigma: float) -> torch.Tensor:
    """The schedule from `sigma` on, `sigma` alone if it ends there. Raises InputsChanged if it ends above."""
    last = float(sigmas[-1])
    if last > sigma * (1 + SAME_LEVEL):
        raise InputsChanged(
            f"The edited schedule ends at noise level {last:.4g}, but the sampling has come down to "
            f"{sigma:.4g}. {AGAIN}"
        )
    own = continued(sigmas, sigma)
    return own[:1] if last >= sigma * (1 - SAME_LEVEL) else own


def continued(sigmas: torch.Tensor, sigma: float) -> torch.Tensor:
    """The schedule below `sigma`, from `sigma` on: no jump in noise level."""
    below = sigmas[sigmas < sigma]
    return torch.cat([torch.tensor([sigma], dtype=sigmas.dtype), below])


def moved(
    origin: Approach, denoised: torch.Tensor, sigmas: torch.Tensor, model_sampling: Any, seed: int
) -> torch.Tensor:
    """x at noise level sigmas[0]: less of the noise that is in it, or topped up with fresh noise.

    model_sampling.noise_scaling is linear in noise and latent: x = a * eps + b * denoised, where a and b are
    its values for (1, 0) and (0, 1). The noise-to-signal ratio a / b tells how much of eps is kept.
    """
    a, b = _scales(model_sampling, origin.sigma)
    a_new, b_new = _scales(model_sampling, float(sigmas[0]))
    x, estimate = origin.x.to(torch.float64), denoised.to(torch.float64)
    eps = (x - b * estimate) / a
    kept = min(1.0, (a / b) / (a_new / b_new))
    if kept < 1.0:
        generator = torch.Generator().manual_seed(seed % 2**64)
        fresh = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        eps = kept * eps + (1.0 - kept**2) ** 0.5 * fresh
    return (a_new * eps + b_new * estimate).to(origin.x.dtype)


def starting_at(sampler: Any, x: torch.Tensor) -> Any:
    """The same sampler (KSAMPLER), whose function begins with x instead of the scaled noise it is given.

    Where no step is left it is not called: x is what the sampling has come to.
    """
    if not hasattr(sampler, "sampler_function"):
        told = f"{type(sampler).__name__} cannot begin in the middle of sampling"
        raise InputsChanged(f"Midrun cannot go on with this sampling call: {told}. {AGAIN}")
    function: Callable[..., Any] = sampler.sampler_function

    def begin(model: Any, start: torch.Tensor, sigmas: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        own = x.to(start.device, start.dtype, copy=True)
        return own if len(sigmas) == 1 else function(model, own, sigmas, *args, **kwargs)

    begun = copy.copy(sampler)
    begun.sampler_function = begin
    return begun


def _is_cut(then: torch.Tensor, now: torch.Tensor, step: int) -> bool:
    """Whether the schedule is to end, without any noise, with the steps that are done.

    ComfyUI makes such of KSamplerAdvanced's end_at_step without leftover noise: the last level becomes 0. Its
    last step, from the level before to 0, has been asked for already; `denoised` is what it makes of that.
    """
    is_shorter = step > 0 and len(now) == step + 1 < len(then)
    return is_shorter and float(now[-1]) == 0 and torch.equal(now[:-1], then[:step])


def _scales(model_sampling: Any, sigma: float) -> tuple[float, float]:
    one, zero, level = torch.ones(1), torch.zeros(1), torch.tensor([sigma])
    a = model_sampling.noise_scaling(level, one, zero)
    b = model_sampling.noise_scaling(level, zero, one)
    return max(float(a), 1e-12), max(float(b), 1e-12)


def _origin(recording: Recording, newest: Segment | None) -> Approach:
    """Where the newest stretch has come to; of one without an evaluation, where it began to be made from."""
    if newest is not None and newest.first == len(recording):
        return newest.origin
    approach = _read(lambda: recording.approach(len(recording)))
    if approach is None:
        told = "the sampler's position is not on record, so its schedule cannot be changed"
        raise InputsChanged(f"Midrun cannot go on with this sampling call: {told}. {AGAIN}")
    return approach


def _given_before(recording: Recording, inputs: Inputs, newest: Segment | None, void: bool) -> torch.Tensor:
    """The schedule that led to where the new stretch begins."""
    earlier = _read(lambda: recording.segment(len(recording) - 1)) if void else newest
    return inputs.sigmas if earlier is None else earlier.given


def _denoise_was_edited(edits: History, newest: Segment | None, void: bool) -> bool:
    """Since the newest stretch began, or with it where that is void: without an evaluation."""
    since = -1 if newest is None else newest.step - void
    return any(
        edit.from_step is not None and edit.from_step > since
        for named in edits.values()
        for edit in named.get("denoise", ())
    )


def _ended_by(recording: Recording, number: int, evaluations: int) -> bool:
    try:
        return recording.step(number).evaluations <= evaluations
    except (Damaged, KeyError, IndexError):
        return False


def _denoised(recording: Recording, step: int) -> torch.Tensor:
    found = _read(lambda: recording.step(step)) if step else None
    if found is None or found.denoised is None:
        raise InputsChanged(f"No step is done yet, so there is no noise level to change. {AGAIN}")
    return found.denoised


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (Damaged, KeyError, IndexError) as error:
        raise InputsChanged(
            f"The recording of this sampling call cannot be read back: {error}. {AGAIN}"
        ) from error
