"""Where Midrun meets ComfyUI's sampling: two wrappers on a cloned model, on ComfyUI's worker thread.

OUTER_SAMPLE is the pause loop: one attempt after another at the same sampling call, each replaying what was
recorded. PREDICT_NOISE is one evaluation: replayed or live. The only user of comfy.patcher_extension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import comfy.model_management as mm
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP

from ...state.job.job import Job
from ...state.job.transitions import Directive
from ...state.job.view import JobError, Moment
from ...state.job.warnings import RECORDING_DAMAGED
from ...state.node import is_past, itself
from ...state.pictures.previews import PreviewOptions, settled
from ...state.recording.recording import Inputs, Recording, Recordings, Segment, is_begun
from ...state.states import QueuePolicy
from ...state.worker import Work
from ...state.workflow.influence import reschedules
from ...state.workflow.verdicts import ancestors
from ..comfyui.executing import loop_ends, prompt_that_runs
from ..comfyui.queue import ComfyQueue
from ..previews.previews import Previews
from .brownian import Draws
from .call import KEY, Aside, SamplingCall, put_first
from .fingerprint import sampler_digest
from .hold import Holding, leave
from .inputs import Given, recorded_inputs
from .run_watch import Keep, watch
from .segments import segment_for, starting_at
from .tape import InputsChanged, Tape, capture_rng, restore_rng


@dataclass(frozen=True)
class Options:
    """What the user set on the Midrun node. pause_at_step: pause once that many steps are done; 0 is off."""

    pause_at_step: int = 0
    queue_policy: QueuePolicy = QueuePolicy.AUTO
    previews: PreviewOptions = PreviewOptions()

    def settled(self, settings: dict[str, Any]) -> Options:
        """What the node leaves at its default is as the user's settings say."""
        policy, wished = self.queue_policy, settings.get("Midrun.QueuePolicy")
        if policy is QueuePolicy.AUTO and wished in ("hold", "park"):
            policy = QueuePolicy(wished)
        return replace(self, queue_policy=policy, previews=settled(self.previews, settings))


@dataclass(frozen=True)
class Runtime:
    """What the hooks need of the rest of Midrun."""

    find_job: Callable[[str], Job | None]  # by prompt_id
    recordings: Recordings
    queue: ComfyQueue
    previews: Previews
    holding: Holding
    draws: Draws
    settings: Callable[[], dict[str, Any]]  # of ComfyUI, by id
    keep: Keep
    later: Callable[[Work], object]  # on a thread beside the sampling thread, in order


NOWHERE = "", itself("")  # outside every prompt
runtime: Runtime | None = None  # set once, when ComfyUI loads the pack; None leaves every model unwatched


def present_take() -> str:
    """What makes ComfyUI sample again where it has the result in its cache: another take of the same job."""
    prompt_id, _ = (runtime.queue.executing() if runtime else None) or NOWHERE
    job = runtime.find_job(prompt_id) if runtime and prompt_id else None
    return prompt_id if job is not None and job.travelled else ""


def reach(before: str | None) -> None:
    """The node `before`, or this one, is about to run: its job pauses there if it has a breakpoint.

    At this one, which is a breakpoint by itself, always. Raises InterruptProcessingException where the prompt
    is to end.
    """
    prompt_id, node = (runtime.queue.executing() if runtime else None) or NOWHERE
    job = runtime.find_job(prompt_id) if runtime and prompt_id else None
    if before is not None:
        node = node.beside(before)
    if runtime is None or job is None:
        return
    if job.worker.must_leave(prompt_id):
        leave()
    watch(job, prompt_id, job.view().display_node_id, runtime.keep)
    if iteration_is_over() or not job.worker.reach(prompt_id, node, always=before is None):
        return
    directive = runtime.holding.hold(job)
    if directive in (Directive.STOP, Directive.PARK):
        leave()
    if directive is Directive.FINISH:
        job.worker.finished()  # which what comes after this node is about


