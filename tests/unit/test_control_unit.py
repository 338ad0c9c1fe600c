"""The verbs and the follower of the queue, with real jobs and a store, and a queue that the test moves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desk import ABSENT, GRAPH, RUNNING, WAITING, Desk, open_desk
from midrun.state.errors import IllegalTransition, RunRefused, UnknownJob
from midrun.state.job.request import Request
from midrun.state.job.runs import CANCELLED
from midrun.state.job.transitions import Event
from midrun.state.services import control as control_module
from midrun.state.services.control import Presence, Where
from midrun.state.states import AbortMode, QueuePolicy, State
from test_job import ERROR, seen


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as desk:
        yield desk


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came true")


def test_a_pause_answers_when_the_worker_has_stopped_and_leaves_nobody_listening(desk: Desk) -> None:
    job = desk.running()

    async def work() -> None:
        waiting = asyncio.create_task(desk.control.pause("p", 30))
        await until(lambda: job.state is State.PAUSING)
        desk.running("other")
        job.call.stepped(seen(2), True, 0)
        job.note("noted", {})
        await asyncio.sleep(0.05)
        assert not waiting.done()
        threading.Thread(target=job.worker.stopped, args=(True, {})).start()
        view = await asyncio.wait_for(waiting, 10)
        assert (view.state, view.held) == (State.PAUSED, True)
        assert (await asyncio.wait_for(desk.control.pause("p", 30), 10)).state is State.PAUSED

    asyncio.run(work(), debug=True)  # asyncio then refuses what is not thread-safe
    job.resume()  # a listener that was left behind would raise: its loop is closed


@pytest.mark.parametrize("wait_s", [0, 0.01])
def test_a_pause_that_takes_longer_than_the_client_waits_is_answered_as_pausing(
    desk: Desk, wait_s: float
) -> None:
    desk.running()
    assert asyncio.run(desk.control.pause("p", wait_s)).state is State.PAUSING


def test_a_resume_queues_a_run_that_any_id_finds_and_clears_the_history_of_the_others(desk: Desk) -> None:
    job = desk.parked()

    async def work() -> None:
        view = await desk.control.resume("p", keep_history=False)
        assert (view.state, view.prompt_ids) == (State.QUEUED, ("p", "p-2"))
        await until(lambda: len(asyncio.all_tasks()) == 2)  # the follower is up
        desk.park(job)
        await desk.control.resume("p-2", 2)
        desk.park(job)
        await desk.control.resume("p", keep_history=True)

    asyncio.run(work())
    assert desk.queue.runs == [("p-2", ("p",)), ("p-3", ("p", "p-2")), ("p-4", ())]
    assert desk.registry.get("p-4") is desk.registry.get("p") is job


def test_a_step_runs_as_many_steps_as_were_asked_for(desk: Desk) -> None:
    job = desk.held()
    asyncio.run(desk.control.resume("p", 2))
    job.call.stepped(seen(2), True, 0)
    assert job.state is State.RUNNING
    job.call.stepped(seen(3), True, 0)
    assert job.state is State.PAUSING and desk.queue.runs == []


@pytest.mark.parametrize("refusal", [RunRefused("p", "no such model.", []), asyncio.CancelledError()])
def test_a_job_whose_run_was_refused_can_be_resumed_again(desk: Desk, refusal: BaseException) -> None:
    job = desk.parked()

    async def work() -> None:
        desk.queue.refuses = refusal
        with pytest.raises(type(refusal)):
            await desk.control.resume("p")
        assert job.state is State.PAUSED and desk.queue.runs == []
        desk.queue.refuses = None
        assert (await desk.control.resume("p")).state is State.QUEUED

    asyncio.run(work())


def test_a_run_whose_job_is_aborted_while_it_is_validated_is_never_put(desk: Desk) -> None:
    job = desk.parked()
    desk.queue.meanwhile = lambda: job.abort(AbortMode.STOP, None)
    with pytest.raises(IllegalTransition):
        asyncio.run(desk.control.resume("p"))
    assert desk.queue.runs == [] and job.state is State.ABORTED


def test_stop_ends_the_newest_run_and_lets_go_of_a_job_that_has_none(desk: Desk) -> None:
    desk.parked()
    desk.parked("q")

    async def work() -> None:
        await desk.control.resume("p")
        for name, kept in (("p", True), ("q", False)):
            await desk.control.abort(name, AbortMode.STOP, "why")
            assert (desk.registry.get(name) is not None) is kept
            view = (await desk.registry.load(name)).view()
            assert (view.state, view.abort_reason) == (State.ABORTED, "why")
        assert desk.queue.cancelled == ["p-2", "q"]

    asyncio.run(work())


@pytest.mark.parametrize("keep_history", [True, False])
def test_finish_cancels_nothing_and_queues_a_run_only_for_a_parked_job(
    desk: Desk, keep_history: bool
) -> None:
    for job in (desk.running("p"), desk.parked("q")):
        view = asyncio.run(desk.control.abort(job.job_id, AbortMode.FINISH, "enough", keep_history))
        assert (view.state, view.abort_mode, view.abort_reason) == (State.ABORTED, AbortMode.FINISH, "enough")
    assert desk.queue.cancelled == [] and desk.queue.runs == [("q-2", () if keep_history else ("q",))]


def test_a_job_is_deleted_with_its_recordings_unless_it_has_a_run(desk: Desk) -> None:
    desk.running("r")
    recording = desk.registry.recordings.open(desk.parked().job_id, "3", 0)
    with pytest.raises(IllegalTransition, match="Abort it first"):
        asyncio.run(desk.control.delete("r"))
    asyncio.run(desk.control.delete("p"))
    with pytest.raises(UnknownJob):
        asyncio.run(desk.registry.load("p"))
    assert desk.registry.get("r") and desk.registry.recordings.open("p", "3", 0) is not recording


def test_a_prompt_is_a_job_for_good_once_it_stands_in_the_queue(desk: Desk, monkeypatch: Any) -> None:
    now = [0.0]
    monkeypatch.setattr(control_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    accepted = Request({"3": {"class_type": "MidrunKSampler", "inputs": {}}}, {}, ("9",))
    without_targets = replace(accepted, outputs=None)  # later runs may have other outputs
    parked, lost = (desk.registry.add(name, GRAPH, QueuePolicy.AUTO) for name in ("p", "lost"))
    assert parked is not None and lost is not None

    async def work() -> None:
        desk.control.submitted(parked)
        desk.control.submitted(lost)
        for now[0] in (0.0, 30.0):
            await asyncio.sleep(0.15)
            assert desk.registry.get("lost") is lost and not parked.runs.active
        desk.queue.places["p"], desk.queue.requests["p"] = WAITING, accepted
        await until(lambda: parked.runs.active)
        assert parked.request == without_targets and parked.state is State.QUEUED
        desk.queue.places["p"] = RUNNING
        desk.park(parked)
        now[0] = 61.0
        await until(lambda: desk.registry.get("lost") is None)
        assert (await desk.registry.load("p")).state is State.PAUSED
        assert (await asyncio.wrap_future(desk.registry.store.find("p"))).request == without_targets
        with pytest.raises(UnknownJob):
            await desk.registry.load("lost")
        await until(lambda: len(asyncio.all_tasks()) == 1)  # nobody is left to be followed

    asyncio.run(work())


def test_what_the_handler_says_of_a_prompt_holds_at_once(desk: Desk) -> None:
    jobs = [desk.registry.add(name, GRAPH, QueuePolicy.AUTO) for name in ("p", "q")]

    async def work() -> None:
        for job in jobs:
            desk.control.submitted(job)
        assert len(asyncio.all_tasks()) == 2  # one follower
        desk.queue.places["p"] = WAITING
        desk.control.accepted(jobs[0])
        desk.control.refused(jobs[1])

    asyncio.run(work())
    assert desk.registry.live() == [jobs[0]] and jobs[0].request is GRAPH
    assert desk.registry.get("q") is None


def test_a_prompt_that_came_past_the_handler_is_adopted_once(desk: Desk) -> None:
    assert desk.control.adopt("p") is None
    desk.queue.requests["p"] = GRAPH
    job = desk.control.adopt("p")
    assert job is not None and desk.registry.live() == [job] and job.request is GRAPH
    assert desk.control.adopt("p") is None


@pytest.mark.parametrize(
    ("prompt_id", "aborted"), [("p", ["p"]), (None, ["p"]), ("waits", []), ("unknown", [])]
)
def test_cancel_hits_what_runs_and_nothing_that_waits(desk: Desk, prompt_id: Any, aborted: list[str]) -> None:
    desk.running()
    waits = desk.registry.add("waits", GRAPH, QueuePolicy.AUTO)
    assert waits is not None
    waits.runs.enter_queue()
    desk.queue.places["waits"] = WAITING
    desk.control.cancelled(prompt_id)
    assert [job.job_id for job in desk.registry.live() if job.state is State.ABORTED] == aborted


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        (Presence(Where.ENDED, Event.COMPLETE), (State.COMPLETED, None, None)),
        (Presence(Where.ENDED), (State.COMPLETED, None, None)),
        (Presence(Where.ENDED, Event.ABORT), (State.ABORTED, CANCELLED, None)),
        (ABSENT, (State.COMPLETED, None, None)),  # a client deleted its entry at once
        (Presence(Where.ENDED, Event.FAIL, ERROR), (State.FAILED, None, ERROR)),
    ],
)
def test_the_start_and_the_end_of_a_run_are_seen_in_the_queue(desk: Desk, end: Presence, shown: Any) -> None:
    async def work() -> None:
        for name in ("first", "second"):  # the follower comes back for the next
            job = desk.registry.add(name, GRAPH, QueuePolicy.AUTO)
            assert job is not None
            desk.queue.places[name] = WAITING
            desk.control.submitted(job)
            desk.control.accepted(job)
            desk.queue.places[name] = RUNNING
            await until(lambda job=job: job.state is State.RUNNING)
            desk.queue.places[name] = end
            await until(lambda: len(asyncio.all_tasks()) == 1)
            view = job.view()
            assert (view.state, view.abort_reason, view.error) == shown
            assert (desk.registry.get(name) is None) is (view.state is not State.FAILED)

    asyncio.run(work())
