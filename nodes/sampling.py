"""One watched sampling call: attempt after attempt, each replaying what was recorded, then going on live.

On ComfyUI's worker thread, between the two wrappers: OUTER_SAMPLE runs it, PREDICT_NOISE is its evaluation.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import comfy.model_management as mm
import comfy.sampler_helpers
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP, add_wrapper_with_key

from ..state.breakpoints import Kind, Observation
from ..state.evaluation import Outcome
from ..state.job import Job
from ..state.recording import Approach, Segment, Step
from ..state.transitions import Directive
from ..state.view import JobError
from . import gpu
from .holding import Holding, leave
from .previews import CallPreviews
from .remembering.session import Session, Wishes
from .replay import Tap, Tape, capture_rng, finite, host_copy, norm_of, restore_rng

KEY = "midrun"
OWN_POST_CFG = "sampler_post_cfg_function"


def put_first(wrappers: dict[str | None, list[Any]]) -> None:
    """Make ours the outermost: what other wrappers set up for an attempt is set up anew for the next."""
    ours = wrappers.pop(KEY)
    others = dict(wrappers)
    wrappers.clear()
    wrappers.update({KEY: ours, **others})


@dataclass(frozen=True)
class Aside:
    """What a call deals with beside sampling."""

    previews: CallPreviews
    holding: Holding
    keep_draws: Callable[[FrameType], object]  # of the sampler that runs around that frame
    wishes: Wishes = Wishes()


class Unwound(BaseException):
    """Leaves a sampler. Never leaves the OUTER_SAMPLE wrapper: it would kill ComfyUI's worker thread."""

    def __init__(self, directive: Directive) -> None:
        self.directive = directive


