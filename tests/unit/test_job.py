"""The state machine: what is legal, what is refused, and who may touch ComfyUI's interrupt flag."""

from __future__ import annotations

import random
import re
import threading
import time
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import midrun.state.job.job as job_module
from midrun.state.breakpoints.breakpoints import Observation
from midrun.state.errors import IllegalTransition
from midrun.state.job.in_flight import Outcome
from midrun.state.job.job import Job
from midrun.state.job.machine import PAUSE_BUDGET_S
from midrun.state.job.request import Request
from midrun.state.job.runs import CANCELLED
from midrun.state.job.transitions import TRANSITIONS, Directive, Event
from midrun.state.job.view import Change, JobError, JobView, Moment, Timing
from midrun.state.node import itself
from midrun.state.states import AbortMode, PauseReason, QueuePolicy, State
from midrun.state.workflow.edits import Edit, pending


def seen(step: int, sigma: float = 1.0, **more: Any) -> Observation:
    return Observation(step, sigma, **more)


def enter(
    job: Job,
    prompt_id: str,
    node_id: str,
    steps: int,
    policy: QueuePolicy = QueuePolicy.AUTO,
    recorded: int = 0,
) -> int | None:
    """Begin a sampling call, of which so many evaluations are on record, as the hooks do."""
    ordinal = job.call.enter(prompt_id, itself(node_id), policy)
    if ordinal is not None:
        job.call.begin(Moment(node_id, 0, recorded, steps, None, ordinal, node_id))
    return ordinal


ERROR = JobError("RuntimeError", "out of memory", "3")


@dataclass
class Flag:
    up: bool = False

    def set(self) -> None:
        self.up = True

    def clear(self) -> None:
        self.up = False

    def is_set(self) -> bool:
        return self.up


@dataclass
class World:
    """A job with a clock, timers and a flag that the test controls."""

    now: float = 0.0
    flag: Flag = field(default_factory=Flag)
    timers: list[Any] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    reports: list[JobView] = field(default_factory=list)  # of mere progress

    def job(self, state: State = State.QUEUED, **fields: Any) -> Job:
        view = JobView("j", ("j",), state, "t", "t", **fields)
        clock = lambda: self.now  # noqa: E731
        return Job(view, Request({}, {}), self.flag, self.keep, clock, clock, self.timer)

    def keep(self, job: Job, view: JobView, change: Change | None) -> None:
        if change is None:
            self.reports.append(view)
        else:
            self.changes.append(change)

    def timer(self, seconds: float, work: Any) -> threading.Timer:
        timer = threading.Timer(0, lambda: None)  # armed, but only `fire` runs its work
        self.timers.append((seconds, work))
        return timer

    def running(self, mean_s: float | None = None) -> Job:
        """A job inside a sampling call, with evaluations that took `mean_s`."""
        job = self.job()
        job.runs.start("j")
        enter(job, "j", "3", 10, QueuePolicy.AUTO)
        if mean_s is not None:
            job.call.begin_evaluation()
            self.now += mean_s
            job.call.recorded(0, 9.0, True, job.call.end_evaluation(Outcome.ANSWERED)[1])
            job.call.stepped(seen(1), True, 0)
        return job

    def held(self) -> Job:
        job = self.running(1.0)
        job.pause()
        job.worker.stopped(True, {})
        return job

    def parked(self) -> Job:
        job = self.held()
        job.worker.park()
        job.call.leave()
        return job

    def requeued(self) -> Job:
        job = self.parked()
        job.runs.end("j", Event.ABORT)
        job.resume()
        job.runs.queue("r2")
        return job

    def failed(self) -> Job:
        job = self.running(1.0)
        job.worker.fail(ERROR)
        job.call.leave()
        job.runs.end("j", Event.FAIL, ERROR)
        return job

    def completed(self) -> Job:
        job = self.running(1.0)
        job.call.leave()
        job.runs.end("j", Event.COMPLETE)
        return job


def test_an_evaluation_is_interrupted_at_once_while_nothing_is_known_of_its_length() -> None:
    world = World()
    job = world.running()
    job.call.begin_evaluation()
    job.pause()
    assert world.flag.up and job.state is State.PAUSING
    world.flag.clear()  # raising from the flag clears it
    assert job.call.end_evaluation(Outcome.INTERRUPTED)[0] is True
    assert job.worker.stopped(True, {}) is Directive.PAUSE
    assert (job.view().held, job.view().gpu_released) == (True, True)


def test_an_evaluation_that_ends_soon_is_kept_and_one_that_does_not_is_interrupted() -> None:
    world = World()
    job = world.running(mean_s=0.5)
    job.call.begin_evaluation()
    job.pause()
    assert not world.flag.up and world.timers[0][0] == pytest.approx(0.75)
    world.timers[0][1]()
    assert world.flag.up


