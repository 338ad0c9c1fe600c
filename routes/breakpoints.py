"""The REST API's routes for breakpoints. On ComfyUI's event loop."""

from __future__ import annotations

from aiohttp import web

from ..state.breakpoints.breakpoints import parsed
from ..state.job.view import JobView
from ..state.services.registry import Registry
from . import parsing


class BreakpointRoutes:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def read(self, request: web.Request) -> web.Response:
        job = await self._registry.load(parsing.job_id(request))
        return _told(job.view())

    async def replace(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"breakpoints"})
        breakpoints = parsed(body.get("breakpoints"))
        job = await self._registry.load(parsing.job_id(request))
        return _told(job.set_breakpoints(breakpoints))

    async def clear(self, request: web.Request) -> web.Response:
        job = await self._registry.load(parsing.job_id(request))
        return _told(job.set_breakpoints(()))


def _told(view: JobView) -> web.Response:
    return web.json_response({"breakpoints": [breakpoint.to_json() for breakpoint in view.breakpoints]})
