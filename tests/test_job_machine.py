"""One job between people, ComfyUI's queue and a worker that calls it in the order of the hooks, in any interleaving."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from midrun.state.errors import IllegalTransition
from midrun.state.evaluation import Outcome
from midrun.state.job import ENDED, TRANSITIONS, Directive, Event, Job, Request
from midrun.state.view import AbortMode, Change, JobError, JobView, QueuePolicy, State

TOTAL = 4  # steps of a sampling call, one evaluation each
ERROR = JobError("RuntimeError", "out of memory", "3")


class Flag:
    """ComfyUI's interrupt flag, with a note of who raised it first."""

    def __init__(self) -> None:
        self.raised_by: str | None = None
        self.lost = False  # the job cleared what a user had raised

    def set(self) -> None:
        self.raised_by = self.raised_by or "job"

    def clear(self) -> None:
        self.lost = self.lost or self.raised_by == "user"
        self.raised_by = None

    def is_set(self) -> bool:
        return self.raised_by is not None

    def cancel(self) -> None:
        """A user's Cancel."""
        self.raised_by = self.raised_by or "user"

    def consume(self) -> bool:
        """What ComfyUI does with it: whether it was up, and down it goes."""
        was, self.raised_by = self.raised_by is not None, None
        return was


class Timers:
    """Timers that go off when told to."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.daemon = False

    def __call__(self, seconds: float, work: Callable[[], None]) -> Timers:
        self.due.append(work)
        return self

    def start(self) -> None:
        pass


def check_chain(changes: list[Change], last: State) -> None:
    """Each change begins where the one before it ended and is in the table, or is no transition."""
    state = State.QUEUED
    for change in changes:
        assert change.state_from is state, changes
        if change.kind in {event.value for event in Event}:
            assert TRANSITIONS[(state, Event(change.kind))] is change.state_to
        else:
            assert change.state_to is state
        state = change.state_to
    assert state is last


class JobMachine(RuleBasedStateMachine):
    """`phase` is where the worker thread stands; what the rules below "worker" call is what nodes/hooks.py calls."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.flag, self.timers = Flag(), Timers()
        self.changes: list[Change] = []
        view = JobView("r1", ("r1",), State.QUEUED, "t", "t")
        self.job = Job(
            view, Request({}, {}), self.flag, self.changed, lambda: self.now, lambda: self.now, self.timers
        )
        self.job.enter_queue()
        self.waiting = ["r1"]  # in ComfyUI's queue
        self.ended: list[tuple[str, Event]] = []  # left it, and who follows the queue has yet to tell
        self.validating = False
        self.asked_to_end = False
        self.run: str | None = None  # executing
        self.phase = "idle"
        self.recorded: dict[int, int] = {}
        self.ordinal = self.position = 0
        self.final: State | None = None

    def changed(self, job: Job, view: JobView, change: Change | None) -> None:
        if change is not None:
            self.changes.append(change)

    # -- people ----------------------------------------------------------------------------------------

    def ask(self, verb: Callable[[], Any]) -> Any:
        before, count = self.job.view(), len(self.changes)
        try:
            return verb()
        except IllegalTransition as refused:
            assert (self.job.view(), len(self.changes), refused.state) == (before, count, before.state)
            return None

    @rule()
    def pause(self) -> None:
        self.ask(self.job.pause)

    @rule(steps=st.sampled_from([None, 1, 2]))
    def resume(self, steps: int | None) -> None:
        if self.ask(lambda: self.job.resume(steps)) is False:
            assert not self.validating
            self.validating = True

    @rule(mode=st.sampled_from(list(AbortMode)))
    def abort(self, mode: AbortMode) -> None:
        carried_out = self.ask(lambda: self.job.abort(mode, "enough"))
        self.asked_to_end = self.asked_to_end or carried_out is not None
        self.validating = self.validating or carried_out is False

    @rule(told=st.booleans())
    @precondition(lambda self: self.run is not None)
    def cancel_in_comfyui(self, told: bool) -> None:
        """Through ComfyUI's API Midrun hears of it; another extension may raise the flag unheard."""
        self.flag.cancel()
        self.asked_to_end = True
        if told and self.run == self.job.prompt_id:
            self.job.cancel()

    @rule(accepted=st.booleans())
    @precondition(lambda self: self.validating)
    def validated(self, accepted: bool) -> None:
        self.validating = False
        prompt_id = f"r{len(self.job.view().prompt_ids) + 1}"
        if not accepted:
            self.job.refuse_run()
        elif self.ask(lambda: self.job.queue_run(prompt_id) or prompt_id):
            self.waiting.append(prompt_id)

    # -- ComfyUI's queue -------------------------------------------------------------------------------

    @rule()
    @precondition(lambda self: self.waiting and self.run is None)
    def run_starts(self) -> None:
        self.flag.consume()
        self.run, self.phase = self.waiting.pop(0), "node"

    @rule()
    @precondition(lambda self: self.run)
    def run_is_seen(self) -> None:
        self.job.start(self.run)

    @rule()
    @precondition(lambda self: self.waiting)
    def deleted_from_the_queue(self) -> None:
        self.ended.append((self.waiting.pop(), Event.ABORT))
        self.asked_to_end = True

    @rule(event=st.sampled_from([Event.COMPLETE, Event.FAIL]))
    @precondition(lambda self: self.phase == "node")
    def run_ends(self, event: Event) -> None:
        self.over(Event.ABORT if self.flag.consume() else event)

    @rule(data=st.data())
    @precondition(lambda self: self.ended)
    def end_is_seen(self, data: st.DataObject) -> None:
        prompt_id, event = self.ended.pop(data.draw(st.integers(0, len(self.ended) - 1)))
        self.job.run_ended(prompt_id, event, ERROR if event is Event.FAIL else None)

    @rule(seconds=st.sampled_from([0.2, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    @precondition(lambda self: self.timers.due)
    def timers_go_off(self) -> None:
        for work in self.timers.due:
            work()

    # -- worker ----------------------------------------------------------------------------------------

    @rule()
    @precondition(lambda self: self.phase == "node")
    def enter(self) -> None:
        ordinal = self.job.enter_call(self.run, "3", TOTAL, QueuePolicy.AUTO)
        if ordinal is not None:
            self.ordinal, self.position, self.phase = ordinal, 0, "sampling"

    @rule()
    @precondition(lambda self: self.phase == "sampling")
    def sample(self) -> None:
        if self.position < self.recorded.get(self.ordinal, 0):
            self.answered(live=False)
        elif self.position == TOTAL:
            self.after(self.job.directive(), finished=True)
        else:
            directive = self.job.begin_evaluation()
            if directive is Directive.GO:
                self.phase = "evaluating"
            else:
                self.after(directive)

    @rule(ends=st.sampled_from(["answer", "raise", "look", "look and swallow"]))
    @precondition(lambda self: self.phase == "evaluating")
    def evaluation_ends(self, ends: str) -> None:
        self.phase = "sampling"
        ours = self.flag.raised_by == "job"
        interrupted = ends.startswith("look") and self.flag.consume()
        outcome = Outcome.RAISED if ends == "raise" else Outcome.ANSWERED
        if interrupted and ends == "look":
            outcome = Outcome.INTERRUPTED
        void = self.job.end_evaluation(outcome)
        assert void <= interrupted and void >= (interrupted and ours)
        if void:
            self.after(self.job.directive())
        elif outcome is Outcome.RAISED:
            self.job.fail(ERROR)
            self.job.leave_call()
            self.over(Event.FAIL)
        elif outcome is Outcome.INTERRUPTED:
            self.phase = "interrupted"
        else:
            self.answered(live=True)

    def answered(self, live: bool) -> None:
        self.position += 1
        self.recorded[self.ordinal] = max(self.position, self.recorded.get(self.ordinal, 0))
        self.job.recorded(self.position, 1.0)
        self.job.stepped(self.position, live, 2)

    @rule(park=st.booleans())
    @precondition(lambda self: self.phase == "unloading")
    def unloaded(self, park: bool) -> None:
        self.after(self.job.stopped(True, {}, park), waits=True)

    @rule(somebody_waits=st.booleans())
    @precondition(lambda self: self.phase == "holding")
    def hold(self, somebody_waits: bool) -> None:
        if self.flag.is_set():
            self.job.cancel()
        elif somebody_waits and self.job.park():
            self.after(Directive.PARK)
            return
        self.after(self.job.wait(0), waits=True)

    @rule()
    @precondition(lambda self: self.phase == "interrupted")
    def leave_interrupted(self) -> None:
        self.job.cancel()
        self.job.leave_call()
        self.over(Event.ABORT)

    def after(self, directive: Directive, finished: bool = False, waits: bool = False) -> None:
        """What SamplingCall.run makes of a directive."""
        if directive is Directive.PAUSE:
            self.phase = "holding" if waits else "unloading"
        elif directive in (Directive.STOP, Directive.PARK):
            self.flag.consume()
            self.phase = "interrupted"
        elif directive is Directive.FINISH or finished:
            if directive is Directive.FINISH:
                self.job.finished()
            self.job.leave_call()
            self.phase = "node"
        else:
            self.position, self.phase = 0, "sampling"

    def over(self, event: Event) -> None:
        self.ended.append((self.run, event))
        self.run, self.phase = None, "idle"

    # -- what always holds -----------------------------------------------------------------------------

    @invariant()
    def every_change_is_in_the_table_and_follows_the_one_before(self) -> None:
        check_chain(self.changes, self.job.state)

    @invariant()
    def the_job_raises_the_flag_only_inside_an_evaluation_and_clears_only_its_own(self) -> None:
        assert self.phase == "evaluating" or self.flag.raised_by != "job"
        assert not self.flag.lost

    @invariant()
    def an_ended_job_stays_as_it_ended(self) -> None:
        if self.job.state in ENDED:
            self.final = self.final or self.job.state
        assert self.final in (None, self.job.state)

    @invariant()
    def only_a_paused_job_whose_worker_waits_is_held(self) -> None:
        if self.job.view().held:
            assert self.job.state is State.PAUSED and self.phase == "holding"

    @invariant()
    def no_job_is_aborted_unasked(self) -> None:
        assert self.asked_to_end or self.job.state is not State.ABORTED


JobMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None, database=None)
TestJobMachine = JobMachine.TestCase
