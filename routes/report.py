"""The REST API's route for a job's report. On ComfyUI's event loop."""

from __future__ import annotations

from aiohttp import web

from ..state.server_directory import directory_name
from ..state.services.reporting import Reporting
from . import parsing


class ReportRoutes:
    def __init__(self, reporting: Reporting) -> None:
        self._reporting = reporting

    async def read(self, request: web.Request) -> web.Response:
        parsing.only(request.query, set())
        job_id, content = await self._reporting.page(parsing.job_id(request))
        name = f"midrun-{directory_name(job_id).lstrip('=')}.html"
        headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "no-store"}
        headers["Content-Security-Policy"] = (
            "sandbox allow-scripts"  # a page of its own, not one of ComfyUI's
        )
        return web.Response(body=content, content_type="text/html", charset="utf-8", headers=headers)
