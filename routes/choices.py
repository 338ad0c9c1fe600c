"""What a job goes on with is chosen, and looked at before. On ComfyUI's event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ..state.choice import MOST
from ..state.errors import BadRequest, NoPreview
from ..state.services.choosing import Choosing
from ..state.services.numbered_pictures import NumberedPictures
from ..state.services.registry import Registry
from . import parsing
from .pictures import FOR_EVER
from .ports import KeepsHistory


class ChoiceRoutes:
    def __init__(
        self, registry: Registry, choosing: Choosing, files: NumberedPictures, keeps_history: KeepsHistory
    ) -> None:
        self._registry = registry
        self._choosing = choosing
        self._files = files
        self._keeps_history = keeps_history

    async def choose(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"chosen", "mask"})
        chosen, mask = _chosen(body.get("chosen")), body.get("mask")
        if mask is not None and not isinstance(mask, str):
            raise BadRequest("mask must be the name of a picture in ComfyUI's input folder, or null.")
        keep = self._keeps_history(request)
        view = await self._choosing.choose(parsing.job_id(request), chosen, parsing.storable(mask), keep)
        return web.json_response(view.to_json(), status=202)

    async def picture(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"v"})
        number = parsing.integer("number", request.match_info["number"], 1, MOST)
        job = await self._registry.load(parsing.job_id(request))
        choice = job.view().choice
        if choice is None or not choice.version:
            raise NoPreview(job.job_id, "it does not wait for a choice now.")
        content = await asyncio.to_thread(self._files.read, job.job_id, number)
        if content is None:
            raise NoPreview(job.job_id, f"there is no number {number} to choose, or its file is gone.")
        lasts = FOR_EVER if request.query.get("v") == choice.version else "private, no-cache"
        return web.Response(body=content, content_type="image/webp", headers={"Cache-Control": lasts})


def _chosen(given: Any) -> list[int] | str:
    if isinstance(given, str):
        return given
    if not isinstance(given, list) or len(given) > MOST:
        raise BadRequest('chosen must be a list of numbers from 1, or "all", "none" or "first".')
    return [parsing.whole("chosen", one, 1, MOST) for one in given]
