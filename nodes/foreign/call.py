"""The networks' answers to one loop: replayed as far as they are on record, then asked for and recorded.

On ComfyUI's worker thread, inside the call of a network by its node.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn

import torch

from ...state.job.job import Job
from ...state.job.warnings import NOT_SHOWN, SHOWN_UNGUIDED
from ...state.recording.items import Evaluation, Inputs
from ...state.recording.tree import Tree
from ..comfyui import gpu
from ..engine.call_services import CallServices
from ..engine.copies import Copies
from ..engine.entries import Done, Entries
from ..engine.journal import Journal
from ..engine.live import Unwound, ask_live
from ..engine.tape import InputsChanged, Tape, finite, first_of, norm_of
from ..remembering.roots import of_network
from ..remembering.session import Session
from . import generators
from .estimates import Estimate, Estimates
from .guidance import Guidance, scale_of
from .networks import uncompiled
from .schedulers import Unknown
from .showing import schedulers, told_x0
from .steps import Steps
from .trees import (
    Unrecordable,
    difference,
    digest_of,
    moment_of,
    number_in,
    question_of,
    sample_in,
    time_in,
    tree_of,
    value_of,
)


class OffTrack(InputsChanged):
    """The loop asks something else than what it asked when it was recorded."""


@dataclass(frozen=True)
class Asked:
    """One question: ask() has it answered; device: where answers are that are not on the CPU."""

    network: torch.nn.Module
    sample: Any
    time: Any
    ask: Callable[[], Any]
    device: torch.device


@dataclass(frozen=True)
class Answer:
    """The newest evaluation's. kept: as it is recorded; sigma: the time step that it was asked at"""

    kept: Tree
    sigma: float
    live: bool


