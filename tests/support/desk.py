"""Midrun without ComfyUI: real jobs, a real store, and a prompt queue that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from midrun.state.job.job import Job
from midrun.state.job.request import Request
from midrun.state.job.transitions import Event
from midrun.state.recording.memory import MemoryRecordings
from midrun.state.services.control import Control, PreparedRun, Presence, Where
from midrun.state.services.registry import Registry
from midrun.state.states import QueuePolicy
from midrun.state.store.store import Store
from midrun.state.workflow.instrument import Instruments
from test_job import Flag, enter, seen

GRAPH = Request({"3": {"class_type": "MidrunKSampler"}}, {"client_id": "c"})
RUNNING, WAITING, ABSENT = (Presence(where) for where in (Where.RUNNING, Where.WAITING, Where.ABSENT))


class FakeQueue:
    """ComfyUI's queue. Prompts are where the test puts them; every run is refused with `refuses`."""

    def __init__(self) -> None:
        self.places: dict[str, Presence] = {}
        self.requests: dict[str, Request] = {}
        self.runs: list[tuple[str, tuple[str, ...]]] = []
        self.cancelled: list[str] = []
        self.refuses: BaseException | None = None
        self.meanwhile: Callable[[], Any] = lambda: None  # happens while a run is validated
        self.known: Callable[[str], Any] = lambda prompt_id: None

    def presence(self, prompt_ids: list[str]) -> dict[str, Presence]:
        return {prompt_id: self.places.get(prompt_id, ABSENT) for prompt_id in prompt_ids}

    def queued_request(self, prompt_id: str) -> Request | None:
        return self.requests.get(prompt_id)

    async def prepare(self, job_id: str, request: Request, sampler: str | None) -> PreparedRun:
        await asyncio.sleep(0)
        self.meanwhile()
        if self.refuses is not None:
            raise self.refuses
        return PreparedRun(f"{job_id}-{len(self.runs) + 2}", request)

    def put(self, run: PreparedRun, forget: tuple[str, ...]) -> None:
        assert self.known(run.prompt_id), "the worker may start a run as soon as it is put"
        self.runs.append((run.prompt_id, forget))
        self.places[run.prompt_id] = WAITING

    def cancel(self, prompt_id: str) -> None:
        self.cancelled.append(prompt_id)


class NoKinds:
    """Nothing is known of any node."""

    def types(self, class_type: str) -> tuple[dict[str, str], tuple[str, ...]]:
        return {}, ()

    def lazy(self, class_type: str) -> frozenset[str]:
        return frozenset()

    def saves(self, class_type: str) -> bool:
        return False

    def ends_loop(self, class_type: str) -> bool:
        return False


class Desk:
    """Everything but ComfyUI."""

    def __init__(self, store: Store) -> None:
        self.registry = Registry(store, MemoryRecordings(), Flag())
        self.queue = FakeQueue()
        self.queue.known = self.registry.get
        self.control = Control(
            self.registry,
            self.queue,
            Instruments(NoKinds(), lambda: False),
        )

    def running(self, prompt_id: str = "p") -> Job:
        job = self.registry.add(prompt_id, GRAPH, QueuePolicy.AUTO)
        assert job is not None
        self.queue.places[prompt_id] = RUNNING
        job.runs.enter_queue()
        enter(job, prompt_id, "3", 10, QueuePolicy.AUTO)
        job.call.stepped(seen(1), True, 0)
        return job

    def held(self, prompt_id: str = "p") -> Job:
        job = self.running(prompt_id)
        job.pause()
        job.worker.stopped(True, {})
        return job

    def parked(self, prompt_id: str = "p") -> Job:
        return self.park(self.running(prompt_id))

    def park(self, job: Job) -> Job:
        job.runs.start(job.prompt_id)
        job.pause()
        job.worker.stopped(True, {}, park=True)
        job.call.leave()
        job.runs.end(job.prompt_id, Event.ABORT)
        del self.queue.places[job.prompt_id]
        return job


@contextmanager
def open_desk(directory: Path) -> Iterator[Desk]:
    store = Store(directory / "midrun.db")
    yield Desk(store)
    store.close()
