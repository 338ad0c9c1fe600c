"""The REST API's routes of the lens: what a word, a LoRA or a ControlNet does. On ComfyUI's event loop."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..state.errors import BadRequest
from ..state.lens import Change
from ..state.services.lenses import Lenses
from . import parsing

LONGEST = 1000  # characters of a word or phrase


class LensRoutes:
    def __init__(self, lenses: Lenses) -> None:
        self._lenses = lenses

    async def begin(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"step", "node_id", "input", "without", "value"})
        step = None if body.get("step") is None else parsing.whole("step", body["step"], 1, 2**31)
        lens = await self._lenses.begin(parsing.job_id(request), _change(body), step)
        return web.json_response(lens.to_json(), status=202)

    async def read(self, request: web.Request) -> web.Response:
        return web.json_response((await self._lenses.read(parsing.job_id(request))).to_json())

    async def cancel(self, request: web.Request) -> web.Response:
        return web.json_response((await self._lenses.cancel(parsing.job_id(request))).to_json(), status=202)

    async def picture(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"v"})
        content = await self._lenses.picture(parsing.job_id(request))
        headers = {"Cache-Control": "private, no-cache"}
        return web.Response(body=content, content_type="image/webp", headers=headers)


def _change(body: dict[str, Any]) -> Change:
    node_id, name, word = body.get("node_id"), body.get("input"), body.get("without")
    if not isinstance(node_id, str) or not isinstance(name, str):
        raise BadRequest("node_id and input must name an input of the workflow.")
    if ("without" in body) == ("value" in body):
        raise BadRequest("Either without or value must be given: the word to leave out, or another value.")
    if "value" in body:
        if body["value"] is None:
            raise BadRequest("value must not be null.")
        return Change(node_id, name, value=body["value"])
    if not isinstance(word, str) or not word.strip() or len(word) > LONGEST:
        raise BadRequest(f"without must be a word or a phrase of at most {LONGEST} characters.")
    return Change(node_id, name, parsing.storable(word))
