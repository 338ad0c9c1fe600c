"""One watched sampling call: attempt after attempt, each replaying what was recorded, then going on live.

On ComfyUI's worker thread, between the two wrappers: OUTER_SAMPLE runs it, PREDICT_NOISE is its evaluation.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management as mm
import torch
from comfy.patcher_extension import WrapperExecutor

from ...state.job.job import Job
from ...state.job.transitions import Directive
from ...state.recording.items import Evaluation, Segment
from ..comfyui import gpu
from ..remembering.checking import Otherwise
from ..remembering.roots import roots_of
from ..remembering.session import Session
from .asking import Asking, Pending
from .call_services import CallServices
from .copies import Copies
from .entries import Asked, Done, Entries
from .frame_room import with_room
from .guider import KEY, OWN_POST_CFG, clean_up, copy_conds, leave_device, tapped, wrapped
from .hold import end_prompt
from .journal import Journal
from .live import Unwound
from .tape import Args, Tap, Tape, capture_rng, first_of, restore_rng

NOTHING = nullcontext()


@dataclass(frozen=True)
class Answer:
    """The newest evaluation's. given: what the sampler got; kept: the same for the host, as it is recorded

    kept and sigma may have to be waited for, as the journal's entry of the answer does
    """

    given: torch.Tensor
    kept: torch.Tensor
    sigma: Callable[[], float]
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
        services: CallServices,
    ) -> None:
        self.job = job
        self.guider = guider
        self.tape = tape
        self.services = services
        self.callback = callback
        self.pause_at = pause_at
        self.conds = copy_conds(guider.conds)
        self.shared_post_cfg = len(guider.model_options.get(OWN_POST_CFG, ()))
        self.step = 0  # steps before the stretch that is sampled
        self.answer: Answer | None = None
        self.allocated = gpu.counter()
        self.entries = Entries(job, tape, services.previews, pause_at)
        self.journal = Journal(services.later, self.entries.entered)
        self.asking = Asking(job, self.journal, self.entries)
        beside = services.wishes, services.remembered_elsewhere, mm.get_torch_device()
        self.memory = Session(job, tape.recording, *beside)

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
        self.guider.conds = copy_conds(self.conds)  # processing them happens in place
        output = None
        try:
            output = with_room(sample)
        except Unwound:
            pass
        except mm.InterruptProcessingException:
            raise
        except Exception:
            if not self._was_given_a_nan():
                raise
        finally:
            try:
                self.journal.settle()  # after which the device is done
            finally:
                if output is None:
                    gpu.end_forward()  # nobody else does so before the next attempt
                    self.memory.left()
        directive, void = self.job.worker.directive(), self.entries.void
        if output is None:
            clean_up(self.guider, self.conds)
        elif void or directive not in (Directive.GO, Directive.FINISH):
            self.memory.left()
        return None if void else output, directive

    def _was_given_a_nan(self) -> bool:
        self.journal.settle()
        return self.entries.void

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            with wrapped(self.guider, self.predict_noise):
                yield
        finally:
            self.tape.recording.save()
            self.services.previews.ended()

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
            self.services.keep_draws(sys._getframe())
            self.memory.begin(roots_of(options, self.guider, KEY, own))
        recorded = self.tape.next()
        if recorded is None:
            answer = self._evaluate(executor, x, timestep, options, seed, own)
        else:
            sigma = first_of(timestep)
            args = {"sigma": timestep, "input": x, "model_options": options, "cond_scale": self._cfg()}
            args["model"] = self.guider.inner_model
            given = self.tape.replay(recorded, own, args, x.device)
            answer = Answer(given, recorded.main, lambda: sigma, False)
            self.journal.note(partial(self.job.call.recorded, self.tape.position, sigma, False))
            if self.tape.position == len(self.tape.recording):
                self.memory.replayed()
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
    ) -> Answer:
        asked = Asked(self.tape.position, x, timestep)
        remembers = not self.memory.idle
        if not remembers and (self._is_first() or self.job.call.may_stop_at(self.pause_at)):
            self.journal.settle()
        self.journal.note(partial(self.entries.approached, asked))  # not before: who enters it waits for x
        if remembers:
            self.journal.settle()
            self.memory.before_live(partial(self._again, executor, x, timestep, options, seed))
        if self.services.computed_with is not None and self._is_first():
            self.journal.note(self.services.computed_with.enter)
        copies = Copies()
        tap = Tap(copies)
        with tapped(options, self.shared_post_cfg, own, tap) if own else NOTHING:
            model = partial(executor, x, timestep, options, seed)
            given, pending = self.asking.ask(model, x.device, copies, alone=remembers)
        if remembers:
            self.journal.settle()
            self.memory.answered(self.tape.position + 1)
        self.tape.passed()
        self.journal.note(partial(self._answered, pending, tap.calls, asked, self.tape.position))
        if remembers:
            self.journal.settle()
            if self.entries.void:
                raise Unwound
            self.memory.recorded()
        return Answer(given, pending.kept, lambda: asked.sigma, True)

    def _answered(self, pending: Pending, taps: list[Args], asked: Asked, evaluations: int) -> None:
        """For the journal."""
        seconds = self.asking.seconds_of(pending)
        evaluation = Evaluation(pending.kept, tuple(taps), pending.rng)
        self.entries.answered(evaluation, evaluations, asked.sigma, seconds)

    def _is_first(self) -> bool:
        """Whether the evaluation to come is the first live one of the attempt."""
        return self.answer is None or not self.answer.live

    def _again(
        self, executor: Any, x: Any, timestep: Any, options: dict[str, Any], seed: Any, index: int
    ) -> Otherwise:
        """Ask the model once more what is on record."""
        recording = self.tape.recording
        recorded, approach = recording.read(index), recording.approach(index)
        if approach is None:
            return Otherwise(math.inf)
        rng = capture_rng(x.device)
        before = recording.read(index - 1).rng if index else recording.inputs and recording.inputs.rng
        if before is not None:
            restore_rng(before, x.device)
        level = torch.full_like(timestep, approach.sigma)
        model = partial(executor, approach.x.to(x.device, copy=True), level, options, seed)
        _, pending = self.asking.ask(model, x.device, Copies(), alone=True)
        restore_rng(rng, x.device)
        then = recorded.main.double()
        return Otherwise(float((pending.kept.double() - then).abs().max()), float(then.abs().max()))

    def on_step(self, step: int, denoised: torch.Tensor, x: torch.Tensor, total_steps: int) -> None:
        """The sampler's callback: passed on while live, silent while replaying."""
        newest = self.answer
        if newest is None:  # a sampler that calls back before it asked for anything
            return
        copies = Copies()
        other = None if denoised is newest.given else copies.of(denoised)
        number = self.step + step + 1
        memory = self.allocated() if newest.live else None
        position = self.tape.position

        def stepped() -> None:
            copies.wait()
            shown = newest.kept if other is None else other
            self.entries.stepped(Done(number, position, newest.sigma(), newest.live, shown, other, memory))

        self.journal.note(stepped)
        if newest.live and self.callback is not None:
            self.callback(number - 1, denoised, x, self.step + total_steps)

    def _cfg(self) -> float:
        return getattr(self.guider, "cfg", 1.0)

    # -- out of the sampler ----------------------------------------------------------------------------

    def _unfinished(self) -> torch.Tensor:
        """The newest `denoised`, as outer_sample would have returned its samples."""
        if self.entries.denoised is None:
            raise mm.InterruptProcessingException()
        return self.guider.model_patcher.model.process_latent_out(self.entries.denoised.to(torch.float32))

    def _hold(self) -> Directive:
        self.answer = None
        leave_device(self.guider)
        self.tape.recording.save()
        self.services.previews.paused()
        return self.services.holding.wait_while_paused(self.job)