class LoopCall:
    """Of one node, from its first evaluation to its end."""

    def __init__(self, job: Job, tape: Tape, inputs: Inputs, pause_at: int, services: CallServices) -> None:
        self.job, self.tape, self.inputs, self.pause_at, self.services = job, tape, inputs, pause_at, services
        self.entries = Entries(job, tape, services.previews, pause_at)
        self.journal = Journal(services.later, self.entries.entered)
        recording = tape.recording
        self.steps = Steps({recording.mark_of(one).evaluations: one for one in recording.steps()})
        self.answer: Answer | None = None
        self.allocated = gpu.counter()
        prompt, name = job.request.prompt, inputs.display_id
        self.guidance = Guidance(recording, job.view(), prompt, name)
        self.estimates = Estimates(schedulers, scale_of(prompt, name))
        beside = services.wishes, services.remembered_elsewhere, gpu.device()
        self.memory = Session(job, recording, *beside, later=self.journal.note)
        self.networks: list[torch.nn.Module] = []  # that were asked
        self.before: generators.Seen | None = None  # the evaluation that was asked for last
        self._x0: torch.Tensor | None = None  # of the step that just ended
        self._unknown: str | None = None  # why what was computed of a step is wrong

    def answer_to(self, asked: Asked) -> Any:
        """Raises Unwound where the job is not to go on, InputsChanged where it cannot, and Unrecordable."""
        put = question_of((asked.sample, asked.time))
        time = time_in(put)
        self.estimates.asked(sample_in(put), number_in(time))
        self.end_step(moment_of(time))
        self._look_into(uncompiled(asked.network))
        recorded = self.tape.next()
        if recorded is not None:
            return self._replayed(recorded, asked, put, _number(time))
        return self._live(asked, put, _number(time))

    def _look_into(self, network: torch.nn.Module) -> None:
        """It may keep something from one evaluation to the next."""
        if not any(network is one for one in self.networks):
            self.journal.settle()
            self.memory.join(of_network(network, len(self.networks)))
            self.networks.append(network)

    def _replayed(self, recorded: Evaluation, asked: Asked, put: Tree, sigma: float) -> Any:
        name = self.inputs.display_id
        if not isinstance(recorded.answer, Tree) or recorded.question != digest_of(put):
            raise OffTrack(
                f"Midrun cannot go on with node {name}: it asks its evaluation {self.tape.position + 1} "
                "otherwise than when that was recorded. Either something was changed that takes effect in "
                "steps that are done, or the node does not do the same twice. Nothing is lost: take the "
                "change back and resume, or rewind to step 0."
            )
        shown = self.guidance.answer(self.tape.position, recorded, asked.sample).answer
        assert isinstance(shown, Tree)
        try:
            given = value_of(shown, asked.device)
        except Unrecordable as unknown:
            raise InputsChanged(
                f"Midrun cannot go on with node {name}: its network answered with {unknown}, which nobody "
                "knows now. Nothing is lost: restore what changed and resume, or rewind to step 0."
            ) from unknown
        if self.memory.asks_again(self.tape.position):
            self._ask_again(asked, recorded.answer)
        if recorded.rng is not None:
            generators.restore(recorded.rng, gpu.device())
        self.tape.passed()
        self.memory.replayed_to(self.tape.position)
        self.journal.note(partial(self.job.call.recorded, self.tape.position, sigma, False))
        self.answer = Answer(shown, sigma, False)
        self.estimates.answered(recorded.answer)
        return given

    def _ask_again(self, asked: Asked, recorded: Tree) -> None:
        """For what the network remembers. What it answers is compared with what is on record."""

        def ask() -> Tree | None:
            try:
                return tree_of(asked.ask())
            except Unrecordable:
                return None

        self.before = generators.see(gpu.device())
        answer, _ = ask_live(self.job, self.journal, self.entries, ask, at_once=True)
        generators.restore(generators.state_of(self.before), gpu.device())
        self.memory.asked_again(self.tape.position, difference(answer, recorded))

    def _live(self, asked: Asked, put: Tree, sigma: float) -> Any:
        before = self.before = generators.see(gpu.device())

        def ask() -> tuple[Any, Tree | Unrecordable, generators.Seen]:
            given = asked.ask()
            self.memory.glance()
            after = generators.see(gpu.device())
            try:
                return given, tree_of(given), after  # waits for the device
            except Unrecordable as unknown:
                return given, unknown, after

        at_once = self.answer is None or not self.answer.live or self.job.call.may_stop_at(self.pause_at)
        self.memory.before_live(self._cannot)
        (given, kept, after), seconds = ask_live(self.job, self.journal, self.entries, ask, at_once)
        if isinstance(kept, Unrecordable):
            kept.given = given
            raise kept
        rng = None if generators.is_same(before, after) else generators.state_of(after)
        evaluation = Evaluation(kept, (), rng)
        remembers = self.memory.notices()
        number = self.tape.position + 1
        if remembers:
            self.memory.answered(number)
        self.journal.note(partial(self._enter, evaluation, put, number, sigma, seconds))
        if not finite(kept.main, norm_of(kept.main)):
            self.journal.settle()  # the loop may raise, and ComfyUI asks nobody before it ends the prompt
            if self.entries.void:
                raise Unwound
        self.tape.passed()
        if remembers:
            self.journal.note(self.memory.recorded)
        self.answer = Answer(kept, sigma, True)
        self.estimates.answered(kept)
        return given

    def _enter(self, evaluation: Evaluation, put: Tree, number: int, sigma: float, seconds: float) -> None:
        self.entries.answered(replace(evaluation, question=digest_of(put)), number, sigma, seconds)

    # -- steps -----------------------------------------------------------------------------------------

    def moved(self, value: float, total: float) -> None:
        """The node moved its progress bar."""
        before, newest = self.steps.total, self.answer
        self.steps.bar(value, total)
        if newest is not None and (x0 := told_x0()) is not None:
            self._node_shows()
            if newest.live:
                copies = Copies()
                self._x0 = copies.of(x0)  # it may move another bar after that of its callback
                self.journal.note(copies.wait)
        if self.steps.total is not None and self.steps.total != before:
            self.job.call.reschedule(self.steps.total, 0)

    def _node_shows(self) -> None:
        """Its steps, if not each of them: it may move its bar for parts of a step, too."""
        if not self.estimates.needless:
            self.estimates.stop()
            self.journal.note(partial(self.job.unwarn, NOT_SHOWN))  # after what was noted before

    def end_step(self, moment: Hashable) -> None:
        """A step ended, if what is asked next, at that moment, is of another one. None: nothing is."""
        x0, self._x0 = self._x0, None
        newest, position = self.answer, self.tape.position
        if not self.steps.ended(position, len(self.tape.recording), moment) or newest is None:
            return
        told = self.estimates.of_step()
        memory = self.allocated() if newest.live else None
        known = self.steps.number, position, newest.sigma, newest.live
        done = Done(*known, newest.kept.main if x0 is None else x0, x0, memory, shown=x0 is not None)
        self.journal.note(partial(self._stepped, done, told, self.estimates.unknown))

    def _stepped(self, done: Done, told: Estimate | None, unknown: str | None) -> None:
        """A step ended. told: of what its `denoised` is to be computed; unknown: why it cannot be.

        Neither, where the node shows its steps.
        """
        name = f"node {self.inputs.display_id}"
        unknown = self._unknown or unknown
        if told is not None and unknown is None and done.live:
            try:
                shown = told.shown()
                done = replace(done, denoised=shown.denoised, own=shown.denoised, shown=True)
                if not shown.guided:
                    self.job.warn(SHOWN_UNGUIDED, name)
            except Unknown as why:
                unknown = self._unknown = str(why)  # and the steps after it would be no better
        if unknown is not None and done.live and not (done.shown or self.estimates.needless):
            self.job.warn(NOT_SHOWN, name, unknown)
        self.entries.stepped(done)

    # -- ways out --------------------------------------------------------------------------------------

    def left(self) -> None:
        """An evaluation was dropped."""
        self.memory.left()

    def again(self) -> None:
        """The evaluation that was dropped is asked once more. Raises InputsChanged."""
        if self.tape.position < len(self.tape.recording):
            self._cannot(self.tape.position)  # it was asked again for what the network remembers
        self.entries.void = False
        self.memory.begin_again()
        if self.before is not None:
            generators.restore(generators.state_of(self.before), gpu.device())
        if self.answer is not None:
            self.answer = replace(self.answer, live=False)

    def _cannot(self, evaluation: int) -> NoReturn:
        raise InputsChanged(
            f"Midrun cannot go on with node {self.inputs.display_id} in this run: what its network remembers "
            "has to be computed anew, for which the node has to run again. Resume the job again."
        )

    def let_be(self) -> None:
        """The node goes on unwatched."""
        self.memory.let_be()

    def end(self, done: bool) -> None:
        """The node is over; done: it came to its end."""
        try:
            if done:
                self.end_step(None)
            else:
                self.memory.left()
            self.journal.settle()
            if done and self.steps.number:
                self.job.call.reschedule(self.steps.number, self.steps.number)
        finally:
            self.tape.recording.save()
            self.services.previews.ended()
            self.job.call.leave()


def _number(time: Tree) -> float:
    """The time step as a job tells it."""
    tensors = [tensor for tensor in time.tensors.values() if tensor.numel()]
    if tensors:
        return float(first_of(tensors[0]))
    value = time.skeleton.get("value")
    return float(value) if isinstance(value, (int, float)) else 0.0
