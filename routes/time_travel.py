"""The REST API's routes through a job's time: step, rewind, fork, more. On ComfyUI's event loop."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..state.errors import BadRequest
from ..state.services.control import Control
from ..state.services.more_steps import MoreSteps
from ..state.services.time_travel import TimeTravel
from . import parsing
from .ports import KeepsHistory

MOST_STEPS = 10000


class TravelRoutes:
    def __init__(
        self, control: Control, travel: TimeTravel, more: MoreSteps, keeps_history: KeepsHistory
    ) -> None:
        self._control = control
        self._travel = travel
        self._more = more
        self._keeps_history = keeps_history

    async def step(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"count"})
        count = parsing.whole("count", body.get("count", 1), -MOST_STEPS, MOST_STEPS)
        if count == 0:
            raise BadRequest("count must not be 0. A positive count steps forward, a negative one goes back.")
        any_id = parsing.job_id(request)
        if count < 0:
            return web.json_response((await self._travel.rewind(any_id, count)).to_json(), status=202)
        view = await self._control.resume(any_id, count, self._keeps_history(request))
        return web.json_response(view.to_json(), status=202)

    async def rewind(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"step", "node_id", "iteration", "params"})
        step = parsing.whole("step", body.get("step"), 0, 2**31)
        params = _by_input("params", body.get("params", {}))
        any_id, where = parsing.job_id(request), (_node_id(body), _iteration(body))
        view = await self._travel.rewind(any_id, step, *where, params)
        return web.json_response(view.to_json())

    async def restore(self, request: web.Request) -> web.Response:
        return web.json_response((await self._travel.restore(parsing.job_id(request))).to_json())

    async def fork(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"step", "node_id", "iteration", "params", "count", "vary"})
        views = await self._travel.fork(
            parsing.job_id(request),
            parsing.whole("step", body.get("step"), 0, 2**31),
            _node_id(body),
            _by_input("params", body.get("params", {})),
            _vary(body.get("vary", {})),
            parsing.whole("count", body.get("count", 1), 1, MOST_STEPS),
            _iteration(body),
        )
        return web.json_response({"jobs": [view.to_json() for view in views]}, status=202)

    async def more(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"steps"})
        count = parsing.whole("steps", body.get("steps"), 1, MOST_STEPS)
        view = await self._more.more(parsing.job_id(request), count)
        return web.json_response(view.to_json(), status=202)


def _node_id(body: dict[str, Any]) -> str | None:
    node_id = body.get("node_id")
    if node_id is not None and not isinstance(node_id, str):
        raise BadRequest("node_id must be a text.")
    return node_id


def _iteration(body: dict[str, Any]) -> int | None:
    iteration = body.get("iteration")
    return None if iteration is None else parsing.whole("iteration", iteration, 1, 2**31)


def _by_input(name: str, value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(named, dict) and named for named in value.values()):
        raise BadRequest(f"{name} must be {{node_id: {{input: value}}}}.")
    return value


def _vary(value: Any) -> dict[str, dict[str, list[Any]]]:
    vary = _by_input("vary", value)
    if not all(isinstance(values, list) and values for named in vary.values() for values in named.values()):
        raise BadRequest("vary must be {node_id: {input: [values]}}.")
    return vary