class SamplingCall:
    """One watched call of a guider's outer_sample."""

    def __init__(
        self,
        job: Job,
        guider: Any,
        tape: Tape,
        callback: Callable[..., Any] | None,
        pause_at: int,
        aside: Aside,
    ) -> None:
        self.job = job
        self.guider = guider
        self.tape = tape
        self.aside = aside
        self.callback = callback
        self.pause_at = pause_at
        self.conds = _copy_conds(guider.conds)
        self.shared_post_cfg = len(guider.model_options.get(OWN_POST_CFG, ()))
        self.denoised: torch.Tensor | None = None  # of the newest step, on the host
        self.answer: torch.Tensor | None = None  # of the newest evaluation
        self.kept: torch.Tensor | None = None  # the same on the host, as it is recorded
        self.norm: float | None = None  # of that, where it was asked for already
        self.sigma = 0.0
        self.step = 0  # steps before the stretch that is sampled
        self.live = False  # whether the newest evaluation was
        self.seen: Observation | None = None  # of the newest step
        self.difference: torch.Tensor | None = None  # of the two newest steps
        self.memory = Session(job, tape.recording, aside.wishes, mm.get_torch_device())

    def begin_at(self, segment: Segment) -> None:
        """Sample that stretch, after what was done before it."""
        self.tape.first, self.step = segment.first, segment.step

    def end_at(self, segment: Segment) -> None:
        """The edited schedule ended where the job stood: nothing was evaluated, and the call is over."""
        self.tape.recording.settle()
        self.tape.recording.save()
        self.job.recorded(segment.first, float(segment.sigmas[0]), live=True)

    def run(self, sample: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Attempt until the sampler ends and nobody wants it paused."""
        with self._watching():
            while True:
                output, directive = self._attempt(sample)
                if directive is Directive.PAUSE:
                    output = None
                    directive = self._hold()
                if directive in (Directive.STOP, Directive.PARK):
                    leave()
                if directive is Directive.FINISH:
                    self.job.finished()
                    return self._unfinished() if output is None else output
                if output is not None:
                    return output

    def _attempt(self, sample: Callable[[], torch.Tensor]) -> tuple[torch.Tensor | None, Directive]:
        """Sample from the start. Without output the sampler was left before its end."""
        self.tape.rewind()
        self.seen = None
        self.guider.conds = _copy_conds(self.conds)  # processing them happens in place
        output = None
        try:
            output = sample()
            if (directive := self.job.directive()) not in (Directive.GO, Directive.FINISH):
                self.memory.left()
            return output, directive
        except Unwound as unwound:
            directive = unwound.directive
        finally:
            if output is None:
                gpu.end_forward()  # nobody else does so before the next attempt
                self.memory.left()
        self._clean_up()
        return None, directive

    @contextmanager
    def _watching(self) -> Any:
        """Our PREDICT_NOISE wrapper in the options that the guider keeps for this one call, outermost."""
        options = self.guider.model_options
        add_wrapper_with_key(
            WrappersMP.PREDICT_NOISE, KEY, self.predict_noise, options, is_model_options=True
        )
        wrappers = options["transformer_options"]["wrappers"][WrappersMP.PREDICT_NOISE]
        put_first(wrappers)
        try:
            yield
        finally:
            wrappers.pop(KEY, None)
            self.tape.recording.save()
            self.aside.previews.ended()

    # -- an evaluation ---------------------------------------------------------------------------------

    def predict_noise(
        self,
        executor: WrapperExecutor,
        x: torch.Tensor,
        timestep: torch.Tensor,
        model_options: dict[str, Any] | None = None,
        seed: int | None = None,
    ) -> torch.Tensor:
        """x: [B, ...]; timestep: the sigmas, [B]. Answers `denoised`, recorded or live."""
        options = {} if model_options is None else model_options
        own = options.get(OWN_POST_CFG, [])[self.shared_post_cfg :]
        if self.tape.position == self.tape.first:
            self.aside.keep_draws(sys._getframe())
            self.memory.begin(options, self.guider, KEY, own)
        recorded = self.tape.next()
        self.live = recorded is None
        sigma = timestep.reshape(-1)[0].item()
        if recorded is None:
            self.tape.recording.approached(Approach(self.tape.position, sigma, host_copy(x)))
            self.answer = self._evaluate(executor, x, timestep, options, seed, own)
        else:
            args = {"sigma": timestep, "input": x, "model_options": options, "cond_scale": self._cfg()}
            args["model"] = self.guider.inner_model
            self.answer = self.tape.replay(recorded, own, args, x.device)
            self.kept, self.norm = recorded.answer, None
            if self.tape.position == len(self.tape.recording):
                self.memory.replayed()
        self.sigma = sigma
        self.job.recorded(self.tape.position, self.sigma, self.live)
        return self.answer

    def _evaluate(
        self, executor: Any, x: Any, timestep: Any, options: dict[str, Any], seed: Any, own: list[Any]
    ) -> torch.Tensor:
        if not self.memory.idle:
            self.memory.before_live(partial(self._again, executor, x, timestep, options, seed))
        before = capture_rng(x.device)
        self.tape.recording.save()  # from here to the model nothing lets the threads in that get work now
        tap = Tap()
        with _tapped(options, self.shared_post_cfg, own, tap):
            answer, kept = self._ask(partial(executor, x, timestep, options, seed))
        norm = norm_of(kept)
        if not finite(kept, norm) and self.job.hit(Kind.NAN):
            raise Unwound(self.job.directive())
        self.memory.answered(self.tape.position + 1)
        self.tape.record(kept, tap.calls, before, x.device)
        self.memory.recorded()
        self.kept, self.norm = kept, norm
        return answer

    def _ask(self, model: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Its answer, and the same on the host; left where the job is to be paused."""
        directive = self.job.begin_evaluation()
        if directive is not Directive.GO:
            raise Unwound(directive)
        self.aside.previews.hand_over()
        outcome = Outcome.RAISED
        try:
            answer = model()
            kept = host_copy(answer)  # waits for the device: the evaluation ends when the GPU is done
            outcome = Outcome.ANSWERED
        except mm.InterruptProcessingException:
            outcome = Outcome.INTERRUPTED
            raise
        except Exception as error:
            if self.job.hit(Kind.EXCEPTION, JobError(type(error).__qualname__, str(error), None)):
                raise Unwound(self.job.directive()) from error
            raise
        finally:
            if self.job.end_evaluation(outcome):
                raise Unwound(self.job.directive())
        return answer, kept

    def _again(
        self, executor: Any, x: Any, timestep: Any, options: dict[str, Any], seed: Any, index: int
    ) -> float:
        """Ask the model once more what is on record; by how much it answers otherwise."""
        recorded, approach = self.tape.recording.read(index), self.tape.recording.approach(index)
        if approach is None:
            return math.inf
        rng = capture_rng(x.device)
        earlier = (self.tape.recording.read(number).rng for number in range(index - 1, -1, -1))
        drawn = next((one for one in earlier if one is not None), None)
        begun = self.tape.recording.inputs if drawn is None else None
        if drawn is not None or begun is not None:
            restore_rng(drawn or begun.rng, x.device)
        level = torch.full_like(timestep, approach.sigma)
        _, kept = self._ask(partial(executor, approach.x.to(x.device, copy=True), level, options, seed))
        restore_rng(rng, x.device)
        return float((kept.double() - recorded.answer.double()).abs().max())

    def on_step(self, step: int, denoised: torch.Tensor, x: torch.Tensor, total_steps: int) -> None:
        """The sampler's callback: passed on while live, silent while replaying."""
        other = None if denoised is self.answer else host_copy(denoised)
        shown, norm = (self.kept, self.norm) if other is None else (other, None)
        number = self.step + step + 1
        self.seen = self._observed(number, shown, norm_of(shown) if norm is None else norm)
        self.denoised = shown
        self.aside.previews.stepped(number, self.sigma, self.denoised, self.live)
        left = self.job.stepped(self.seen, self.live, self.pause_at)
        self.tape.recording.mark(
            Step(number, self.tape.position, self.sigma, other, left.measured, left.hits)
        )
        if self.live and self.callback is not None:
            self.callback(number - 1, denoised, x, self.step + total_steps)

    def _observed(self, number: int, denoised: torch.Tensor, norm: float) -> Observation:
        """denoised: on the host."""
        before, memory = self.seen, gpu.allocated() if self.live else None
        if before is None or self.denoised is None:
            return Observation(number, self.sigma, norm=norm, memory=memory)
        change = norm_of(self._difference(denoised, self.denoised)) / max(norm, 1e-12)
        return Observation(number, self.sigma, before.sigma, change, before.change, norm, memory)

    def _difference(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """In memory that is used at each step: to be given new memory takes longer than to subtract."""
        kept = self.difference
        if kept is None or kept.shape != one.shape or kept.dtype is not one.dtype or one.dtype != other.dtype:
            kept = self.difference = one - other
            return kept
        return torch.sub(one, other, out=kept)

    def _cfg(self) -> float:
        return getattr(self.guider, "cfg", 1.0)

    # -- out of the sampler ----------------------------------------------------------------------------

    def _clean_up(self) -> None:
        """What outer_sample leaves undone when something is raised in it."""
        kept = self.guider.__dict__
        loaded = kept.pop("loaded_models", None)
        if loaded is not None:
            comfy.sampler_helpers.cleanup_models(self.guider.conds, loaded)
        kept.pop("inner_model", None)
        self.guider.conds = _copy_conds(self.conds)

    def _unfinished(self) -> torch.Tensor:
        """The newest `denoised`, as outer_sample would have returned its samples."""
        if self.denoised is None:
            raise mm.InterruptProcessingException()
        return self.guider.model_patcher.model.process_latent_out(self.denoised.to(torch.float32))

    def _hold(self) -> Directive:
        self.answer = None
        self.tape.recording.save()
        self.aside.previews.paused()
        return self.aside.holding.hold(self.job)


@contextmanager
def _tapped(options: dict[str, Any], shared: int, own: list[Any], tap: Tap) -> Any:
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


def _copy_conds(conds: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {kind: [cond.copy() for cond in entries] for kind, entries in conds.items()}
