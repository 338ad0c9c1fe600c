"""The REST API on ComfyUI's event loop: parse, call, JSON. Never blocks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .routes import parsing
from .routes.errors import guarded
from .routes.ports import Latents, Pictures
from .state.errors import BadRequest, Unavailable
from .state.pictures.previews import LABEL
from .state.services.control import Control
from .state.services.editing import Editing
from .state.states import AbortMode, State

MAX_WAIT_S = 30.0
MAX_LIMIT = 500
FOR_EVER = "private, max-age=31536000, immutable"
KEEP_HISTORY = "Midrun.KeepInterruptedHistory"


class Routes:
    """The handlers. `settings(request)` gives the ComfyUI settings of the user who asks."""

    def __init__(
        self,
        control: Control,
        editing: Editing,
        latents: Latents,
        pictures: Pictures,
        settings: Callable[[web.Request], dict[str, Any]],
        usage: Callable[[], dict[str, int]],
    ) -> None:
        self._control = control
        self._editing = editing
        self._latents = latents
        self._pictures = pictures
        self._settings = settings
        self._usage = usage

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/midrun/jobs", guarded(self.jobs)),
            web.get("/midrun/jobs/{id}", guarded(self.job)),
            web.delete("/midrun/jobs/{id}", guarded(self.delete)),
            web.post("/midrun/jobs/{id}/pause", guarded(self.pause)),
            web.post("/midrun/jobs/{id}/resume", guarded(self.resume)),
            web.post("/midrun/jobs/{id}/abort", guarded(self.abort)),
            web.get("/midrun/jobs/{id}/params", guarded(self.params)),
            web.put("/midrun/jobs/{id}/params", guarded(self.put_params)),
            web.delete("/midrun/jobs/{id}/params", guarded(self.undo_all)),
            web.delete("/midrun/jobs/{id}/params/{node_id}/{input}", guarded(self.undo)),
            web.get("/midrun/jobs/{id}/latent", guarded(self.latent)),
            web.get("/midrun/jobs/{id}/preview", guarded(self.preview)),
            web.get("/midrun/jobs/{id}/previews", guarded(self.previews)),
            web.get("/midrun/jobs/{id}/events", guarded(self.events)),
            web.get("/midrun/failures", guarded(self.failures)),
            web.get("/midrun/usage", guarded(self.usage)),
        ]

    async def jobs(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"state", "limit", "before"})
        states = frozenset(parsing.state(name) for name in request.query.get("state", "").split(",") if name)
        limit = parsing.integer("limit", request.query.get("limit", "50"), 1, MAX_LIMIT)
        before = request.query.get("before")
        cursor = None if before is None else parsing.integer("before", before, 0, 2**63 - 1)
        page = await self._control.registry.page(states, limit, cursor)
        following = str(page[-1][0]) if len(page) == limit else None
        return web.json_response({"jobs": [view.to_json() for _, view in page], "next": following})

    async def job(self, request: web.Request) -> web.Response:
        job = await self._control.registry.load(parsing.job_id(request))
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
        keep = self.keeps_history(request)
        view = await self._control.resume(job_id, keep_history=keep, rewritten=rewritten)
        return web.json_response(view.to_json(), status=202)

    async def params(self, request: web.Request) -> web.Response:
        return web.json_response(await self._editing.params(parsing.job_id(request)))

    async def put_params(self, request: web.Request) -> web.Response:
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

    async def abort(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"reason", "mode"})
        reason = body.get("reason")
        if reason is not None and not isinstance(reason, str):
            raise BadRequest("reason must be a text or null.")
        mode = body.get("mode", AbortMode.STOP.value)
        if mode not in ("stop", "finish"):
            raise BadRequest(f'mode must be "stop" or "finish", not {json.dumps(mode)[:40]}.')
        keep = self.keeps_history(request)
        reason = parsing.storable(reason)
        view = await self._control.abort(parsing.job_id(request), AbortMode(mode), reason, keep)
        return web.json_response(view.to_json())

    async def latent(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"node_id", "iteration", "step"})
        step = request.query.get("step")
        number = None if step is None else parsing.integer("step", step, 1, 2**31)
        job = await self._control.registry.load(parsing.job_id(request))
        node_id = request.query.get("node_id")
        where = node_id, number, parsing.iteration(request)
        name, content = await asyncio.to_thread(self._latents.latent, job, *where)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=content, content_type="application/octet-stream", headers=headers)

    async def preview(self, request: web.Request) -> web.StreamResponse:
        wanted = parsing.wanted(request)
        job = await self._control.registry.load(parsing.job_id(request))
        shown = await self._pictures.picture(job, wanted)
        etag = f'"{shown.digest}{"-still" if wanted.still else ""}"'
        this_very = wanted.version == shown.digest
        headers = {"ETag": etag, "Cache-Control": FOR_EVER if this_very else "private, no-cache"}
        headers |= {"Midrun-Label": LABEL} | ({} if shown.step is None else {"Midrun-Step": str(shown.step)})
        if etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=shown.content, content_type="image/webp", headers=headers)

    async def previews(self, request: web.Request) -> web.Response:
        parsing.only(request.query, set())
        job = await self._control.registry.load(parsing.job_id(request))
        listed = await self._pictures.listed(job)
        return web.json_response({"previews": [preview.to_json(job.job_id) for preview in listed]})

    async def failures(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"limit"})
        limit = parsing.integer("limit", request.query.get("limit", "50"), 1, MAX_LIMIT)
        return web.json_response(await asyncio.wrap_future(self._control.registry.store.failures(limit)))

    async def usage(self, request: web.Request) -> web.Response:
        parsing.only(request.query, set())
        counts = await asyncio.wrap_future(self._control.registry.store.counts())
        return web.json_response({"jobs": counts, **await asyncio.to_thread(self._usage)})

    async def events(self, request: web.Request) -> web.Response:
        job = await self._control.registry.load(parsing.job_id(request))
        events = await asyncio.wrap_future(self._control.registry.store.events(job.job_id))
        return web.json_response({"job_id": job.job_id, "events": events})

    def keeps_history(self, request: web.Request) -> bool:
        return self._settings(request).get(KEEP_HISTORY) is True


def unavailable() -> list[web.RouteDef]:
    """What answers when Midrun could not start."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise Unavailable("Midrun could not open its directory when ComfyUI started; ComfyUI's log says why.")

    return [web.route("*", "/midrun/{path:.*}", guarded(refuse))]
