"""Hours of the day and a hot GPU: what they pause, what goes on by itself, what a person decides instead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from desk import Desk, open_desk
from midrun.state.breakpoints.breakpoints import of_setting, of_workflow, parsed
from midrun.state.breakpoints.wait_conditions import Heat, Window
from midrun.state.errors import BadRequest
from midrun.state.job.job import Job
from midrun.state.job.transitions import Event
from midrun.state.job.warnings import NOT_FINISHED
from midrun.state.services.guard import Guard, Unreadable
from midrun.state.states import AbortMode, PauseReason, State
from midrun.state.workflow.edits import Edit, changed
from test_job import seen

HOURS = {"kind": "time", "from": "08:00", "to": "18:00", "id": "hours"}
HOT = {"kind": "heat", "above": 85, "below": 70, "id": "hot"}


@pytest.mark.parametrize(
    ("start", "end", "now", "holds"),
    [
        ("08:00", "18:00", time(7, 59, 59), False),
        ("08:00", "18:00", time(8, 0), True),
        ("08:00", "18:00", time(17, 59, 59), True),
        ("08:00", "18:00", time(18, 0), False),
        ("22:00", "06:00", time(23, 30), True),
        ("22:00", "06:00", time(5, 59), True),
        ("22:00", "06:00", time(6, 0), False),
        ("22:00", "06:00", time(12, 0), False),
    ],
)
def test_a_window_may_go_past_midnight(start: str, end: str, now: time, holds: bool) -> None:
    assert Window(start, end).holds(now) is holds


def test_what_is_hot_stays_so_until_it_is_cooler_than_the_second_limit() -> None:
    heat = Heat(85, 70)
    assert [heat.holds(celsius, False) for celsius in (84, 85, 86)] == [False, False, True]
    assert [heat.holds(celsius, True) for celsius in (86, 70, 69)] == [True, True, False]


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "time"},
        {"kind": "time", "from": "8:00", "to": "18:00"},
        {"kind": "time", "from": "08:00", "to": "24:00"},
        {"kind": "time", "from": "08:00", "to": "08:00"},
        {"kind": "time", "from": 8, "to": 18},
        {"kind": "time", "from": "08:00\n", "to": "18:00"},
        {"kind": "heat", "above": 85},
        {"kind": "heat", "above": 70, "below": 85},
        {"kind": "heat", "above": 85, "below": 0},
        {"kind": "heat", "above": float("nan"), "below": 70},
        {"kind": "heat", "above": True, "below": 0.5},
        {"kind": "heat", "above": 85, "below": 70, "from": "08:00"},
        {"kind": "nan", "above": 85},
    ],
)
def test_what_makes_no_sense_is_refused_and_left_out_of_a_setting(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        parsed([given])
    assert of_setting([given, 5, {"kind": "nan"}]) == () == of_setting(given)


def test_they_come_back_from_json_and_from_a_workflow() -> None:
    found = parsed([HOURS, HOT])
    assert parsed([one.to_json() for one in found]) == found == of_setting([HOURS, HOT])
    assert [one.to_json()["kind"] for one in found] == ["time", "heat"]
    nodes = [{"id": 3, "type": "X", "properties": {"Midrun.breakpoints": [HOT]}}]
    (one,) = of_workflow({"extra_pnginfo": {"workflow": {"nodes": nodes}}})
    assert (one.limits, one.node_id) == (Heat(85, 70), "3")


class Room:
    """A desk with a clock and a thermometer that the test sets."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.now = time(7, 0)
        self.celsius: float | None = 40.0
        self.looks = 0
        self.guard = Guard(
            desk.control,
            asyncio.get_running_loop(),
            self._read,
            clock=lambda: self.now,
            look_every_s=0.01,
        )
        desk.registry.listen(self.guard.on_change)

    def _read(self) -> float:
        self.looks += 1
        if self.celsius is None:
            raise Unreadable("it is broken")
        return self.celsius

    def job(self, *given: dict[str, Any], prompt_id: str = "p") -> Job:
        job = self.desk.running(prompt_id)
        job.set_breakpoints(parsed(list(given)))
        return job

    async def settle(self) -> None:
        await asyncio.sleep(0.1)

    async def until(self, condition: Callable[[], Any]) -> None:
        for _ in range(500):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it never came true")

    async def stands(self, job: Job, park: bool = False) -> None:
        await self.until(lambda: job.state is State.PAUSING)
        job.worker.stopped(True, {}, park=park)
        assert job.view().auto_resume is not None


