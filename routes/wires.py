"""What stands on the wires where a job is paused, as pictures. On ComfyUI's event loop."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..state.errors import NoPreview
from ..state.services.numbered_pictures import NumberedPictures
from ..state.services.registry import Registry
from . import parsing
from .pictures import FOR_EVER

MOST = 1000  # wires into a node


class WireRoutes:
    def __init__(self, registry: Registry, files: NumberedPictures) -> None:
        self._registry = registry
        self._files = files

    async def picture(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"v"})
        number = parsing.integer("number", request.match_info["number"], 1, MOST)
        job = await self._registry.load(parsing.job_id(request))
        wires = job.view().wires
        if wires is None:
            raise NoPreview(job.job_id, "it is not paused before a node, or nothing is known of its wires.")
        if number > len(wires.values) or not wires.values[number - 1].pictured:
            raise NoPreview(job.job_id, f"what stands on wire {number} is no picture.")
        content = await asyncio.to_thread(self._files.read, job.job_id, number)
        if content is None:
            raise NoPreview(job.job_id, "its file is gone.")
        lasts = FOR_EVER if request.query.get("v") == wires.version else "private, no-cache"
        return web.Response(body=content, content_type="image/webp", headers={"Cache-Control": lasts})
