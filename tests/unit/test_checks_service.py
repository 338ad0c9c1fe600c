"""Checks that begin, end and are refused, with real jobs, and a queue that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from desk import ABSENT, RUNNING, Desk, open_desk
from midrun.state.checks import Check, Progress
from midrun.state.errors import IllegalTransition, UnknownJob
from midrun.state.job.job import Job
from midrun.state.job.transitions import Event
from midrun.state.node import Node, itself
from midrun.state.recording.items import Evaluation, Step
from midrun.state.recording.memory import MemoryRecordings
from midrun.state.server_directory import directory_name
from midrun.state.services.beside import WENT_ON
from midrun.state.services.checking import Checks
from midrun.state.services.edited import asked_from
from midrun.state.surroundings import Surroundings
from midrun.state.workflow.edits import Edit, History
from test_control_unit import until
from test_recording import given

ANSWER = torch.zeros(2)


class Here:
    """What this ComfyUI computes with: nothing, or what cannot be looked at."""

    broken = False

    def again(self, then: Surroundings, prompt: Any, thoroughly: bool) -> Surroundings:
        if self.broken:
            raise RuntimeError("another pack's code")
        return then

    def loaders(self, prompt: Any) -> frozenset[str]:
        return frozenset()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def checks(desk: Desk) -> Checks:
    checks = Checks(desk.control, Here())
    desk.queue.known = checks.beside.find
    desk.queue.drop = lambda prompt_id: None
    desk.registry.recordings.close = lambda job_id: None  # as on a disk
    return checks


def recorded(recordings: Any, job_id: str, node: Node, begun: float, ends: list[int], call: int = 0) -> None:
    """A sampling call whose steps ended after so many evaluations each."""
    recording = recordings.open(job_id, node.node_id, call)
    recording.inputs = replace(given(1), node_id=node.node_id, display_id=node.display_id, begun=begun)
    for number, end in enumerate(ends, 1):
        while len(recording) < end:
            recording.append(Evaluation(ANSWER))
        recording.mark(Step(number, end, 1.0))


def completed(desk: Desk, prompt_id: str = "p") -> str:
    job = desk.running(prompt_id)
    recorded(desk.registry.recordings, prompt_id, itself("3"), 1.0, [1, 2, 3])
    job.call.leave()
    job.runs.end(prompt_id, Event.COMPLETE)
    del desk.queue.places[prompt_id]
    desk.registry.settle(job)
    assert desk.registry.get(prompt_id) is None
    return prompt_id


async def over(checks: Checks, desk: Desk, check: Check) -> None:
    desk.queue.places[check.prompt_id] = ABSENT
    await until(lambda: checks.beside.find(check.prompt_id) is None)


def told(desk: Desk) -> list[tuple[Job, str]]:
    """What the listeners hear of."""
    heard: list[tuple[Job, str]] = []
    desk.registry.listen(lambda job, view, change: heard.append((job, change.kind if change else "")))
    return heard


def test_a_job_that_is_checked_stays_the_one_whoever_settles_it(desk: Desk, checks: Checks) -> None:
    completed(desk)

    async def work() -> None:
        check = await checks.begin("p", False)
        job = desk.registry.get("p")
        assert job is not None and (check.total, check.earlier) == (3, 0)
        desk.registry.settle(await desk.registry.load("p"))  # as a fork does
        with pytest.raises(IllegalTransition, match="already"):
            await checks.begin("p", False)
        assert desk.registry.get("p") is job
        await over(checks, desk, check)
        assert desk.registry.get("p") is None and job.view().check is not None
        assert (await checks.read("p")).progress is Progress.CANCELLED

    asyncio.run(work())


def test_two_checks_at_once_are_one_and_a_refused_one_leaves_nothing(desk: Desk, checks: Checks) -> None:
    completed(desk)

    async def work() -> None:
        desk.queue.refuses = RuntimeError("no such node")
        with pytest.raises(RuntimeError):
            await checks.begin("p", False)
        assert desk.registry.get("p") is None
        desk.queue.refuses = None
        desk.queue.meanwhile = lambda: desk.registry.settle(desk.registry.get("p"))
        both = await asyncio.gather(
            checks.begin("p", False), checks.begin("p", False), return_exceptions=True
        )
        (check,) = (one for one in both if isinstance(one, Check))
        assert any(isinstance(one, IllegalTransition) for one in both) and len(desk.queue.runs) == 1
        assert desk.registry.get("p") is not None
        await over(checks, desk, check)

    asyncio.run(work())


def test_a_job_that_is_deleted_while_it_is_checked_is_heard_of_no_more(desk: Desk, checks: Checks) -> None:
    completed(desk)

    async def work() -> None:
        check = await checks.begin("p", False)
        running = checks.beside.find(check.prompt_id)
        assert running is not None
        running.starts()
        await desk.control.delete("p")
        heard = told(desk)
        assert desk.queue.cancelled == [check.prompt_id] and checks.beside.find(check.prompt_id) is running
        running.differs()
        running.computed_with(Surroundings())
        await over(checks, desk, check)
        assert heard == []
        with pytest.raises(UnknownJob):
            await checks.read("p")

    asyncio.run(work())


def test_a_job_that_is_deleted_before_its_check_is_queued_is_not_checked(desk: Desk, checks: Checks) -> None:
    completed(desk)

    async def work() -> None:
        desk.queue.meanwhile = lambda: desk.registry.delete(desk.registry.get("p"))
        with pytest.raises(UnknownJob):
            await checks.begin("p", False)
        assert desk.queue.runs == []

    asyncio.run(work())


def test_a_check_whose_end_raises_ends_and_so_do_the_others(desk: Desk, checks: Checks) -> None:
    completed(desk, "p")
    completed(desk, "q")
    here = Here()
    here.broken = True
    checks = Checks(desk.control, here)
    desk.queue.known = checks.beside.find

    async def work() -> None:
        first, second = await checks.begin("p", False), await checks.begin("q", False)
        for check in (first, second):
            running = checks.beside.find(check.prompt_id)
            assert running is not None
            running.computed_with(Surroundings())
            running.leave(itself("3"), running.enter(itself("3"))[0])
        await over(checks, desk, first)
        await over(checks, desk, second)
        assert [(await checks.read(one)).progress for one in ("p", "q")] == [Progress.DONE] * 2

    asyncio.run(work())


def test_a_job_that_went_on_while_its_check_waited_is_not_judged(desk: Desk, checks: Checks) -> None:
    job = desk.parked()
    recorded(desk.registry.recordings, "p", itself("3"), 1.0, [1, 2, 3])
    recording = desk.registry.recordings.open("p", "3", 0)

    async def work() -> None:
        check = await checks.begin("p", False)
        recording.rewind(2)
        desk.queue.places[check.prompt_id] = RUNNING
        await until(lambda: desk.queue.cancelled)
        await over(checks, desk, check)
        told = await checks.read("p")
        assert (told.progress, told.error) == (Progress.FAILED, WENT_ON)

        recording.restore()
        check = await checks.begin("p", False)
        assert job.resume() is False
        desk.registry.add_run(job, "p-9")  # which computes as many evaluations as before
        desk.queue.places["p-9"] = RUNNING
        desk.park(job)
        await over(checks, desk, check)
        assert (await checks.read("p")).error == WENT_ON

    asyncio.run(work())


def test_a_resume_that_waits_for_a_check_does_not_disturb_it(desk: Desk, checks: Checks) -> None:
    job = desk.parked()
    recorded(desk.registry.recordings, "p", itself("3"), 1.0, [1, 2, 3])

    async def work() -> None:
        check = await checks.begin("p", False)
        running = checks.beside.find(check.prompt_id)
        assert running is not None
        desk.queue.places[check.prompt_id] = RUNNING
        await until(lambda: running.check.progress is Progress.RUNNING)
        assert job.resume() is False
        desk.registry.add_run(job, "p-9")
        running.leave(itself("3"), running.enter(itself("3"))[0])
        await over(checks, desk, check)
        assert (await checks.read("p")).progress is Progress.DONE

    asyncio.run(work())


def edits(*made: tuple[str | None, int | None]) -> History:
    """made: (the node that sampled then, the step after which)"""
    return {"1": {"text": tuple(Edit(0, 1, step, node) for node, step in made)}}


@pytest.mark.parametrize(
    ("made", "first", "second"),
    [
        ((), 0, 0),
        ((("a", None), ("b", None)), 0, 0),  # pending
        (((None, 0),), 0, 0),  # before anything sampled
        ((("a", 1),), 1, 0),
        ((("a", 2), ("a", 1)), 2, 0),
        ((("b", 0),), 3, 2),  # perhaps in the middle of its first step
        ((("b", 1),), 3, 4),
        ((("a", 1), ("b", 2)), 3, 4),  # its last step has one evaluation
        ((("b", 3),), 3, 5),
        ((("gone", 1),), 3, 5),  # nobody knows when that was
    ],
)
def test_what_was_asked_before_an_edit_is_not_asked_again(
    made: tuple[tuple[str | None, int | None], ...], first: int, second: int
) -> None:
    recordings = MemoryRecordings()
    recorded(recordings, "p", itself("b"), 2.0, [2, 4, 5])
    recorded(recordings, "p", itself("a"), 1.0, [1, 2, 3])
    found = asked_from(edits(*made), recordings.calls("p"))
    assert [found[directory_name(node), 0] for node in ("a", "b")] == [first, second]


def test_of_a_node_that_samples_several_times_only_the_last_call_may_be_asked() -> None:
    recordings = MemoryRecordings()
    for call in range(3):
        recorded(recordings, "p", itself("tiles"), 1.0 + call, [1, 2, 3], call)
    calls = recordings.calls("p")
    assert list(asked_from(edits(("tiles", 1)), calls).values()) == [3, 3, 1]
    assert list(asked_from(edits(("tiles", 7)), calls).values()) == [3, 3, 3]