def test_an_evaluation_is_kept_when_it_ends_within_the_budget_and_never_waited_for_longer() -> None:
    world = World()
    job = world.running(mean_s=1.4)
    job.call.begin_evaluation()
    job.pause()
    assert not world.flag.up and world.timers[0][0] == PAUSE_BUDGET_S


def test_the_timer_of_one_evaluation_never_hits_the_next() -> None:
    world = World()
    job = world.running(mean_s=0.5)
    job.call.begin_evaluation()
    job.pause()
    assert job.call.end_evaluation(Outcome.ANSWERED)[0] is False
    job.resume()
    job.call.begin_evaluation()
    job.pause()
    world.timers[0][1]()
    assert not world.flag.up


def test_a_long_evaluation_is_interrupted_at_once() -> None:
    world = World()
    job = world.running(mean_s=60.0)
    job.call.begin_evaluation()
    job.pause()
    assert world.flag.up and not world.timers


def test_the_flag_is_never_raised_outside_an_evaluation() -> None:
    world = World()
    job = world.running(mean_s=60.0)
    job.pause()
    job.abort(AbortMode.STOP, None)
    assert not world.flag.up


def test_an_unused_interrupt_is_taken_back_and_the_answer_kept() -> None:
    world = World()
    job = world.running(mean_s=60.0)
    job.call.begin_evaluation()
    job.pause()
    assert job.call.end_evaluation(Outcome.ANSWERED)[0] is False
    assert not world.flag.up


def test_an_answer_whose_interrupt_was_swallowed_inside_is_void() -> None:
    world = World()
    job = world.running(mean_s=60.0)
    job.call.begin_evaluation()
    job.pause()
    world.flag.clear()
    assert job.call.end_evaluation(Outcome.ANSWERED)[0] is True


def test_a_flag_that_somebody_else_raised_is_left_alone() -> None:
    world = World()
    job = world.running(mean_s=1.0)
    job.call.begin_evaluation()
    world.flag.set()
    assert job.call.end_evaluation(Outcome.ANSWERED)[0] is False
    assert world.flag.up


def test_a_pause_does_not_claim_a_flag_that_is_up_already() -> None:
    world = World()
    job = world.running(mean_s=60.0)
    job.call.begin_evaluation()
    world.flag.set()  # a Cancel
    job.pause()
    world.flag.clear()  # raising from the flag clears it
    assert job.call.end_evaluation(Outcome.INTERRUPTED)[0] is False


def test_a_pause_taken_back_while_pausing_goes_on() -> None:
    world = World()
    job = world.running(mean_s=60.0)
    job.call.begin_evaluation()
    job.pause()
    assert job.resume() is True
    world.flag.clear()
    assert job.call.end_evaluation(Outcome.INTERRUPTED)[0] is True
    assert job.worker.directive() is Directive.GO


def test_a_job_that_parks_at_once_is_never_held() -> None:
    job = World().running(mean_s=1.0)
    job.pause()
    assert job.worker.stopped(True, {}, park=True) is Directive.PARK
    assert job.state is State.PAUSED and not job.view().held
    assert job.resume() is False


def test_of_two_resumes_one_is_refused() -> None:
    held = World().held()
    assert held.resume() is True
    with pytest.raises(IllegalTransition):
        held.resume()
    parked = World().parked()
    assert parked.resume() is False
    with pytest.raises(IllegalTransition):
        parked.resume()
    parked.runs.refuse()
    assert parked.state is State.PAUSED and parked.resume() is False
    parked.runs.queue("r2")
    assert (parked.state, parked.prompt_id) == (State.QUEUED, "r2")


def test_reports_about_an_earlier_run_are_ignored() -> None:
    job = World().parked()
    job.resume()
    job.runs.queue("r2")
    job.runs.end("j", Event.ABORT)
    job.runs.start("j")
    assert job.state is State.QUEUED


def test_the_interrupt_that_ends_a_parked_run_does_not_cancel_the_next() -> None:
    job = World().parked()
    job.resume()
    job.runs.queue("r2")
    job.cancel("j")
    assert job.state is State.QUEUED
    job.cancel("r2")
    assert job.state is State.ABORTED


def test_a_run_aborted_while_it_is_validated_is_not_queued() -> None:
    job = World().parked()
    job.resume()
    job.abort(AbortMode.STOP, "enough")
    with pytest.raises(IllegalTransition):
        job.runs.queue("r2")
    assert job.view().prompt_ids == ("j",)


