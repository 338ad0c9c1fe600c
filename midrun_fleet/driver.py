"""Gives open jobs to free workers, one each, and lost ones to others. asyncio; knows nothing of Ray.

What it knows is in the ledger, too, so it may die at any moment and begin anew.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from dataclasses import dataclass, field
from typing import Any, Protocol

from .jobs import FINAL, End, FleetError, Job, Result
from .ledger import Ledger

log = logging.getLogger(__name__)
LOSSES = 20  # of the workers of one job, until the job is to blame
REST_S = 15.0  # of a worker that is in trouble
AGAIN_S = 2.0  # until a job is offered again that another server has
AT_ONCE = 16  # requests to the store
TOLD = 20  # failed jobs in the status


class Lost(Exception):
    """The worker died, or cannot be reached; it may come back."""


class AWorker(Protocol):
    """Methods raise Lost or FleetError. ready: waits as long as it takes."""

    name: str

    async def ready(self) -> dict[str, Any]: ...
    async def run(self, job_id: str) -> Result: ...
    async def pause(self, job_id: str) -> None: ...
    async def drain(self) -> None: ...
    async def end(self) -> None: ...


@dataclass
class Known:
    """name: for people, or its id; at: the worker that has it, where it is paused; losses: of its workers"""

    id: str
    name: str
    at: str | None = None
    losses: int = 0


@dataclass
class Seat:
    """A worker as the driver sees it."""

    worker: AWorker
    state: str = "starting"
    told: dict[str, Any] = field(default_factory=dict)
    job: Known | None = None
    drained: bool = False


class Driver:
    """Made where an event loop runs."""

    def __init__(self, workers: list[AWorker], ledger: Ledger) -> None:
        self._ledger = ledger
        self._seats = {one.name: Seat(one) for one in workers}
        self._queue: collections.deque[Known] = collections.deque()
        self._paused: dict[str, Known] = {}
        self._to_pause: set[str] = set()
        self._failed: dict[str, tuple[Known, str]] = {}
        self._ends: collections.Counter[End] = collections.Counter()
        self._changed = asyncio.Condition()
        self._restored = asyncio.Event()
        self._tasks = [asyncio.ensure_future(self._restore())]
        self._tasks += [asyncio.ensure_future(self._serve(seat)) for seat in self._seats.values()]

    # -- for people ------------------------------------------------------------------------------------

    async def submit(self, jobs: list[Job]) -> None:
        """Returns once the ledger has them."""
        await self._restored.wait()
        for some in (jobs[start : start + AT_ONCE] for start in range(0, len(jobs), AT_ONCE)):
            await asyncio.gather(*(asyncio.to_thread(self._ledger.add, job) for job in some))
        self._queue.extend(Known(job.id, job.name) for job in jobs)
        await self._tell()

    def status(self) -> dict[str, Any]:
        seats = [
            {"name": name, "state": seat.state, "job": seat.job and seat.job.name} | seat.told
            for name, seat in self._seats.items()
        ]
        running = sum(seat.job is not None for seat in self._seats.values())
        counts = {"queued": len(self._queue), "running": running, "paused": len(self._paused)}
        counts |= {end.value: self._ends[end] for end in FINAL}
        failed = [{"id": id, "name": one.name, "error": told} for id, (one, told) in self._failed.items()]
        paused = [{"id": id, "name": one.name} for id, one in self._paused.items()]
        return {"workers": seats, "jobs": counts, "failed": failed[:TOLD], "paused": paused[:TOLD]}

    async def pause(self, ids: list[str]) -> int:
        """These jobs, or all; how many."""
        wanted = set(ids) or self._ids()
        self._refuse_unknown(wanted - self._ids())
        queued = [one for one in self._queue if one.id in wanted]
        self._queue = collections.deque(one for one in self._queue if one.id not in wanted)
        for known in queued:
            await self._set_aside(known)
        running = [seat for seat in self._seats.values() if seat.job and seat.job.id in wanted]
        self._to_pause |= {seat.job.id for seat in running if seat.job}
        await asyncio.gather(*(self._pause(seat) for seat in running))
        return len(queued) + len(running)

    async def resume(self, ids: list[str]) -> int:
        """These paused or failed jobs, or all paused ones; how many."""
        wanted = set(ids) or set(self._paused)
        self._refuse_unknown(wanted - set(self._paused) - set(self._failed))
        for job_id in sorted(wanted):
            if job_id in self._failed:
                known, _ = self._failed.pop(job_id)
                await asyncio.to_thread(self._ledger.open_again, job_id)
                known.losses = 0
            else:
                known = self._paused.pop(job_id)
                await asyncio.to_thread(self._ledger.pause, job_id, False)
            self._queue.append(known)
        await self._tell()
        return len(wanted)

    async def drain(self, place: str) -> list[str]:
        """The workers of a node, or one; their jobs go on elsewhere. Raises FleetError."""
        seats = [seat for name, seat in self._seats.items() if place in (name, seat.told.get("node"))]
        if not seats:
            raise FleetError(f"No worker and no node is called {place}.")
        await self._drained(seats)
        return [seat.worker.name for seat in seats]

    async def stop(self) -> None:
        """All workers are drained."""
        await self._drained(list(self._seats.values()))

    # -- inside ----------------------------------------------------------------------------------------

    async def _restore(self) -> None:
        """What was open when a driver ended."""
        while not self._restored.is_set():
            try:
                paused = await asyncio.to_thread(self._ledger.paused)
                ids = await asyncio.to_thread(self._ledger.open_jobs)
            except Exception as error:  # noqa: BLE001  a store raises what it likes
                log.warning("The store does not tell which jobs are open", exc_info=error)
                await asyncio.sleep(REST_S)
                continue
            self._paused |= {one: Known(one, one) for one in ids if one in paused}
            self._queue.extend(Known(one, one) for one in ids if one not in paused)
            self._restored.set()
        await self._tell()

    async def _serve(self, seat: Seat) -> None:
        """One worker, as long as there is a fleet."""
        while not seat.drained:
            try:
                await self._turn(seat)
            except Exception as error:  # noqa: BLE001  a store raises what it likes; the job is not to be lost
                log.warning("%s is in trouble", seat.worker.name, exc_info=error)
                seat.state = f"in trouble: {error}"
                await self._give_back(seat)
                await asyncio.sleep(REST_S)
            finally:
                seat.job = None
        seat.state = "drained"

    async def _turn(self, seat: Seat) -> None:
        """One job of it."""
        try:
            seat.state = "starting"
            seat.told = await seat.worker.ready()
            seat.state = "free"
            seat.job = await self._next(seat)
            if seat.job is not None:
                seat.state = "running"
                await self._place(seat, seat.job, await seat.worker.run(seat.job.id))
        except Lost as error:
            if seat.job is None and not seat.drained:  # somebody ended it for good
                raise
            await self._lost(seat, str(error))

    async def _next(self, seat: Seat) -> Known | None:
        """The first job that is not tied to another worker; None once the worker is drained."""
        async with self._changed:
            while not seat.drained:
                for known in self._queue:
                    if known.at in (None, seat.worker.name):
                        self._queue.remove(known)
                        return known
                await self._changed.wait()
        return None

    async def _place(self, seat: Seat, known: Known, result: Result) -> None:
        """What becomes of a job that its worker has nothing left to do with."""
        known.at = None
        job_id = known.id
        if result.end in FINAL:
            self._to_pause.discard(job_id)
            self._ends[result.end] += 1
            if result.end is End.FAILED:
                self._failed[job_id] = known, result.error or ""
        elif result.end is End.PAUSED:
            known.at = seat.worker.name
            await self._set_aside(known)
        elif result.end is End.ELSEWHERE:
            await asyncio.sleep(AGAIN_S)
            await self._tell(known)
        else:
            await self._give_back(seat)

    async def _lost(self, seat: Seat, told: str) -> None:
        log.warning("%s was lost: %s", seat.worker.name, told)
        known = seat.job
        for other in (*self._queue, *self._paused.values()):
            other.at = None if other.at == seat.worker.name else other.at
        if known is not None:
            known.losses += 1
            if known.losses >= LOSSES:
                error = f"Its worker was lost {LOSSES} times."
                await asyncio.to_thread(self._ledger.close, known.id, Result(End.FAILED, error=error))
                await self._place(seat, known, Result(End.FAILED, error=error))
            else:
                await self._give_back(seat)

    async def _give_back(self, seat: Seat) -> None:
        """Its job is the next for whoever is free."""
        if seat.job is None:
            return
        if seat.job.id in self._to_pause:
            await self._set_aside(seat.job)
        else:
            self._queue.appendleft(seat.job)
            await self._tell()

    async def _set_aside(self, known: Known) -> None:
        self._to_pause.discard(known.id)
        self._paused[known.id] = known
        try:
            await asyncio.to_thread(self._ledger.pause, known.id, True)
        except Exception as error:  # noqa: BLE001  only a driver that begins anew would miss it
            log.warning("The store does not know that job %s is paused", known.id, exc_info=error)

    async def _pause(self, seat: Seat) -> None:
        try:
            if seat.job is not None:
                await seat.worker.pause(seat.job.id)
        except (Lost, FleetError) as error:
            log.warning("%s does not pause: %s", seat.worker.name, error)

    async def _drained(self, seats: list[Seat]) -> None:
        answering = [seat for seat in seats if seat.state in ("free", "running")]
        for seat in seats:
            seat.drained, seat.state = True, "drained"
        await self._tell()
        await asyncio.gather(*(self._drain(seat) for seat in answering))
        await asyncio.gather(*(seat.worker.end() for seat in seats))

    async def _drain(self, seat: Seat) -> None:
        try:
            await seat.worker.drain()
        except (Lost, FleetError) as error:
            log.warning("%s does not drain: %s", seat.worker.name, error)

    async def _tell(self, known: Known | None = None) -> None:
        """There may be something for who waits. known: a job that is at the end of the queue from now on"""
        if known is not None:
            self._queue.append(known)
        async with self._changed:
            self._changed.notify_all()

    def _ids(self) -> set[str]:
        running = {seat.job.id for seat in self._seats.values() if seat.job}
        return running | {one.id for one in self._queue}

    def _refuse_unknown(self, ids: set[str]) -> None:
        if ids:
            raise FleetError(f"Not possible now for {', '.join(sorted(ids))}: see `status`.")
