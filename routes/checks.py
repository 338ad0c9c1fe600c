"""The REST API's routes of checks. On ComfyUI's event loop."""

from __future__ import annotations

from aiohttp import web

from ..state.errors import BadRequest
from ..state.services.checking import Checks
from . import parsing

STEPS = ("all", "few")


class CheckRoutes:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    async def begin(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"steps"})
        steps = body.get("steps", "all")
        if steps not in STEPS:
            raise BadRequest('steps must be "all", or "few" for the first, the middle and the last.')
        check = await self._checks.begin(parsing.job_id(request), steps == "few")
        return web.json_response(check.to_json(), status=202)

    async def read(self, request: web.Request) -> web.Response:
        return web.json_response((await self._checks.read(parsing.job_id(request))).to_json())

    async def cancel(self, request: web.Request) -> web.Response:
        return web.json_response((await self._checks.cancel(parsing.job_id(request))).to_json(), status=202)
