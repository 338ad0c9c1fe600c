"""A job's parameters: read, edit, undo. On ComfyUI's event loop."""

from __future__ import annotations

from aiohttp import web

from ..state.errors import BadRequest
from ..state.services.editing import Editing
from . import parsing


class EditRoutes:
    def __init__(self, editing: Editing) -> None:
        self._editing = editing

    async def read(self, request: web.Request) -> web.Response:
        return web.json_response(await self._editing.params(parsing.job_id(request)))

    async def edit(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"apply"})
        apply = request.query.get("apply", "resume")
        if apply not in ("resume", "next_step"):
            raise BadRequest(f"apply must be resume or next_step, not {apply[:40]!r}.")
        body = await parsing.body(request)
        if not body or not all(isinstance(named, dict) and named for named in body.values()):
            raise BadRequest("The body must be {node_id: {input: value}}.")
        view = await self._editing.put(parsing.job_id(request), body, apply == "next_step")
        return web.json_response(view.to_json())

    async def undo_all(self, request: web.Request) -> web.Response:
        return web.json_response((await self._editing.undo_all(parsing.job_id(request))).to_json())

    async def undo(self, request: web.Request) -> web.Response:
        node_id, name = request.match_info["node_id"], request.match_info["input"]
        return web.json_response((await self._editing.undo(parsing.job_id(request), node_id, name)).to_json())