def test_a_refused_run_to_finish_leaves_a_parked_job_as_it_was() -> None:
    job = World().parked()
    assert job.abort(AbortMode.FINISH, "good enough") is False
    assert job.state is State.PAUSED and not job.deletable()
    job.runs.refuse()
    assert job.state is State.PAUSED and job.view().abort_reason is None
    assert job.abort(AbortMode.FINISH, "good enough") is False
    job.runs.queue("r2")
    assert (job.state, job.prompt_id, job.view().abort_reason) == (State.ABORTED, "r2", "good enough")
    assert enter(job, "r2", "3", 10, QueuePolicy.AUTO) == 0
    assert job.call.begin_evaluation() is Directive.FINISH


def test_a_job_stopped_while_its_finishing_run_is_validated_runs_no_more() -> None:
    job = World().parked()
    job.abort(AbortMode.FINISH, "good enough")
    job.abort(AbortMode.STOP, "enough")
    with pytest.raises(IllegalTransition):
        job.runs.queue("r2")
    assert (job.view().abort_mode, job.prompt_id) == (AbortMode.STOP, "j")


def test_a_step_is_told_when_the_model_works_again_or_the_call_is_over() -> None:
    world = World()
    job = world.running(1.0)
    world.reports.clear()
    job.call.tell()
    assert [view.step for view in world.reports] == [1]
    for step in (2, 3):  # which follow fast
        job.call.stepped(seen(step), True, 0)
        job.call.tell()
    assert [view.step for view in world.reports] == [1]
    job.call.leave()
    assert [view.step for view in world.reports] == [1, 3]
    job.call.leave()
    assert len(world.reports) == 2, "nothing new"
    job.pause()
    job.call.stepped(seen(4), True, 0)
    assert [view.step for view in world.reports] == [1, 3, 4], "nobody is kept waiting by it"


def test_a_replay_does_not_count_backwards() -> None:
    job = World().held()
    job.call.recorded(3, 2.0, True)
    job.call.stepped(seen(3), True, 0)
    job.worker.park()
    job.call.leave()
    job.resume()
    job.runs.queue("r2")
    enter(job, "r2", "3", 10, QueuePolicy.AUTO)
    job.call.recorded(1, 9.0, False)
    job.call.stepped(seen(1), False, 0)
    assert (job.view().step, job.view().evaluations, job.view().sigma) == (3, 3, 2.0)
    job.call.recorded(1, 9.0, True)  # the recording was lost
    job.call.stepped(seen(1), True, 0)
    assert (job.view().step, job.view().evaluations) == (1, 1)


def test_finish_is_accepted_while_a_resumed_run_loads_and_refused_between_calls() -> None:
    job = World().parked()
    job.resume()
    job.runs.queue("r2")
    job.runs.start("r2")
    between = World().running(mean_s=1.0)
    between.call.leave()
    with pytest.raises(IllegalTransition):
        between.abort(AbortMode.FINISH, None)
    assert job.abort(AbortMode.FINISH, None) is True


def test_a_paused_job_read_back_after_a_restart_counts_paused_time() -> None:
    world = World()
    job = world.job(State.PAUSED, timing=Timing(active_s=5.0, paused_s=7.0))
    world.now += 10
    assert (job.view().timing.active_s, job.view().timing.paused_s) == (5.0, 17.0)


def test_steps_are_counted_live_only_and_pause_once() -> None:
    job = World().running(mean_s=1.0)
    job.call.stepped(seen(4), False, 4)
    assert job.state is State.RUNNING
    job.call.stepped(seen(4), True, 4)
    assert (job.state, job.view().pause_reason) == (State.PAUSING, PauseReason.BREAKPOINT)
    job.worker.stopped(True, {})
    job.resume(steps=2)
    job.call.stepped(seen(5), True, 4)
    assert job.state is State.RUNNING
    job.call.stepped(seen(6), True, 4)
    assert (job.state, job.view().pause_reason) == (State.PAUSING, PauseReason.STEP)


def test_paused_time_is_not_active_and_the_eta_counts_steps_left() -> None:
    world = World()
    job = world.running(mean_s=2.0)
    job.pause()
    job.worker.stopped(True, {})
    world.now += 100
    timing = job.view().timing
    assert (timing.active_s, timing.paused_s, timing.mean_step_s, timing.eta_s) == (2.0, 100.0, 2.0, 18.0)


def test_the_picture_of_the_transitions_is_the_table() -> None:
    text = Path(job_module.__file__).with_name("README.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^ +(\w+) --> (\w+): (\w+)$", text, re.MULTILINE)
    table = {(one.value, to.value, event.value) for (one, event), to in TRANSITIONS.items()}
    assert set(drawn) == table and len(drawn) == len(table)