def play(directory: Path, scene: Callable[[Room], Any]) -> None:
    async def work(desk: Desk) -> None:
        await scene(Room(desk))

    with open_desk(directory) as desk:
        asyncio.run(work(desk), debug=True)


def test_a_job_waits_out_the_hours_and_goes_on(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        job = room.job(HOURS)
        await room.settle()
        assert job.state is State.RUNNING and room.guard.watching
        room.now = time(8, 0)
        await room.stands(job)
        told = job.view().to_json()
        assert told["pause_reason"] == "breakpoint" and told["breakpoints"][0]["hits"] == 1
        assert told["paused_because"] == "It is between 08:00 and 18:00. The job goes on by itself at 18:00."
        await room.settle()
        assert job.state is State.PAUSED
        room.now = time(18, 0)
        await room.until(lambda: job.state is State.RUNNING)
        assert job.view().to_json()["paused_because"] is None and room.looks == 0
        room.now = time(9, 0)  # the next day
        await room.stands(job)
        assert job.view().breakpoints[0].hits == 2

    play(tmp_path, scene)


def test_a_hot_gpu_is_left_to_cool_between_its_two_limits(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        job = room.job(HOT)
        room.celsius = 88
        await room.stands(job, park=True)
        assert "88 °C" in (job.view().to_json()["paused_because"] or "")
        job.call.leave()
        room.celsius = 70
        await room.settle()
        assert job.state is State.PAUSED
        room.celsius = None
        await room.settle()
        assert job.state is State.PAUSED and "no_thermometer" in job.view().warnings
        room.celsius = 69
        await room.until(lambda: job.state is State.QUEUED)
        assert room.desk.queue.runs == [("p-2", ("p",))] and "no_thermometer" not in job.view().warnings

    play(tmp_path, scene)


def test_nobody_looks_where_no_job_is_concerned(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        room.desk.running("other")
        await room.settle()
        assert not room.guard.watching and room.looks == 0
        job = room.job(HOT)
        await room.until(lambda: room.looks > 2)
        job.set_breakpoints(())
        await room.until(lambda: not room.guard.watching)
        job.set_breakpoints(parsed([HOT | {"enabled": False}]))
        await room.settle()
        looks = room.looks
        job.set_breakpoints(parsed([HOT]))
        await room.until(lambda: room.looks > looks)
        job.pause()
        job.worker.stopped(True, {})
        await room.until(lambda: not room.guard.watching)

    play(tmp_path, scene)


@pytest.mark.parametrize("what", ["pause", "edit", "rewind", "remove", "abort"])
def test_what_a_person_does_with_a_job_that_stands_is_not_undone(tmp_path: Path, what: str) -> None:
    async def scene(room: Room) -> None:
        room.now = time(9, 0)
        job = room.job(HOURS)
        await room.stands(job)
        if what == "pause":
            assert job.pause().pause_reason is PauseReason.USER
        elif what == "edit":
            job.edit(lambda history: changed(history, ("3", "cfg"), Edit(1.0, 2.0)))
        elif what == "rewind":
            job.reserve("rewind")
            job.rewind(job.view().moment, lambda edit: False)
            job.runs.refuse()
        elif what == "remove":
            job.set_breakpoints(parsed([HOT]))
        else:
            await room.desk.control.abort("p", AbortMode.STOP, None)
        state = job.state
        assert job.view().auto_resume is None
        room.now = time(19, 0)
        await room.settle()
        assert job.state is state in (State.PAUSED, State.ABORTED) and room.desk.queue.runs == []

    play(tmp_path, scene)


def test_who_lets_a_job_go_on_in_spite_of_the_hour_has_it_until_they_come_again(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        room.now = time(9, 0)
        job = room.job(HOURS, HOT)
        await room.stands(job)
        await room.desk.control.resume("p")
        await room.settle()
        assert job.state is State.RUNNING
        room.celsius = 90  # another matter
        await room.stands(job)
        room.celsius = 60
        await room.until(lambda: job.state is State.RUNNING)
        room.now = time(20, 0)
        await room.settle()
        room.now = time(9, 0)
        await room.stands(job)

    play(tmp_path, scene)


def test_a_job_that_was_paused_before_is_its_user_s(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        job = room.job(HOURS)
        job.pause()
        job.worker.stopped(True, {})
        room.now = time(9, 0)
        await room.settle()
        room.now = time(19, 0)
        await room.settle()
        assert job.state is State.PAUSED
        room.now = time(9, 0)
        await room.desk.control.resume("p", 3)
        await room.settle()
        assert job.state is State.RUNNING

    play(tmp_path, scene)


def test_one_thing_may_end_while_another_begins(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        job = room.job(HOURS, HOT)
        room.celsius = 90
        await room.stands(job)
        room.now = time(9, 0)
        await room.until(lambda: job.view().auto_resume.ids == ("hours", "hot"))
        room.celsius = 60
        await room.until(lambda: job.view().auto_resume.ids == ("hours",))
        assert "18:00" in job.view().auto_resume.because and job.state is State.PAUSED
        room.now = time(19, 0)
        await room.until(lambda: job.state is State.RUNNING)
        assert [one.hits for one in job.view().breakpoints] == [1, 1]

    play(tmp_path, scene)


def test_the_steps_that_were_asked_for_are_not_forgotten(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        job = room.job(HOURS)
        job.pause()
        job.worker.stopped(True, {})
        await room.desk.control.resume("p", 2)
        await room.settle()
        room.now = time(9, 0)
        await room.stands(job)
        room.now = time(19, 0)
        await room.until(lambda: job.state is State.RUNNING)
        job.call.stepped(seen(2), True, 0)
        assert job.state is State.RUNNING
        job.call.stepped(seen(3), True, 0)
        assert job.state is State.PAUSING and job.view().pause_reason is PauseReason.STEP

    play(tmp_path, scene)


def test_one_that_only_logs_is_noted_once(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        room.now = time(9, 0)
        job = room.job(HOURS | {"action": "log"})
        await room.settle()
        assert job.state is State.RUNNING and job.view().breakpoints[0].hits == 1
        job.runs.end("p", Event.COMPLETE)
        await room.settle()
        assert job.view().breakpoints[0].hits == 1 and not room.guard.watching

    play(tmp_path, scene)


def test_a_run_that_is_refused_is_told_once(tmp_path: Path) -> None:
    async def scene(room: Room) -> None:
        room.now = time(9, 0)
        job = room.job(HOURS)
        await room.stands(job, park=True)
        job.call.leave()
        room.desk.queue.refuses = BadRequest("the model is gone")
        room.now = time(19, 0)
        await room.settle()
        assert job.state is State.PAUSED and job.view().auto_resume is None
        events = room.desk.registry.store.events("p").result()
        assert [event["kind"] for event in events].count("not_resumed") == 1

    play(tmp_path, scene)


@pytest.mark.parametrize("action", ["abort", "finish"])
def test_hours_may_end_a_job_and_what_cannot_be_finished_pauses_for_good(tmp_path: Path, action: str) -> None:
    async def scene(room: Room) -> None:
        job = room.job(HOURS | {"action": action})
        job.call.leave()  # between two calls, where nothing is to be finished
        await room.settle()
        room.now = time(8, 0)
        if action == "abort":
            await room.until(lambda: job.state is State.ABORTED)
            assert job.view().abort_reason == "breakpoint time 08:00 18:00"
        else:
            await room.until(lambda: job.state is State.PAUSING)
            job.worker.stopped(True, {})
            assert NOT_FINISHED[0] in job.view().warnings
            room.now = time(19, 0)
            await room.settle()
            assert job.state is State.PAUSED and job.view().auto_resume is None
        await room.settle()
        assert job.view().breakpoints[0].hits == 1 and not room.guard.watching

    play(tmp_path, scene)


@pytest.mark.parametrize("by", ["the webhook", "a person"])
def test_a_job_that_asks_is_left_alone_and_who_answers_knows_of_no_hours(tmp_path: Path, by: str) -> None:
    async def scene(room: Room) -> None:
        job = room.job(HOURS, {"kind": "step", "value": 2, "action": "ask"})
        job.call.stepped(seen(2), True, 0)
        job.worker.stopped(True, {})
        room.now = time(9, 0)
        await room.settle()
        due = job.view().auto_resume
        assert job.state is State.PAUSED and due is not None and due.question is not None
        if by == "a person":
            await room.desk.control.resume("p")
            await room.settle()
            assert job.state is State.RUNNING, "the person knew what time it is"
            return
        assert job.waiting.answered(due, {"action": "go"}, stays=False)
        await room.desk.control.resume("p", due=due)
        await room.stands(job)
        assert job.view().question is None

    play(tmp_path, scene)
