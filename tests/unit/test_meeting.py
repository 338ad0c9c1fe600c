"""What a breakpoint does to a job: pause, log, abort, finish or ask; the strongest of several counts."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from midrun.routes.asking import Answer, answer_of
from midrun.state.breakpoints.actions import STRENGTH, Action
from midrun.state.breakpoints.breakpoints import BreakpointKind, parsed, strongest
from midrun.state.errors import BadRequest, IllegalTransition
from midrun.state.job.job import Job
from midrun.state.job.transitions import Directive
from midrun.state.job.view import JobError
from midrun.state.job.warnings import NOT_FINISHED
from midrun.state.node import itself
from midrun.state.services.gate import Gate
from midrun.state.states import AbortMode, PauseReason, QueuePolicy, State
from test_job import World, enter, seen

STEP = {"kind": "step", "value": 2}
NAN = {"kind": "nan", "id": "nan"}


def at_step(world: World, *given: dict[str, Any], step: int = 2) -> Job:
    """A job that did that step with these breakpoints."""
    job = world.running(1.0)
    job.set_breakpoints(parsed(list(given)))
    job.call.recorded(step, 1.0, True)
    job.call.stepped(seen(step), True, 0)
    return job


def asked(world: World, *given: dict[str, Any]) -> Job:
    """One that is held, and waits for an answer."""
    job = at_step(world, *(given or (STEP | {"action": "ask"},)))
    assert job.worker.stopped(True, {}) is Directive.PAUSE
    return job


def test_actions_are_read_and_what_is_none_is_refused() -> None:
    given = [STEP | {"action": action.value, "timeout_s": 20} for action in Action]
    found = parsed(given)
    assert [(one.action, one.timeout_s) for one in found] == [(action, 20.0) for action in Action]
    assert parsed([one.to_json() for one in found]) == found
    (usual,) = parsed([STEP])
    assert (usual.action, usual.timeout_s) == (Action.PAUSE, 10.0)
    for wrong in (
        {"action": "explode"},
        {"action": None},
        {"action": ["log"]},
        {"log_only": True},
        {"timeout_s": 0.5},
        {"timeout_s": 3601},
        {"timeout_s": True},
        {"timeout_s": float("nan")},
        {"timeout_s": "10"},
    ):
        with pytest.raises(BadRequest):
            parsed([STEP | wrong])
    with pytest.raises(BadRequest, match="cannot ask"):
        parsed([{"kind": "time", "from": "08:00", "to": "18:00", "action": "ask"}])


def test_the_strongest_of_several_counts_in_whatever_order_they_are() -> None:
    for many in itertools.permutations(STRENGTH, 3):
        found = parsed([STEP | {"action": action.value} for action in many])
        assert strongest(found).action is min(many, key=STRENGTH.index)


@pytest.mark.parametrize(
    ("actions", "state", "directive"),
    [
        (["log"], State.RUNNING, Directive.GO),
        (["log", "ask"], State.PAUSING, Directive.PAUSE),
        (["ask", "pause"], State.PAUSING, Directive.PAUSE),
        (["pause", "finish", "ask"], State.ABORTED, Directive.FINISH),
        (["finish", "abort", "log"], State.ABORTED, Directive.STOP),
    ],
)
def test_a_job_does_what_the_strongest_says(actions: list[str], state: State, directive: Directive) -> None:
    world = World()
    job = at_step(world, *(STEP | {"action": action} for action in actions))
    assert (job.state, job.worker.directive()) == (state, directive)
    assert all(one.hits == 1 for one in job.view().breakpoints)
    told = [change for change in world.changes if "breakpoints" in change.detail][-1]
    assert [one["action"] for one in told.detail["breakpoints"]] == actions
    assert job.view().abort_reason == ("breakpoint step 2" if state is State.ABORTED else None)
    waits = job.view().question is not None
    assert waits is ("ask" in actions and "pause" not in actions and state is State.PAUSING)


def test_a_pause_that_was_asked_for_does_not_keep_one_from_ending_the_job() -> None:
    world = World()
    job = world.running(1.0)
    job.set_breakpoints(parsed([STEP | {"action": "abort"}]))
    job.pause()
    job.call.stepped(seen(2), True, 0)
    assert job.state is State.ABORTED


def test_an_answer_that_is_no_number_may_abort_finish_or_ask() -> None:
    for action, directive in (("abort", Directive.STOP), ("finish", Directive.FINISH)):
        job = at_step(World(), NAN | {"action": action})
        assert job.call.hit(BreakpointKind.NAN) and job.worker.directive() is directive
    job = at_step(World(), NAN | {"action": "log"})
    assert not job.call.hit(BreakpointKind.NAN) and job.state is State.RUNNING
    failed = JobError("RuntimeError", "out of memory", None)
    job = at_step(World(), {"kind": "exception", "action": "finish"})
    assert job.call.hit(BreakpointKind.EXCEPTION, failed) and job.view().error == failed
    assert job.worker.directive() is Directive.FINISH


def test_what_cannot_be_finished_pauses_and_says_why_until_it_goes_on() -> None:
    world = World()
    job = world.running()  # no step is done
    job.set_breakpoints(parsed([NAN | {"action": "finish"}]))
    assert job.call.hit(BreakpointKind.NAN) and job.state is State.PAUSING
    told = job.view().warnings[NOT_FINISHED[0]]
    assert "no unfinished picture" in told and "no unfinished picture" in str(world.changes[-1].detail)
    job.worker.stopped(True, {})
    job.resume()
    assert job.state is State.RUNNING and not job.view().warnings
    own = World().job()
    own.runs.start("j")
    assert own.call.enter("j", itself("3"), QueuePolicy.PARK, own_loop=True) == 0
    own.set_breakpoints(parsed([STEP | {"action": "finish"}]))
    own.call.stepped(seen(2), True, 0)
    assert own.state is State.PAUSING and "loop of its own" in own.view().warnings[NOT_FINISHED[0]]
    own.worker.stopped(True, {}, park=True)
    own.call.leave()
    assert not own.resume()
    own.runs.queue("r2")
    assert own.state is State.QUEUED and not own.view().warnings


def test_before_a_node_it_aborts_asks_and_is_not_asked_again() -> None:
    for action, state in (("abort", State.ABORTED), ("log", State.RUNNING), ("ask", State.PAUSING)):
        job = World().job()
        job.runs.start("j")
        job.set_breakpoints(parsed([{"kind": "node", "node_id": "9", "action": action}]))
        pauses = job.worker.before_node("j", itself("9"), always=False)
        assert (job.state, pauses) == (state, action == "ask")
        assert job.worker.must_leave("j") is False or action == "abort"
    job.worker.stopped(True, {})
    job.resume(due=job.view().auto_resume)
    assert not job.worker.before_node("j", itself("9"), always=False)


def test_a_job_that_asks_waits_and_goes_on_when_it_is_answered() -> None:
    world = World()
    job = asked(world)
    view = job.view()
    assert (view.state, view.pause_reason, view.held) == (State.PAUSED, PauseReason.ASKED, True)
    due = view.auto_resume
    assert due is not None and due.question is not None and due.question.timeout_s == 10
    assert view.to_json()["paused_because"] == due.because
    assert job.waiting.answered(due, {"action": "go"}, stays=False)
    assert job.resume(due.steps, due=due) and job.state is State.RUNNING
    assert job.view().auto_resume is None and job.view().pause_reason is None


@pytest.mark.parametrize("what", ["pause", "resume", "abort", "off", "another question"])
def test_what_a_person_does_meanwhile_wins(what: str) -> None:
    world = World()
    job = asked(world)
    due = job.view().auto_resume
    assert due is not None
    if what == "pause":
        job.pause()
        assert job.view().pause_reason is PauseReason.USER
    elif what == "off":
        job.set_breakpoints(())
        assert job.view().pause_reason is PauseReason.BREAKPOINT
    elif what == "abort":
        job.abort(AbortMode.STOP, None)
    else:
        job.resume()
    if what == "another question":
        job.call.stepped(seen(2), True, 0)  # as after a rewind
        job.worker.stopped(True, {})
        assert job.view().question is not None
    state = job.state
    assert not job.waiting.answered(due, {"action": "abort"}, stays=False)
    with pytest.raises(IllegalTransition):
        job.resume(due=due)
    with pytest.raises(IllegalTransition):
        job.abort(AbortMode.STOP, "the webhook", due)
    assert job.state is state


def test_answered_to_pause_it_is_paused_like_any_other() -> None:
    world = World()
    job = asked(world)
    due = job.view().auto_resume
    assert due is not None and job.waiting.answered(due, {"action": "pause"}, stays=True)
    view = job.view()
    assert (view.state, view.pause_reason) == (State.PAUSED, PauseReason.BREAKPOINT)
    assert view.auto_resume is None and world.changes[-1].kind == "answer"


def test_after_a_restart_nobody_is_asked_and_a_person_decides() -> None:
    job = World().job(State.PAUSED, pause_reason=PauseReason.ASKED, node_id="3", step=2)
    told = job.view().to_json()
    assert (told["pause_reason"], told["paused_because"]) == ("asked", None)
    assert not job.resume() and job.runs.queue("r2") is None and job.state is State.QUEUED


def test_the_same_answer_of_the_model_is_asked_about_once() -> None:
    world = World()
    job = at_step(world, NAN | {"action": "ask"})
    assert job.call.hit(BreakpointKind.NAN) and job.view().pause_reason is PauseReason.ASKED
    job.worker.stopped(True, {})
    job.resume(due=job.view().auto_resume)
    assert not job.call.hit(BreakpointKind.NAN) and job.state is State.RUNNING
    job.call.recorded(3, 1.0, True)
    assert job.call.hit(BreakpointKind.NAN), "the next one is another"
    job.worker.stopped(True, {})
    job.resume()  # a person, who may have mended it
    assert job.call.hit(BreakpointKind.NAN)


def test_one_that_waits_for_its_hours_is_asked_all_the_same() -> None:
    world = World()
    job = world.running(1.0)
    hours = {"kind": "time", "from": "08:00", "to": "18:00", "id": "hours"}
    job.set_breakpoints(parsed([hours, STEP | {"action": "ask"}]))
    job.waiting.wait_out(list(job.view().breakpoints[:1]), list(job.view().breakpoints[:1]), "It is late.")
    job.call.stepped(seen(2), True, 0)
    assert job.view().question is not None and job.view().pause_reason is PauseReason.ASKED
    question = job.view().question
    job.waiting.wait_out([], list(job.view().breakpoints[:1]), "It is late.")
    assert job.view().question == question


def test_a_job_that_asks_briefly_keeps_its_place_in_the_queue() -> None:
    gate = Gate(lambda: ["another"], lambda work: None)
    for timeout_s, policy, makes_way in ((10, "auto", False), (600, "auto", True), (10, "park", True)):
        job = World().job()
        enter(job, "j", "3", 10, QueuePolicy(policy))
        job.set_breakpoints(parsed([STEP | {"action": "ask", "timeout_s": timeout_s}]))
        job.call.stepped(seen(2), True, 0)
        assert gate.makes_way(job) is makes_way


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"action": "abort", "reason": "unsafe"}', Answer("abort", "unsafe")),
        (b'{"action": "finish", "score": 3}', Answer("finish")),
        (b'{"action": "pause", "reason": 5}', Answer("pause")),
        (b'{"action": "abort", "reason": "\\ud800"}', Answer("abort", "?")),
    ],
)
def test_an_answer_is_read(body: bytes, answer: Answer) -> None:
    assert answer_of(body) == answer
    assert len(answer_of(b'{"action": "abort", "reason": "%s"}' % (b"x" * 9000)).reason or "") == 500


@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"\xff\x00", b"[" * 65000, b"5", b'"go"', b"{}", b'{"action": "run"}', b'{"action": []}'],
)
def test_what_is_no_answer_lets_the_job_go_on_and_is_told(body: bytes) -> None:
    answer = answer_of(body)
    assert answer.action == "go" and answer.trouble and answer.told()["because"] == answer.trouble