@pytest.mark.parametrize("state", list(State))
def test_every_verb_is_carried_out_or_refused_without_a_trace(state: State) -> None:
    allowed = {
        "pause": {State.QUEUED, State.RUNNING, State.PAUSING, State.PAUSED},
        "resume": {State.PAUSING, State.PAUSED, State.FAILED},
        "step": {State.PAUSED, State.FAILED},
        "abort": set(State) - {State.COMPLETED},
    }
    for verb, states in allowed.items():
        job = World().job(state)
        call = {
            "step": lambda job=job: job.resume(1),
            "abort": lambda job=job: job.abort(AbortMode.STOP, None),
        }
        work = call.get(verb) or getattr(job, verb)
        if state in states:
            work()
        else:
            with pytest.raises(IllegalTransition) as refused:
                work()
            assert refused.value.state is state and job.state is state
            assert f"Cannot {verb} job j: it is {state.value}" in str(refused.value)
            hint = state is State.RUNNING and verb in ("resume", "step")
            assert ("Pause it first." in str(refused.value)) is hint


def shown(job: Job, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(job.view(), name) for name in names)


def then(job: Job, verb: str, *args: Any) -> Job:
    attrgetter(verb)(job)(*args)
    return job


def left_behind(job: Job) -> Job:
    return then(then(job, "worker.fail", ERROR), "runs.end", job.prompt_id, Event.FAIL)


def resumed(job: Job) -> Job:
    return job if job.resume() else then(job, "runs.queue", "r2")


@pytest.mark.parametrize(
    ("make", "state", "prompt_ids"),
    [
        (lambda w: resumed(then(w.running(1.0), "pause")), State.RUNNING, ("j",)),
        (lambda w: resumed(then(w.job(), "pause")), State.QUEUED, ("j",)),
        (lambda w: resumed(w.held()), State.RUNNING, ("j",)),
        (lambda w: resumed(w.parked()), State.QUEUED, ("j", "r2")),
        (lambda w: resumed(w.failed()), State.QUEUED, ("j", "r2")),
        (
            lambda w: then(then(w.running(), "pause"), "runs.end", "j", Event.COMPLETE),
            State.COMPLETED,
            ("j",),
        ),
        (lambda w: then(w.held(), "abort", AbortMode.STOP, None), State.ABORTED, ("j",)),
    ],
)
def test_a_job_that_goes_on_or_ends_shows_nothing_of_its_pause(
    make: Any, state: State, prompt_ids: Any
) -> None:
    job = make(World())
    assert shown(job, "state", "prompt_ids", "held", "pause_reason", "error") == (
        *(state, prompt_ids),
        *(False, None, None),
    )
    assert job.view().gpu_released is (state is State.ABORTED)


@pytest.mark.parametrize(
    ("verb", "args", "expected"),
    [
        ("abort", (AbortMode.STOP, "why"), (State.ABORTED, AbortMode.STOP, "why", None)),
        ("abort", (AbortMode.FINISH, "why"), (State.ABORTED, AbortMode.FINISH, "why", None)),
        ("cancel", ("j",), (State.ABORTED, AbortMode.STOP, CANCELLED, None)),
        ("runs.end", ("j", Event.ABORT), (State.ABORTED, AbortMode.STOP, CANCELLED, None)),
        ("worker.fail", (ERROR,), (State.FAILED, None, None, ERROR)),
        ("runs.end", ("j", Event.FAIL, ERROR), (State.FAILED, None, None, ERROR)),
    ],
)
def test_a_job_that_ended_before_its_time_says_why(verb: str, args: Any, expected: Any) -> None:
    for job in (World().running(1.0), then(World().running(1.0), "pause"), World().held()):
        then(job, verb, *args)
        job.worker.fail(JobError("TooLate", "", None))
        assert shown(job, "state", "abort_mode", "abort_reason", "error", "held") == (*expected, False)


def test_what_is_free_on_the_gpu_is_told_while_the_job_holds_its_place() -> None:
    job = World().running(1.0)
    job.pause()
    job.worker.stopped(True, {}, gpu_free=6_200_000_000)
    assert job.view().to_json()["gpu_free"] == 6_200_000_000
    assert job.worker.park() and job.view().gpu_free is None, "others use it from now on"
    job = World().running(1.0)
    job.pause()
    job.worker.stopped(True, {}, gpu_free=5)
    assert job.resume() and job.view().gpu_free is None
    job.pause()
    job.worker.stopped(True, {}, park=True, gpu_free=5)
    assert job.view().gpu_free is None