def iteration_is_over() -> bool:
    """Whether the job came past the iteration of a loop that this node is in, in whichever of its runs."""
    prompt_id, node = (runtime.queue.executing() if runtime else None) or NOWHERE
    job = runtime.find_job(prompt_id) if runtime and prompt_id and node.loops else None
    if runtime is None or job is None:
        return False
    calls = runtime.recordings.calls(job.job_id).values()
    origins = [recording.origin for recording in calls if is_begun(recording)]
    reached = [*job.worker.came_to, *(origin.node for origin in origins if origin is not None)]
    ends, needs = loop_ends(node.loops), partial(ancestors, prompt_that_runs())
    return any(is_past(other, node, ends, needs) for other in reached)


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
        prompt_id, node = (runtime.queue.executing() if runtime else None) or NOWHERE
        job = runtime.find_job(prompt_id) if runtime and prompt_id else None
        options, ordinal = self.options, None
        if runtime is not None and job is not None:
            if job.worker.must_leave(prompt_id):
                leave()
            watch(job, prompt_id, node.display_id, runtime.keep)
            options = options.settled(runtime.settings())
            ordinal = job.call.enter(prompt_id, node, options.queue_policy)
        if ordinal is None:
            return executor(noise, latent_image, sampler, sigmas, denoise_mask, callback, *args, **kwargs)
        node_id = node.node_id
        try:
            recording = runtime.recordings.open(job.job_id, node_id, ordinal)
            recording.forget_begun()
            given = Given(noise, latent_image, sigmas, denoise_mask, _seed_of(args, kwargs))
            guider = executor.class_obj
            inputs = recorded_inputs(
                job, node, ordinal, recording, given, guider, sampler, kwargs.get("latent_shapes")
            )
            begins = float(inputs.sigmas[0]) if len(inputs.sigmas) else None
            job.call.begin(
                Moment(
                    node_id, 0, len(recording), len(sigmas) - 1, begins, ordinal, node.display_id, node.loops
                )
            )
            args, kwargs = _with_seed(inputs.seed, args, kwargs)
            ended = partial(_is_over, job, inputs)
            segment = self._segment(job, recording, inputs, sigmas, sampler, guider, ended)
            pause_at = options.pause_at_step if ordinal == 0 else 0
            tape = Tape(recording, partial(job.warn, RECORDING_DAMAGED))
            shown = runtime.previews.call(job, ordinal, inputs, options.previews)
            keep_draws = partial(runtime.draws.serve, (job.job_id, node_id, ordinal))
            aside = Aside(shown, runtime.holding, keep_draws, runtime.later)
            call = SamplingCall(job, guider, tape, callback, pause_at, aside)
            schedule, rng = inputs.sigmas, inputs.rng
            if segment is not None:
                schedule, rng, sampler = segment.sigmas, segment.rng, starting_at(sampler, segment.x)
                call.begin_at(segment)

            def sample() -> torch.Tensor:
                restore_rng(rng, mm.get_torch_device())
                again, latent, mask = given.again(inputs)
                levels = schedule.to(sigmas.device, copy=True)  # uni_pc writes into it
                return executor(again, latent, sampler, levels, mask, call.on_step, *args, **kwargs)

            output = call.run(sample)
            if segment is not None and len(segment.sigmas) == 1:
                call.end_at(segment)
            return output
        except InputsChanged as error:
            job.worker.set_back(JobError(type(error).__qualname__, str(error), node.display_id))
            raise
        except mm.InterruptProcessingException:
            job.cancel(prompt_id)
            raise
        except Exception as error:
            job.worker.fail(JobError(type(error).__qualname__, str(error), node.display_id))
            raise
        finally:
            job.call.leave()

    def _segment(
        self,
        job: Job,
        recording: Recording,
        inputs: Inputs,
        sigmas: torch.Tensor,
        sampler: Any,
        guider: Any,
        ended: Callable[[], bool],
    ) -> Segment | None:
        """The stretch to sample, where the schedule was edited; a new one is told."""
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


def _is_over(job: Job, inputs: Inputs) -> bool:
    """Whether the job has come to a later sampling call: this one is replayed as it was."""
    if job.call.replays():
        return True
    calls = {} if runtime is None else runtime.recordings.calls(job.job_id)
    others = [recording.origin for recording in calls.values() if len(recording)]
    return any(
        other is not None and other.begun > inputs.begun and other.node.is_called(inputs.display_id)
        for other in others
    )


def _seed_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Of outer_sample's arguments after the callback: disable_pbar, seed, ..."""
    seed = kwargs.get("seed", args[1] if len(args) > 1 else None)
    return None if seed is None else int(seed)


def _with_seed(seed: int | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The recorded one, which samplers that draw noise of their own draw it from."""
    if seed is None:
        return args, kwargs
    if "seed" in kwargs:
        return args, kwargs | {"seed": seed}
    return (*args[:1], seed, *args[2:]), kwargs
