"""The REST API's route for what became of the GPU's time. On ComfyUI's event loop."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..state import ledger
from ..state.services.registry import Registry
from . import parsing


class LedgerRoutes:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def read(self, request: web.Request) -> web.Response:
        wanted = parsing.table_format(request)
        for job in self._registry.live():
            self._registry.save_telemetry(job)
        rows = await asyncio.wrap_future(self._registry.store.ledger())
        if wanted == "json":
            return web.json_response(await asyncio.to_thread(ledger.to_json, rows))
        table = await asyncio.to_thread(ledger.to_csv, rows)
        headers = {"Content-Disposition": 'attachment; filename="midrun-ledger.csv"'}
        return web.Response(text=table, content_type="text/csv", charset="utf-8", headers=headers)