def test_the_audit_trail_says_when_where_and_why() -> None:
    world = World(now=1700000000.0)
    job = world.running(1.0)
    job.pause(PauseReason.BREAKPOINT)
    job.worker.stopped(False, {"gpu": 7})
    job.note("edited", {"input": "cfg"})
    job.abort(AbortMode.STOP, "why")
    for _ in "twice":  # but written once
        job.runs.end("j", Event.FAIL, ERROR)
    reason, ended = {"pause_reason": "breakpoint"}, {"abort_mode": "stop", "abort_reason": "why"}
    assert [(change.kind, change.step, change.detail) for change in world.changes] == [
        ("start", 0, {}),
        ("pause", 1, reason),
        ("stopped", 1, {"gpu": 7} | reason),
        ("edited", 1, {"input": "cfg"} | reason),
        ("abort", 1, ended),
        ("run_ended", 1, {"error": ERROR.to_json()} | ended),
    ]
    assert world.changes[1].at == job.view().updated_at == "2023-11-14T22:13:21.000Z"
    assert shown(job, "paused_at_step", "gpu_released") == (1, False)
    assert [Request({}, {"client_id": name}).client_id for name in (7, "c")] == [None, "c"]
    then(world.running(), "worker.fail", ERROR)
    assert world.changes[-1].detail == {"error": ERROR.to_json()}


def test_a_pause_taken_back_forgets_the_steps_asked_for_and_interrupts_nothing_later() -> None:
    world = World()
    job = world.held()
    job.resume(steps=2)
    job.call.begin_evaluation()
    job.pause()
    assert job.resume() is True
    world.timers[0][1]()
    assert not world.flag.up
    for step in (2, 3, 4):
        job.call.stepped(seen(step), True, 2 if step > 2 else 0)  # a breakpoint that lies behind
    assert job.state is State.RUNNING


@pytest.mark.parametrize(("steps", "pause_at"), [(1, 0), (None, 2)])
def test_a_job_that_is_pausing_is_not_paused_again_by_its_steps(steps: Any, pause_at: int) -> None:
    job = World().held()
    job.resume(steps)
    job.pause()
    job.call.stepped(seen(2), True, pause_at)
    assert shown(job, "state", "pause_reason", "step") == (State.PAUSING, PauseReason.USER, 2)


def test_an_abort_interrupts_the_evaluation_in_flight() -> None:
    world = World()
    job = world.running(mean_s=0.5)
    job.call.begin_evaluation()
    job.abort(AbortMode.STOP, None)
    assert world.flag.up and job.worker.directive() is Directive.STOP


@pytest.mark.parametrize(
    ("make", "deletable", "active"),
    [
        (World.job, False, False),
        (World.running, False, True),
        (World.held, False, True),
        (World.parked, True, True),
        (World.requeued, False, True),
        (World.failed, True, False),
        (World.completed, True, False),
        (lambda w: then(w.running(1.0), "abort", AbortMode.STOP, None), False, True),
        (lambda w: then(w.running(1.0), "runs.end", "other", Event.COMPLETE), False, True),
        (lambda w: then(w.parked(), "resume"), False, True),
        # Reports that come too late do not bring a run back.
        (lambda w: then(w.completed(), "runs.start", "j"), True, False),
        (lambda w: then(w.completed(), "runs.enter_queue"), True, False),
        (
            lambda w: then(
                then(then(w.requeued(), "worker.fail", ERROR), "runs.end", "r2", Event.FAIL),
                "runs.enter_queue",
            ),
            True,
            False,
        ),
    ],
)
def test_a_run_is_active_until_it_left_comfyui_and_a_job_deletable_once_none_goes_on(
    make: Any, deletable: bool, active: bool
) -> None:
    job = make(World())
    assert (job.deletable(), job.runs.active) == (deletable, active)


def test_a_run_that_follows_knows_where_the_job_stood_and_which_run_is_to_leave() -> None:
    job = World().parked()
    job.resume(2)
    job.runs.queue("r2")
    worker = job.worker
    assert worker.came_to == (itself("3"),)
    assert (worker.must_leave("j"), worker.must_leave("r2")) == (True, False)
    assert worker.directive() is Directive.PARK, "the thread is in the run before, still"
    enter(job, "r2", "3", 10, QueuePolicy.AUTO, 1)
    assert worker.directive() is Directive.GO
    job.call.stepped(seen(2), True, 0)
    assert job.state is State.RUNNING
    job.call.stepped(seen(3), True, 0)
    assert (job.state, job.view().pause_reason) == (State.PAUSING, PauseReason.STEP)


def test_a_node_before_which_a_job_was_paused_is_passed_by_later_runs_until_a_rewind() -> None:
    job, node = World().job(), itself("5")
    assert job.worker.before_node("j", node, always=True)
    job.worker.stopped(True, {}, park=True)
    job.resume()
    job.runs.queue("r2")
    assert not job.worker.before_node("r2", node, always=True)
    enter(job, "r2", "3", 10)
    job.call.leave()
    job.runs.end("r2", Event.COMPLETE)
    job.reserve("rewind")
    job.rewind(job.view().moment, lambda edit: True)
    job.runs.refuse()
    job.resume()
    job.runs.queue("r3")
    assert job.worker.before_node("r3", node, always=True)


