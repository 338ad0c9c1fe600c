"""Jobs of other servers in a shared store, and draining this one. On ComfyUI's event loop."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from ..state.sharing.draining import Draining
from ..state.sharing.shared import Shared
from . import parsing

LONGEST_S = 3600.0


class SharingRoutes:
    def __init__(self, shared: Shared, draining: Draining) -> None:
        self._shared = shared
        self._draining = draining

    async def list(self, request: web.Request) -> web.Response:
        parsing.only(request.query, set())
        return web.json_response(await self._shared.listed())

    async def take(self, request: web.Request) -> web.Response:
        parsing.only(await parsing.body(request), set())
        view = await self._shared.take(request.match_info["key"])
        return web.json_response(view.to_json(), status=201)

    async def drain(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"within"})
        within = body.get("within", 25)
        seconds = parsing.number("within", json.dumps(within), 0.1, LONGEST_S)
        return web.json_response((await asyncio.to_thread(self._draining.drain, seconds)).to_json())
