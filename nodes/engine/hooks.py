"""Where Midrun meets a sampling call of ComfyUI's: the OUTER_SAMPLE wrapper of a cloned model.

The wrapper finds the job and its recording; call.py has the sampling call. On ComfyUI's worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management as mm
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP

from ...state.job.view import JobError, Moment
from ...state.job.warnings import RECORDING_DAMAGED
from ...state.node import Node
from ...state.recording.items import Inputs, Segment
from ...state.recording.recording import Recording
from ...state.services.running_beside import RunningBeside
from ...state.services.running_check import RunningCheck
from ...state.services.running_lens import RunningLens
from ...state.workflow.influence import reschedules
from .beside_call import BesideCall
from .call import SamplingCall
from .call_services import CallServices
from .check_call import CheckCall
from .computed_with import ComputedWith, of_model
from .fingerprint import sampler_digest
from .guider import KEY, put_first
from .hold import end_prompt
from .inputs import CallArguments, conditions_of, inputs_now, recorded_inputs, seed_of, with_seed
from .lens_call import LensCall
from .retrying import drop_unless_same
from .run_watch import follow
from .runtime import Here, Options, beside_here, here
from .segments import segment_for, starting_at
from .tape import InputsChanged, Tape, capture_rng, restore_rng


@dataclass(frozen=True)
class Watch:
    """A sampling call that is to be watched. ordinal: which one of its node, from 0"""

    here: Here
    ordinal: int
    options: Options

    def told(self, error: Exception) -> JobError:
        return JobError(type(error).__qualname__, str(error), self.here.node.display_id)


def attach(model: Any, options: Options) -> Any:
    """A clone of `model` (ModelPatcher) whose every sampling call is watched; attached again, once."""
    watched = model.clone()
    watched.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, KEY)
    watched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _OuterSample(options))
    put_first(watched.wrappers[WrappersMP.OUTER_SAMPLE])
    return watched


class _OuterSample:
    """The OUTER_SAMPLE wrapper."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def __call__(
        self,
        executor: WrapperExecutor,
        noise: torch.Tensor,
        latent_image: torch.Tensor,
        sampler: Any,
        sigmas: torch.Tensor,
        denoise_mask: torch.Tensor | None = None,
        callback: Callable[..., Any] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        given = CallArguments(noise, latent_image, sigmas, denoise_mask, seed_of(args, kwargs))
        if (beside := beside_here()) is not None:
            return _beside(*beside, executor, given, sampler).run(args, kwargs)
        watch = _watched(self.options)
        if watch is None:
            return executor(noise, latent_image, sampler, sigmas, denoise_mask, callback, *args, **kwargs)
        with _its_end_told(watch):
            guider = executor.class_obj
            now = inputs_now(watch.here.node, given, guider, sampler, kwargs.get("latent_shapes"))
            recording, inputs = _begin(watch, given, now)
            segment = _segment(watch, recording, inputs, sigmas, sampler, guider)
            call = _prepare(watch, recording, inputs, guider, callback, conditions_of(now))
            schedule, rng = inputs.sigmas, inputs.rng
            if segment is not None:
                schedule, rng, sampler = segment.sigmas, segment.rng, starting_at(sampler, segment.x)
                call.begin_at(segment)
            args, kwargs = with_seed(inputs.seed, args, kwargs)

            def sample() -> torch.Tensor:
                restore_rng(rng, mm.get_torch_device())
                again, latent, mask = given.again(inputs)
                levels = schedule.to(sigmas.device, copy=True)  # uni_pc writes into it
                return executor(again, latent, sampler, levels, mask, call.on_step, *args, **kwargs)

            output = call.run(sample)
            if segment is not None and len(segment.sigmas) == 1:
                call.end_at(segment)
            return output


def _beside(
    running: RunningBeside, node: Node, executor: Any, given: CallArguments, sampler: Any
) -> BesideCall[Any]:
    """What a prompt beside a job makes of its sampling call."""
    if isinstance(running, RunningCheck):
        return CheckCall(running, node, executor, given, sampler)
    if isinstance(running, RunningLens):
        return LensCall(running, node, executor, given, sampler)
    raise TypeError(f"no prompt beside a job is {type(running).__qualname__}")