@pytest.mark.parametrize("make", [World.parked, World.completed, World.failed, World.requeued])
def test_a_cancel_that_comes_too_late_and_a_park_without_a_held_worker_change_nothing(make: Any) -> None:
    job = make(World())
    before = job.view()
    job.cancel("j")
    assert job.worker.park() is False and job.view() == before


def entered(job: Job, prompt_id: str = "j", node_id: str = "3", steps: int = 10) -> int | None:
    return enter(job, prompt_id, node_id, steps, QueuePolicy.HOLD)


def test_calls_that_are_not_the_jobs_own_are_not_watched() -> None:
    finishing = then(World().running(1.0), "abort", AbortMode.FINISH, None)
    finishing.worker.finished()
    finishing.call.leave()
    inside, earlier = World().running(), World().requeued()
    jobs = (inside, earlier, World().completed(), World().failed(), finishing)
    assert [entered(job) for job in jobs] == [None] * 5


def test_calls_are_numbered_by_node_anew_in_each_run_and_count_from_zero() -> None:
    world = World()
    job = world.job()
    for ordinal, node_id in ((0, "3"), (1, "3"), (0, "4"), (2, "3")):
        assert entered(job, "j", node_id, 10 + ordinal) == ordinal and job.state is State.RUNNING
        assert world.reports[-1] == job.view()
        call = shown(job, "node_id", "total_steps", "queue_policy", "step", "evaluations")
        assert call == (node_id, 10 + ordinal, QueuePolicy.HOLD, 0, 0)
        job.call.recorded(2, 1.0, True)
        job.call.stepped(seen(2), True, 0)
        job.call.leave()
    job.runs.end("j", Event.FAIL, ERROR)
    assert entered(resumed(job), "r2") == 0
    assert shown(job, "state", "step", "evaluations") == (State.RUNNING, 0, 0)
    job.call.recorded(5, 1.0, False)  # a replay that goes beyond what is shown is shown
    job.call.stepped(seen(5), False, 0)
    assert shown(job, "step", "evaluations") == (5, 5)


def test_a_sampler_that_takes_more_steps_than_it_said_has_no_known_number() -> None:
    job = World().running(mean_s=1.0)
    for step, total, eta in ((10, 10, 0.0), (11, None, None), (5, None, None)):
        job.call.stepped(seen(step), True, 0)
        assert (job.view().total_steps, job.view().timing.eta_s) == (total, eta)
    past = World().job(total_steps=3, step=5, timing=Timing(mean_step_s=1.0))
    assert past.view().timing.eta_s == 0.0


def test_progress_is_reported_at_most_ten_times_a_second() -> None:
    world = World()
    job = world.running()
    world.reports.clear()
    for step in range(1, 101):
        world.now += 0.03
        job.call.stepped(seen(step), True, 0)
        job.call.tell()
    job.call.leave()
    assert 20 <= len(world.reports) <= 30 and world.reports[-1].step == 100


def test_no_time_counts_before_the_first_run_starts_or_after_the_end() -> None:
    world = World()
    job = world.job()
    job.pause()
    world.now += 10  # pausing, but still waiting in the queue
    job.runs.start("j")
    job.resume()
    job.pause()
    world.now += 3  # pausing, but not yet paused
    job.runs.end("j", Event.COMPLETE)
    world.now += 10
    assert job.view().timing == Timing(3.0, 0.0) and World().completed().view().timing.eta_s is None


@pytest.mark.parametrize("pausing", [True, False])
def test_finish_needs_a_step_that_was_done_and_a_call_that_goes_on(pausing: bool) -> None:
    between = then(World().running(mean_s=1.0), "call.leave")
    for job in (World().running(), between, then(World().parked(), "resume")):
        if pausing and job.state is State.RUNNING:
            job.pause()
        with pytest.raises(IllegalTransition):
            job.abort(AbortMode.FINISH, None)
    assert World().held().abort(AbortMode.FINISH, None) is True


def test_a_held_worker_wakes_at_once_and_one_that_was_resumed_does_not_stop() -> None:
    job = World().held()
    worker = threading.Thread(target=job.worker.wait, args=(60,), daemon=True)
    worker.start()
    time.sleep(0.05)
    job.resume()
    worker.join(30)
    assert not worker.is_alive() and job.worker.wait(60) is job.worker.stopped(True, {}) is Directive.GO
    assert shown(job, "state", "held") == (State.RUNNING, False)


