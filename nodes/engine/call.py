"""One watched sampling call: attempt after attempt, each replaying what was recorded, then going on live.

On ComfyUI's worker thread, between the two wrappers: OUTER_SAMPLE runs it, PREDICT_NOISE is its evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import comfy.model_management as mm
import comfy.sampler_helpers
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP, add_wrapper_with_key

from ...state.breakpoints.breakpoints import Kind
from ...state.job.in_flight import Outcome
from ...state.job.job import Job
from ...state.job.transitions import Directive
from ...state.job.view import JobError
from ...state.recording.recording import Approach, Evaluation, Segment
from ...state.worker import Work
from ..comfyui import gpu
from ..previews.previews import CallPreviews
from .entries import Done, Entries
from .hold import Holding, end_prompt
from .journal import Journal
from .tape import Tap, Tape, capture_rng, first_of, host_copy

KEY = "midrun"
OWN_POST_CFG = "sampler_post_cfg_function"
NOTHING = nullcontext()


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
    later: Callable[[Work], object]  # while the model works


class Unwound(BaseException):
    """Leaves a sampler. Never leaves the OUTER_SAMPLE wrapper: it would kill ComfyUI's worker thread."""


@dataclass(frozen=True)
class Answer:
    """The newest evaluation's. given: what the sampler got; kept: the same on the host, as it is recorded"""

    given: torch.Tensor
    kept: torch.Tensor
    sigma: float
    live: bool


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
        self.step = 0  # steps before the stretch that is sampled
        self.answer: Answer | None = None
        self.allocated = gpu.counter()
        self.journal = Journal(aside.later)
        self.entries = Entries(job, tape, aside.previews, pause_at)

    def begin_at(self, segment: Segment) -> None:
        """Sample that stretch, after what was done before it."""
        self.tape.first, self.step = segment.first, segment.step

    def end_at(self, segment: Segment) -> None:
        """The edited schedule ended where the job stood: nothing was evaluated, and the call is over."""
        self.tape.recording.settle()
        self.tape.recording.save()
        self.job.call.recorded(segment.first, float(segment.sigmas[0]), live=True)

    def run(self, sample: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Attempt until the sampler ends and nobody wants it paused."""
        with self._watching():
            while True:
                output, directive = self._attempt(sample)
                if directive is Directive.PAUSE:
                    output = None
                    directive = self._hold()
                if directive in (Directive.STOP, Directive.PARK):
                    end_prompt()
                if directive is Directive.FINISH:
                    self.job.worker.finished()
                    return self._unfinished() if output is None else output
                if output is not None:
                    return output

    def _attempt(self, sample: Callable[[], torch.Tensor]) -> tuple[torch.Tensor | None, Directive]:
        """Sample from the start. Without output the sampler was left before its end."""
        self.tape.rewind()
        self.entries.begin()
        self.answer = None
        self.guider.conds = _copy_conds(self.conds)  # processing them happens in place
        output = None
        try:
            output = sample()
        except Unwound:
            pass
        finally:
            if output is None:
                gpu.end_forward()  # nobody else does so before the next attempt
            self.journal.settle()
        if output is None:
            self._clean_up()
        return output, self.job.worker.directive()

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
        recorded = self.tape.next()
        sigma = first_of(timestep)
        if recorded is None:
            approach = Approach(self.tape.position, sigma, host_copy(x))
            self.journal.note(partial(self.entries.approached, approach))
            answer = self._evaluate(executor, x, timestep, options, seed, own, sigma)
        else:
            args = {"sigma": timestep, "input": x, "model_options": options, "cond_scale": self._cfg()}
            args["model"] = self.guider.inner_model
            given = self.tape.replay(recorded, own, args, x.device)
            answer = Answer(given, recorded.answer, sigma, False)
            self.journal.note(partial(self.job.call.recorded, self.tape.position, sigma, False))
        self.answer = answer
        return answer.given

    def _evaluate(
        self,
        executor: Any,
        x: Any,
        timestep: Any,
        options: dict[str, Any],
        seed: Any,
        own: list[Any],
        sigma: float,
    ) -> Answer:
        if self.answer is None or not self.answer.live or self.job.call.may_stop_at(self.pause_at):
            self.journal.settle()
        directive = self.job.call.begin_evaluation()
        if directive is not Directive.GO:
            raise Unwound
        self.journal.note(self.entries.model_works)
        self.journal.hand_over()  # from here to the model nothing lets the threads in that get work now
        tap = Tap()
        outcome, seconds = Outcome.RAISED, 0.0
        try:
            with _tapped(options, self.shared_post_cfg, own, tap) if own else NOTHING:
                given = executor(x, timestep, options, seed)
            kept = host_copy(given)  # waits for the device: the evaluation ends when the GPU is done
            outcome = Outcome.ANSWERED
        except mm.InterruptProcessingException:
            outcome = Outcome.INTERRUPTED
            raise
        except Exception as error:
            self.journal.settle()
            if self.job.call.hit(Kind.EXCEPTION, JobError(type(error).__qualname__, str(error), None)):
                raise Unwound from error
            raise
        finally:
            void, seconds = self.job.call.end_evaluation(outcome)
            if void:
                raise Unwound
        self.tape.passed()
        evaluation = Evaluation(kept, tuple(tap.calls), capture_rng(x.device))
        self.journal.note(partial(self.entries.answered, evaluation, self.tape.position, sigma, seconds))
        return Answer(given, kept, sigma, True)

    def on_step(self, step: int, denoised: torch.Tensor, x: torch.Tensor, total_steps: int) -> None:
        """The sampler's callback: passed on while live, silent while replaying."""
        newest = self.answer
        if newest is None:  # a sampler that calls back before it asked for anything
            return
        other = None if denoised is newest.given else host_copy(denoised)
        number = self.step + step + 1
        memory = self.allocated() if newest.live else None
        shown = newest.kept if other is None else other
        done = Done(number, self.tape.position, newest.sigma, newest.live, shown, other, memory)
        self.journal.note(partial(self.entries.stepped, done))
        if newest.live and self.callback is not None:
            self.callback(number - 1, denoised, x, self.step + total_steps)

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
        if self.entries.denoised is None:
            raise mm.InterruptProcessingException()
        return self.guider.model_patcher.model.process_latent_out(self.entries.denoised.to(torch.float32))

    def _hold(self) -> Directive:
        self.answer = None
        self.tape.recording.save()
        self.aside.previews.paused()
        return self.aside.holding.wait_while_paused(self.job)


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
