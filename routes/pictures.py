"""What is seen of a step: its latent, its preview. On ComfyUI's event loop."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..state.pictures.fitting import at_most
from ..state.pictures.previews import LABEL
from ..state.services.registry import Registry
from . import parsing
from .ports import Latents, Pictures

FOR_EVER = "private, max-age=31536000, immutable"


class PictureRoutes:
    def __init__(self, registry: Registry, latents: Latents, pictures: Pictures) -> None:
        self._registry = registry
        self._latents = latents
        self._pictures = pictures

    async def latent(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"node_id", "iteration", "step"})
        step = request.query.get("step")
        number = None if step is None else parsing.integer("step", step, 1, 2**31)
        job = await self._registry.load(parsing.job_id(request))
        node_id = request.query.get("node_id")
        where = node_id, number, parsing.iteration(request)
        name, content = await asyncio.to_thread(self._latents.latent, job, *where)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=content, content_type="application/octet-stream", headers=headers)

    async def preview(self, request: web.Request) -> web.StreamResponse:
        wanted, size = parsing.wanted(request), parsing.size(request)
        job = await self._registry.load(parsing.job_id(request))
        shown = await self._pictures.picture(job, wanted)
        etag = f'"{shown.digest}{"-still" if wanted.still else ""}{f"-{size}" if size else ""}"'
        this_very = wanted.version == shown.digest
        headers = {"ETag": etag, "Cache-Control": FOR_EVER if this_very else "private, no-cache"}
        headers |= {"Midrun-Label": LABEL} | ({} if shown.step is None else {"Midrun-Step": str(shown.step)})
        if etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        content = await asyncio.to_thread(at_most, shown.content, size) if size else shown.content
        return web.Response(body=content, content_type="image/webp", headers=headers)

    async def previews(self, request: web.Request) -> web.Response:
        parsing.only(request.query, set())
        job = await self._registry.load(parsing.job_id(request))
        listed = await self._pictures.listed(job)
        return web.json_response({"previews": [preview.to_json(job.job_id) for preview in listed]})