class JobMachine(RuleBasedStateMachine):
    """Verbs in any order against a worker that calls what the hooks call, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.job = self.world.job()
        self.job.runs.enter_queue()
        self.inside = False  # the worker is in a sampling call
        self.evaluating = False
        self.parks = True  # every other pause
        self.runs = 1
        self.step = 0

    @rule()
    def pause(self) -> None:
        self.verb(self.job.pause)

    @rule(steps=st.sampled_from([None, 1, 3]))
    def resume(self, steps: int | None) -> None:
        if self.verb(lambda: self.job.resume(steps)) is False:
            self.queue_again()

    @rule(mode=st.sampled_from(list(AbortMode)))
    def abort(self, mode: AbortMode) -> None:
        if self.verb(lambda: self.job.abort(mode, "r")) is False:
            self.queue_again()

    @rule()
    def cancel(self) -> None:
        self.job.cancel(self.job.prompt_id)

    @rule(event=st.sampled_from([Event.COMPLETE, Event.ABORT, Event.FAIL]))
    @precondition(lambda self: not self.inside)
    def run_ended(self, event: Event) -> None:
        self.job.runs.end(self.job.prompt_id, event, ERROR if event is Event.FAIL else None)

    @rule()
    @precondition(lambda self: not self.inside and self.job.runs.active)
    def enter(self) -> None:
        self.inside = enter(self.job, self.job.prompt_id, "3", 10, QueuePolicy.AUTO) is not None
        self.step = 0

    @rule()
    @precondition(lambda self: self.inside and not self.evaluating and self.job.state is not State.PAUSED)
    def begin(self) -> None:
        directive = self.job.call.begin_evaluation()
        self.evaluating = directive is Directive.GO
        self.follow(directive)

    @rule(outcome=st.sampled_from(list(Outcome)), seconds=st.sampled_from([0.1, 3.0]))
    @precondition(lambda self: self.evaluating)
    def end(self, outcome: Outcome, seconds: float) -> None:
        self.world.now += seconds
        self.evaluating = False
        if outcome is Outcome.INTERRUPTED and not self.world.flag.up:
            outcome = Outcome.ANSWERED
        if outcome is Outcome.INTERRUPTED:
            self.world.flag.clear()
        void, _ = self.job.call.end_evaluation(outcome)
        if void:
            self.follow(self.job.worker.directive())
        elif outcome is Outcome.RAISED:
            self.job.worker.fail(ERROR)
            self.leave()
        elif outcome is Outcome.ANSWERED:
            self.step += 1
            self.job.call.stepped(seen(self.step), True, 0)

    @rule(parks=st.booleans())
    @precondition(lambda self: self.inside and self.job.state is State.PAUSED)
    def hold(self, parks: bool) -> None:
        if parks and self.job.worker.park():
            self.leave()
        else:
            self.follow(self.job.worker.wait(0))

    @rule()
    def overdue(self) -> None:
        for _, work in self.world.timers:
            work()

    def follow(self, directive: Directive) -> None:
        if directive is Directive.PAUSE:
            self.parks = not self.parks
            directive = self.job.worker.stopped(True, {}, self.parks)
        if directive in (Directive.STOP, Directive.PARK, Directive.FINISH):
            if directive is Directive.FINISH:
                self.job.worker.finished()
            self.leave()

    def leave(self) -> None:
        self.inside = False
        self.job.call.leave()

    def queue_again(self) -> None:
        self.runs += 1
        self.job.runs.queue(f"r{self.runs}")

    def verb(self, work: Any) -> Any:
        before = self.job.state
        try:
            return work()
        except IllegalTransition:
            assert self.job.state is before

    @invariant()
    def changes_follow_the_table(self) -> None:
        state = State.QUEUED
        for change in self.world.changes:
            assert change.state_from is state
            if change.state_to is not state:
                assert TRANSITIONS[(state, Event(change.kind))] is change.state_to
            state = change.state_to
        assert state is self.job.state

    @invariant()
    def the_flag_is_up_only_inside_an_evaluation(self) -> None:
        assert self.evaluating or not self.world.flag.up

    @invariant()
    def only_a_paused_job_is_held(self) -> None:
        assert not self.job.view().held or self.job.state is State.PAUSED


def test_clients_are_told_of_steps_now_and_then_and_of_the_newest() -> None:
    world = World()
    job = world.running(1.0)
    world.reports.clear()
    job.call.stepped(seen(2), True, 0)
    assert world.reports == [], "the sampler waits for nobody who is told"
    world.now += 1.0
    job.call.tell()
    assert world.reports == [job.view()] and job.view().step == 2
    job.call.stepped(seen(3), True, 0)
    job.call.tell()
    job.call.stepped(seen(4), True, 0)
    assert len(world.reports) == 1, "too soon after the last time"
    world.now += 1.0
    job.call.tell()
    job.call.tell()
    assert [view.step for view in world.reports] == [2, 4], "and nothing new is not told"


JobMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestJobMachine = JobMachine.TestCase


def test_threads_that_fire_verbs_at_a_worker_never_block_it_or_break_the_table() -> None:
    world = World()
    job = Job(
        JobView("j", ("j",), State.QUEUED, "t", "t"),
        Request({}, {}),
        world.flag,
        lambda job, view, change: world.changes.append(change) if change else None,
    )
    job.runs.enter_queue()
    over = threading.Event()

    def worker() -> None:
        enter(job, "j", "3", 10**6, QueuePolicy.HOLD)
        step = 0
        while True:
            directive = job.call.begin_evaluation()
            if directive is Directive.GO:
                interrupted = world.flag.up
                world.flag.clear()
                if not job.call.end_evaluation(Outcome.INTERRUPTED if interrupted else Outcome.ANSWERED)[0]:
                    step += 1
                    job.call.stepped(seen(step), True, 0)
                continue
            if directive is Directive.PAUSE:
                directive = job.worker.stopped(True, {})
                while directive is Directive.PAUSE:
                    directive = job.worker.wait(0.01)
            if directive in (Directive.STOP, Directive.FINISH):
                break
        job.call.leave()
        over.set()

    def client(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(300):
            verb = choose.choice([job.pause, job.resume, lambda: job.resume(2), job.view])
            try:
                verb()
            except IllegalTransition as refused:
                assert refused.state in State

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(6)]
    threading.Thread(target=worker, daemon=True).start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    job.abort(AbortMode.STOP, "done")
    assert over.wait(30)
    state = State.QUEUED
    for change in world.changes:
        assert change.state_from is state
        state = change.state_to
    assert state is job.state is State.ABORTED


def test_a_node_that_swallows_the_interrupt_of_a_parked_job_is_told_to_end_again() -> None:
    job = World().parked()
    assert enter(job, "j", "3", 10, QueuePolicy.AUTO) == 1
    assert job.worker.directive() is Directive.PARK


def test_another_prompt_with_the_id_of_a_parked_run_is_not_watched() -> None:
    job = World().parked()
    job.runs.end("j", Event.ABORT)
    assert enter(job, "j", "3", 10, QueuePolicy.AUTO) is None


def test_a_held_job_with_edits_goes_on_as_a_new_run_and_its_old_one_ends() -> None:
    job = World().held()
    job.edit(lambda history: {"3": {"cfg": (Edit(7.0, 4.0),)}})
    taken = pending(job.view().edits)
    assert job.resume() is False
    job.runs.queue("r2", None, taken)
    assert job.worker.directive() is Directive.PARK and job.state is State.QUEUED
    assert (job.view().held, job.view().edits["3"]["cfg"][0].from_step) == (False, 1)
    job.call.leave()
    job.runs.end("j", Event.ABORT)
    assert enter(job, "r2", "3", 10, QueuePolicy.AUTO) == 0
    assert job.worker.directive() is Directive.GO


def test_what_fails_before_an_edited_run_answered_anything_sets_the_job_back() -> None:
    for live in (False, True):
        job = World().parked()
        job.edit(lambda history: {"3": {"cfg": (Edit(7.0, 4.0),)}})
        job.resume()
        job.runs.queue("r2", None, pending(job.view().edits))
        enter(job, "r2", "3", 10, QueuePolicy.AUTO)
        job.call.recorded(2, 1.0, live)
        job.worker.fail(ERROR)
        assert job.state is (State.FAILED if live else State.PAUSED)
        assert job.view().error == ERROR and job.view().held is False
    early = World().parked()
    early.edit(lambda history: {"3": {"cfg": (Edit(7.0, 4.0),)}})
    early.resume()
    early.runs.queue("r2", None, pending(early.view().edits))
    early.runs.end("r2", Event.FAIL, ERROR)
    assert (early.state, early.view().total_steps) == (State.PAUSED, 10)


def test_the_replay_of_an_earlier_call_moves_nothing_and_keeps_what_a_rewind_left_behind() -> None:
    job = World().parked()
    job.runs.end("j", Event.ABORT)
    job.reserve("rewind")
    there = Moment("4", 2, 2, 10, 1.0, 0, "4")
    job.rewind(there, lambda edit: False)
    job.runs.refuse()
    job.resume()
    job.runs.queue("r2")
    assert enter(job, "r2", "3", 10, recorded=5) == 0 and job.call.replays()
    job.call.recorded(5, 0.5, False)
    job.call.stepped(seen(5), False, 0)
    job.call.recorded(5, 0.5, True)  # an end of its schedule, where nothing is evaluated
    view = job.view()
    assert (view.moment, view.take is not None) == (there, True)
    job.call.leave()
    assert enter(job, "r2", "4", 10, recorded=2) == 0 and not job.call.replays()
    job.call.recorded(3, 0.9, True)
    assert (job.view().evaluations, job.view().take) == (3, None)
