"""The REST API's route for what was measured of a job's steps. On ComfyUI's event loop."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..state.server_directory import directory_name
from ..state.services.registry import Registry
from ..state.telemetry import to_csv
from . import parsing


class TelemetryRoutes:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def read(self, request: web.Request) -> web.Response:
        wanted = parsing.table_format(request)
        job = await self._registry.load(parsing.job_id(request))
        self._registry.save_telemetry(job)
        rows = await asyncio.wrap_future(self._registry.store.telemetry(job.job_id))
        if wanted == "json":
            return web.json_response({"telemetry": [row.to_json() for row in rows]})
        name = f"midrun-{directory_name(job.job_id).lstrip('=')}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(text=to_csv(rows), content_type="text/csv", charset="utf-8", headers=headers)
