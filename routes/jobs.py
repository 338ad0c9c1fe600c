"""Jobs: list, read, pause, resume, abort, delete; failures and disk usage. On ComfyUI's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from ..state.services.control import Control
from ..state.services.editing import Editing
from ..state.states import State
from . import parsing
from .ports import KeepsHistory

MAX_WAIT_S = 30.0
MAX_LIMIT = 500


class JobRoutes:
    def __init__(
        self,
        control: Control,
        editing: Editing,
        keeps_history: KeepsHistory,
        usage: Callable[[], dict[str, int]],
    ) -> None:
        self._control = control
        self._editing = editing
        self._keeps_history = keeps_history
        self._usage = usage

    async def list(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"state", "limit", "before", "grid"})
        states = frozenset(parsing.state(name) for name in request.query.get("state", "").split(",") if name)
        limit = parsing.integer("limit", request.query.get("limit", "50"), 1, MAX_LIMIT)
        before = request.query.get("before")
        cursor = None if before is None else parsing.integer("before", before, 0, 10**18 - 1)
        if "grid" in request.query:
            views = await self._control.registry.related("grid", request.query["grid"])
            return web.json_response({"jobs": [view.to_json() for view in views], "next": None})
        page = await self._control.registry.page(states, limit, cursor)
        following = str(page[-1][0]) if len(page) == limit else None
        return web.json_response({"jobs": [view.to_json() for _, view in page], "next": following})

    async def get(self, request: web.Request) -> web.Response:
        registry = self._control.registry
        job = await registry.look_around(await registry.load(parsing.job_id(request)))
        return web.json_response(job.view().to_json())

    async def delete(self, request: web.Request) -> web.Response:
        await self._control.delete(parsing.job_id(request))
        return web.Response(status=204)

    async def pause(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"wait"})
        parsing.only(await parsing.body(request), set())
        wait = parsing.number("wait", request.query.get("wait", "0"), 0, MAX_WAIT_S)
        view = await self._control.pause(parsing.job_id(request), wait)
        return web.json_response(view.to_json(), status=200 if view.state is State.PAUSED else 202)

    async def resume(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"prompt"})
        job_id = parsing.job_id(request)
        rewritten = await self._editing.rewritten(job_id, body["prompt"]) if "prompt" in body else None
        keep = self._keeps_history(request)
        view = await self._control.resume(job_id, keep_history=keep, rewritten=rewritten)
        return web.json_response(view.to_json(), status=202)

    async def abort(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        mode, reason = parsing.ending(body)
        keep = self._keeps_history(request)
        view = await self._control.abort(parsing.job_id(request), mode, reason, keep)
        return web.json_response(view.to_json())

    async def events(self, request: web.Request) -> web.Response:
        job = await self._control.registry.load(parsing.job_id(request))
        events = await asyncio.wrap_future(self._control.registry.store.events(job.job_id))
        return web.json_response({"job_id": job.job_id, "events": events})

    async def failures(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"limit"})
        limit = parsing.integer("limit", request.query.get("limit", "50"), 1, MAX_LIMIT)
        return web.json_response(await asyncio.wrap_future(self._control.registry.store.failures(limit)))

    async def usage(self, request: web.Request) -> web.Response:
        parsing.only(request.query, set())
        store = self._control.registry.store
        counts = await asyncio.wrap_future(store.counts())
        told = {"jobs": counts, "spared_s": round(await asyncio.wrap_future(store.spared_s()), 3)}
        return web.json_response(told | await asyncio.to_thread(self._usage))
