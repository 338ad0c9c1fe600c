"""Jobs in memory and in a real store: who may have which id, and who is let go of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from midrun.state.errors import UnknownJob
from midrun.state.job.request import Request
from midrun.state.job.transitions import Event
from midrun.state.job.view import JobView
from midrun.state.recording.memory import MemoryRecordings
from midrun.state.services.registry import Registry
from midrun.state.services.trouble import Trouble
from midrun.state.states import AbortMode, QueuePolicy, State
from midrun.state.store.store import Store
from test_job import Flag, enter

REQUEST = Request({"3": {"class_type": "MidrunKSampler"}}, {}, ("9",))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "midrun.db")
    yield store
    store.close()


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store, MemoryRecordings(), Flag())


def completed(registry: Registry, prompt_id: str) -> None:
    job = registry.add(prompt_id, REQUEST, QueuePolicy.AUTO)
    assert job is not None
    job.runs.enter_queue()
    job.runs.end(prompt_id, Event.COMPLETE)
    registry.settle(job)
    assert registry.get(prompt_id) is None


def test_the_id_of_a_settled_job_is_not_given_to_another(registry: Registry, store: Store) -> None:
    completed(registry, "p")
    assert registry.add("p", Request({}, {}), QueuePolicy.AUTO) is None
    stored = store.find("p").result()
    assert stored is not None and stored.view.state is State.COMPLETED
    assert stored.request.prompt == REQUEST.prompt
    again = Registry(store, MemoryRecordings(), Flag())  # of the next server
    assert again.add("p", REQUEST, QueuePolicy.AUTO) is None


def test_the_ids_of_a_deleted_and_of_a_refused_prompt_are_free_again(registry: Registry) -> None:
    completed(registry, "p")
    registry.delete(asyncio.run(registry.load("p")))
    refused = registry.add("p", REQUEST, QueuePolicy.AUTO)
    assert refused is not None
    registry.withdraw(refused)
    assert registry.add("p", REQUEST, QueuePolicy.AUTO) is not None


def test_the_ids_of_all_runs_find_the_job_and_are_taken(registry: Registry) -> None:
    job = registry.add("p", REQUEST, QueuePolicy.AUTO)
    assert job is not None
    job.runs.enter_queue()
    job.runs.start("p")
    enter(job, "p", "3", 10, QueuePolicy.PARK)
    job.pause()
    job.worker.stopped(True, {}, park=True)
    job.call.leave()
    job.runs.end("p", Event.ABORT)
    assert job.resume() is False
    registry.add_run(job, "r2")
    assert registry.get("r2") is registry.get("p") is job
    assert registry.add("r2", REQUEST, QueuePolicy.AUTO) is None
    job.abort(AbortMode.STOP, None)
    job.runs.end("r2", Event.ABORT)
    registry.settle(job)
    assert registry.get("r2") is None
    assert asyncio.run(registry.load("r2")).job_id == "p"


@pytest.mark.parametrize("let_go", [False, True])
def test_a_warning_that_is_over_is_taken_back_also_of_a_job_that_was_let_go_of(
    registry: Registry, store: Store, let_go: bool
) -> None:
    job = registry.add("p", REQUEST, QueuePolicy.AUTO)
    assert job is not None
    job.runs.enter_queue()
    trouble = Trouble(registry)
    trouble.on_disk("p", "the disk is full")
    told: list[str] = []
    registry.listen(lambda job, view, change: told.append(change.kind if change else ""))
    if let_go:
        job.runs.end("p", Event.COMPLETE)
        registry.settle(job)
    trouble.on_disk("p", None)
    store.written().result()  # the row is read back
    store.written().result()  # and written
    stored = store.find("p").result()
    assert stored is not None and stored.view.warnings == {} and told[-1] == "not_on_disk_over"
    assert (registry.get("p") is None) is let_go


def test_trouble_that_is_over_of_a_job_that_is_gone_is_nothing(registry: Registry, store: Store) -> None:
    Trouble(registry).on_disk("gone", None)
    store.written().result()
    assert registry.get("gone") is None and store.find("gone").result() is None


def test_a_job_deleted_while_it_is_read_does_not_come_back(store: Store) -> None:
    paused = JobView("p", ("p",), State.PAUSED, "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z")
    store.add(paused, REQUEST)
    registry = Registry(store, MemoryRecordings(), Flag())

    async def race() -> None:
        job = await registry.load("p")
        registry._forget(job)  # so that the next reader asks the store, too
        reading = asyncio.create_task(registry.load("p"))
        await asyncio.sleep(0)
        registry.delete(job)
        with pytest.raises(UnknownJob):
            await reading

    asyncio.run(race())
    assert registry.get("p") is None
