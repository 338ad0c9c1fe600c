"""Which job a fleet gives to which worker, and what becomes of those of lost ones; without Ray."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from midrun.midrun_fleet import commands, driver
from midrun.midrun_fleet.driver import Driver, Lost
from midrun.midrun_fleet.jobs import End, FleetError, Job, Result, variants
from midrun.midrun_fleet.ledger import Ledger

GRAPH = {"1": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 4, "model": ["2", 0]}}}


class Fake:
    """A worker whose runs a test ends."""

    def __init__(self, name: str, ledger: Ledger) -> None:
        self.name = name
        self._ledger = ledger
        self.runs: list[str] = []
        self.paused: list[str] = []
        self.ended = False
        self._end: asyncio.Future[Any] | None = None

    async def ready(self) -> dict[str, Any]:
        return {"node": "here"}

    async def run(self, job_id: str) -> Result:
        job = self._ledger.job(job_id)
        assert job is not None
        self.runs.append(job.name)
        self._end = asyncio.get_running_loop().create_future()
        return await self._end

    def finish(self, end: Result | Exception) -> None:
        assert self._end is not None
        if isinstance(end, Exception):
            self._end.set_exception(end)
        else:
            self._end.set_result(end)
        self._end = None

    @property
    def busy(self) -> bool:
        return self._end is not None

    async def pause(self, job_id: str) -> None:
        self.paused.append(job_id)
        self.finish(Result(End.PAUSED))

    async def drain(self) -> None:
        if self.busy:
            self.finish(Result(End.LET_GO))

    async def end(self) -> None:
        self.ended = True


def list_of(name: str, count: int) -> list[Job]:
    return list(variants(GRAPH, name, count))


async def until(what: Callable[[], Any], told: str) -> None:
    for _ in range(2000):
        if what():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"waited for {told}")


def with_fleet(place: Path, test: Callable[[Driver, list[Fake]], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        ledger = Ledger(f"file://{place.as_posix()}")
        workers = [Fake(f"worker-{number}", ledger) for number in (1, 2)]
        fleet = Driver(list(workers), ledger)
        try:
            await test(fleet, workers)
        finally:
            await fleet.stop()

    asyncio.run(run())


def test_each_worker_has_one_job_and_a_lost_ones_goes_to_another(tmp_path: Path) -> None:
    async def test(fleet: Driver, workers: list[Fake]) -> None:
        one, other = workers
        await fleet.submit(list_of("w", 3))
        await until(lambda: one.busy and other.busy, "both to have one")
        assert sorted(one.runs + other.runs) == ["w 1/3", "w 2/3"]
        other.finish(Result(End.COMPLETED))
        await until(lambda: len(other.runs) == 2, "the third")
        lost = one.runs[0]
        one.finish(Lost("it died"))
        await until(lambda: one.busy, "it to come back")
        assert one.runs == [lost, lost], "it is the next"
        assert fleet.status()["jobs"]["completed"] == 1

    with_fleet(tmp_path, test)


def test_a_paused_job_goes_on_where_it_is_unless_that_worker_is_lost(tmp_path: Path) -> None:
    async def test(fleet: Driver, workers: list[Fake]) -> None:
        one, other = workers
        (job,) = list_of("w", 1)
        await fleet.submit([job])
        await until(lambda: one.busy or other.busy, "one to have it")
        at, free = (one, other) if one.busy else (other, one)
        assert await fleet.pause([]) == 1
        await until(lambda: fleet.status()["jobs"]["paused"] == 1, "the pause")
        assert at.paused == [job.id]
        await fleet.resume([job.id])
        await until(lambda: at.busy, "it to go on there")
        await fleet.pause([job.id])
        await until(lambda: fleet.status()["jobs"]["paused"] == 1, "the pause")
        (second,) = list_of("v", 1)
        await fleet.submit([second])
        await until(lambda: one.busy or other.busy, "the second")
        (at if at.busy else free).finish(Result(End.COMPLETED))
        for worker in workers:  # whoever had it is lost while it is paused
            await fleet._lost(fleet._seats[worker.name], "gone")
        await fleet.resume([job.id])
        await until(lambda: one.busy or other.busy, "any to have it")

    with_fleet(tmp_path, test)


def test_a_drained_worker_gets_nothing_more_and_its_job_is_the_next(tmp_path: Path) -> None:
    async def test(fleet: Driver, workers: list[Fake]) -> None:
        one, other = workers
        await fleet.submit(list_of("w", 3))
        await until(lambda: one.busy and other.busy, "both to have one")
        assert await fleet.drain("worker-1") == ["worker-1"]
        assert one.ended
        other.finish(Result(End.COMPLETED))
        await until(lambda: other.busy, "the next")
        assert other.runs[-1] == one.runs[0] and len(one.runs) == 1
        with pytest.raises(FleetError, match="No worker and no node"):
            await fleet.drain("elsewhere")

    with_fleet(tmp_path, test)


def test_a_worker_that_waits_for_a_machine_holds_no_end_up(tmp_path: Path) -> None:
    class Waiting(Fake):
        async def ready(self) -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

        async def drain(self) -> None:
            await asyncio.Event().wait()

    async def run() -> None:
        ledger = Ledger(f"file://{tmp_path.as_posix()}")
        worker = Waiting("worker-1", ledger)
        fleet = Driver([worker], ledger)
        await until(lambda: fleet.status()["workers"][0]["state"] == "starting", "it to start")
        await asyncio.wait_for(fleet.stop(), 20)
        assert worker.ended

    asyncio.run(run())


def test_a_new_driver_knows_what_was_open_paused_and_over(tmp_path: Path) -> None:
    jobs = list_of("w", 3)
    ledger = Ledger(f"file://{tmp_path.as_posix()}")
    for job in jobs:
        ledger.add(job)
    ledger.pause(jobs[0].id, True)
    ledger.close(jobs[1].id, Result(End.COMPLETED, ("a.png",)))
    assert ledger.result(jobs[1].id) == Result(End.COMPLETED, ("a.png",))

    async def test(fleet: Driver, workers: list[Fake]) -> None:
        await until(lambda: any(one.busy for one in workers), "the open one")
        assert sum((one.runs for one in workers), []) == [jobs[2].name]
        assert [one["id"] for one in fleet.status()["paused"]] == [jobs[0].id]

    with_fleet(tmp_path, test)


def test_a_job_that_loses_every_worker_fails_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "LOSSES", 2)

    async def test(fleet: Driver, workers: list[Fake]) -> None:
        (job,) = list_of("w", 1)
        await fleet.submit([job])
        for _ in range(2):
            await until(lambda: any(one.busy for one in workers), "it to be begun")
            next(one for one in workers if one.busy).finish(Lost("out of memory"))
        await until(lambda: fleet.status()["failed"], "the job to be given up")
        assert "lost 2 times" in fleet.status()["failed"][0]["error"]
        await fleet.resume([job.id])
        await until(lambda: any(one.busy for one in workers), "it to be tried again")
        assert fleet.status()["failed"] == []

    with_fleet(tmp_path, test)


def test_a_worker_in_trouble_gives_its_job_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "REST_S", 60.0)

    async def test(fleet: Driver, workers: list[Fake]) -> None:
        await fleet.submit(list_of("w", 1))
        await until(lambda: any(one.busy for one in workers), "it to be begun")
        first = next(one for one in workers if one.busy)
        first.finish(FleetError("ComfyUI does not start"))
        (other,) = [one for one in workers if one is not first]
        await until(lambda: other.busy, "the other to have it")
        assert "does not start" in fleet.status()["workers"][workers.index(first)]["state"]

    with_fleet(tmp_path, test)


def test_seeds_vary_and_nothing_else_does() -> None:
    jobs = list_of("w", 3)
    assert [job.prompt["1"]["inputs"]["seed"] for job in jobs] == [7, 8, 9]
    assert len({job.id for job in jobs}) == 3 and GRAPH["1"]["inputs"]["seed"] == 7
    linked = {"1": {"class_type": "KSampler", "inputs": {"seed": ["2", 0]}}}
    with pytest.raises(FleetError, match="no seed to vary"):
        list(variants(linked, "w", 2))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "Cannot read"),
        (json.dumps({"nodes": [], "links": []}), "Export"),
        ("[]", "not a workflow in API format"),
        (json.dumps({"1": {"inputs": {}}}), "not a workflow in API format"),
    ],
)
def test_bad_input_is_told_in_a_sentence(tmp_path: Path, capsys: Any, content: str, told: str) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(content)
    assert commands.main(["submit", str(file)]) == 1
    assert told in capsys.readouterr().err
