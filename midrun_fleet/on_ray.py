"""The fleet's actors: Ray places them, restarts them, and tells who is lost.

One detached actor is the driver, one for each GPU a worker. Raises FleetError where there is no cluster or
no fleet.
"""

from __future__ import annotations

import logging
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from .driver import Driver, Lost
from .jobs import FleetError, Job, Result, Setup
from .ledger import Ledger
from .worker import Worker

NAMESPACE, DRIVER = "midrun", "driver"


@ray.remote(max_restarts=-1, concurrency_groups={"control": 4})
class WorkerActor(Worker):
    """`ready` is repeated after a restart; `run` is not, as any free worker can go on with the job."""

    @ray.method(concurrency_group="control", max_task_retries=-1)
    def ready(self) -> dict[str, Any]:
        return super().ready() | {"node": ray.util.get_node_ip_address()}

    @ray.method(concurrency_group="control")
    def pause(self, job_id: str) -> None:
        super().pause(job_id)

    @ray.method(concurrency_group="control")
    def drain(self) -> None:
        super().drain()


class Handle:
    """A worker, begun where Ray has room for it, or the one of that name that is there already."""

    def __init__(self, setup: Setup, name: str) -> None:
        self.name = name
        options: dict[str, Any] = {"name": name, "namespace": NAMESPACE, "lifetime": "detached"}
        options |= {"num_gpus": setup.gpus, "num_cpus": setup.cpus, "get_if_exists": True}
        actor: Any = WorkerActor  # made so by the decorator
        self._actor = actor.options(**options).remote(setup, name)

    async def ready(self) -> dict[str, Any]:
        return await self._answer(self._actor.ready.remote())

    async def run(self, job_id: str) -> Result:
        return await self._answer(self._actor.run.remote(job_id))

    async def pause(self, job_id: str) -> None:
        await self._answer(self._actor.pause.remote(job_id))

    async def drain(self) -> None:
        await self._answer(self._actor.drain.remote())

    async def end(self) -> None:
        ray.kill(self._actor)

    async def _answer(self, asked: Any) -> Any:
        try:
            return await asked
        except RayTaskError as error:
            raise FleetError(str(error.cause)) from error
        except RayActorError as error:
            raise Lost(str(error).partition("\n")[0]) from error


@ray.remote(max_restarts=-1, num_cpus=0)
class DriverActor:
    """Begins anew with the same arguments; the workers go on meanwhile."""

    def __init__(self, setup: Setup, workers: int) -> None:
        logging.basicConfig(level=logging.INFO)
        handles = [Handle(setup, f"worker-{number + 1}") for number in range(workers)]
        self._driver = Driver(list(handles), Ledger(setup.store))

    async def submit(self, jobs: list[Job]) -> None:
        await self._driver.submit(jobs)

    async def status(self) -> dict[str, Any]:
        return self._driver.status()

    async def pause(self, ids: list[str]) -> int:
        return await self._driver.pause(ids)

    async def resume(self, ids: list[str]) -> int:
        return await self._driver.resume(ids)

    async def drain(self, place: str) -> list[str]:
        return await self._driver.drain(place)

    async def stop(self) -> None:
        await self._driver.stop()


def connect() -> None:
    """To the cluster of this machine, or of RAY_ADDRESS."""
    try:
        ray.init("auto", namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError) as error:  # the latter where it is there, and does not answer
        told = "No Ray answers here. Begin with `ray start --head`, or set RAY_ADDRESS."
        raise FleetError(told) from error


def start(setup: Setup, workers: int) -> None:
    if _driver() is not None:
        raise FleetError("A fleet is running already. `stop` ends it.")
    Ledger(setup.store)  # what is wrong with the store is told here
    actor: Any = DriverActor  # made so by the decorator
    driver = actor.options(name=DRIVER, namespace=NAMESPACE, lifetime="detached").remote(setup, workers)
    ask(driver, "status")


def ask(driver: Any, verb: str, *given: Any) -> Any:
    try:
        return ray.get(getattr(driver, verb).remote(*given))
    except RayTaskError as error:
        raise FleetError(str(error.cause)) from error
    except RayActorError as error:
        raise FleetError(f"The driver does not answer; try again. {error}".partition("\n")[0]) from error


def driver() -> Any:
    found = _driver()
    if found is None:
        raise FleetError("No fleet is running here. `start` begins one.")
    return found


def stop() -> None:
    """Jobs that are not over stay in the store, for the next fleet with it."""
    found = driver()
    ask(found, "stop")
    ray.kill(found)


def _driver() -> Any:
    try:
        return ray.get_actor(DRIVER, NAMESPACE)
    except ValueError:
        return None