def _watched(options: Options) -> Watch | None:
    """A sampling call begins; None where it is not to be watched. Raises where its run is to end."""
    now = here()
    if now is None:
        return None
    job, keep = now.job, now.runtime.keep
    if job.worker.must_leave(now.prompt_id):
        end_prompt()
    follow(job, now.prompt_id, now.node.display_id, keep)
    options = options.settled(now.runtime.settings())
    ordinal = job.call.enter(now.prompt_id, now.node, options.queue_policy)
    return None if ordinal is None else Watch(now, ordinal, options)


@contextmanager
def _its_end_told(watch: Watch) -> Iterator[None]:
    """Tell the job how the call ends."""
    job = watch.here.job
    try:
        yield
    except InputsChanged as error:
        job.worker.pause_after_failure(watch.told(error))
        raise
    except mm.InterruptProcessingException:
        job.cancel(watch.here.prompt_id)
        raise
    except Exception as error:
        job.worker.fail(watch.told(error))
        raise
    finally:
        job.call.leave()


def _begin(watch: Watch, given: CallArguments, now: Inputs) -> tuple[Recording, Inputs]:
    """The call's recording, and what it was given when that began."""
    job, node = watch.here.job, watch.here.node
    recording = watch.here.runtime.recordings.open(job.job_id, node.node_id, watch.ordinal)
    recording.forget_begun()
    drop_unless_same(job, watch.here.runtime.recordings, recording, now)
    inputs = recorded_inputs(job, node, watch.ordinal, recording, now)
    begins = float(inputs.sigmas[0]) if len(inputs.sigmas) else None
    steps = len(given.sigmas) - 1
    at = Moment(node.node_id, 0, len(recording), steps, begins, watch.ordinal, node.display_id, node.loops)
    job.call.begin(at)
    return recording, inputs


def _segment(
    watch: Watch, recording: Recording, inputs: Inputs, sigmas: torch.Tensor, sampler: Any, guider: Any
) -> Segment | None:
    """The stretch to sample, where the schedule was edited; a new one is told."""
    job, ended = watch.here.job, partial(_is_over, watch.here, inputs)
    model_sampling = guider.model_patcher.get_model_object("model_sampling")
    rng = capture_rng(mm.get_torch_device())
    kind, edits = sampler_digest(sampler), job.view().edits
    before = recording.segment() if len(recording) else None
    edited = reschedules(job.request.prompt, inputs.display_id, job.worker.taken())
    segment = segment_for(recording, inputs, sigmas, kind, edits, edited, model_sampling, rng, ended)
    if segment is not None:
        job.call.reschedule(segment.step + len(segment.sigmas) - 1, segment.step)
        if before is None or before.first != segment.first or before.sampler != segment.sampler:
            job.note("segment", {"step": segment.step, "sigma": float(segment.sigmas[0])})
    return segment


def _prepare(
    watch: Watch,
    recording: Recording,
    inputs: Inputs,
    guider: Any,
    callback: Callable[..., Any] | None,
    conditions: dict[str, str],
) -> SamplingCall:
    job, services, options = watch.here.job, watch.here.runtime, watch.options
    tape = Tape(recording, partial(job.warn, RECORDING_DAMAGED))
    shown = services.previews.call(job, watch.ordinal, inputs, options.previews)
    call = job.job_id, watch.here.node.node_id, watch.ordinal
    keep_draws = partial(services.draws.serve, call)
    pause_at = options.pause_at_step if watch.ordinal == 0 else 0
    elsewhere = partial(services.recordings.remembered_elsewhere, *call)
    around = partial(services.around, watch.here.prompt_id, job.request.prompt)
    computed_with = ComputedWith(recording, conditions, of_model(guider.model_patcher), around)
    beside = CallServices(
        shown, services.holding, keep_draws, services.later, elsewhere, options.wishes, computed_with
    )
    return SamplingCall(job, guider, tape, callback, pause_at, beside)


def _is_over(here: Here, inputs: Inputs) -> bool:
    """Whether the job has come to a later sampling call: this one is replayed as it was."""
    if here.job.call.replays():
        return True
    calls = here.runtime.recordings.calls(here.job.job_id)
    others = [recording.origin for recording in calls.values() if len(recording)]
    return any(
        other is not None and other.begun > inputs.begun and other.node.is_called(inputs.display_id)
        for other in others
    )
