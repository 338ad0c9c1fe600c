"""The REST API and the ears of Midrun on ComfyUI's event loop: parse, call, JSON. Never blocks.

Whatever a client sends is data: an id is looked up, never made into a path, a query or HTML.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import math
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import Any, Protocol

from aiohttp import web

from .state.control import Control
from .state.editing import Editing
from .state.errors import BadRequest, IllegalTransition, InvalidParams, MidrunError, TooLarge, Unavailable
from .state.job import Job
from .state.request import Request
from .state.view import AbortMode, QueuePolicy, State

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY = 4 * 1024 * 1024
MAX_WAIT_S = 30.0
MAX_LIMIT = 500
KEEP_HISTORY = "Midrun.KeepInterruptedHistory"
STATUS = {
    "unknown_job": 404,
    "no_latent": 404,
    "illegal_transition": 409,
    "too_large": 413,
    "invalid_params": 422,
    "unavailable": 503,
}


class Latents(Protocol):
    """Gives out what was recorded as ComfyUI's latent files."""

    def latent(self, job: Job, node_id: str | None, step: int | None) -> tuple[str, bytes]: ...


class Routes:
    """The handlers. `settings(request)` gives the ComfyUI settings of the user who asks."""

    def __init__(
        self,
        control: Control,
        editing: Editing,
        latents: Latents,
        settings: Callable[[web.Request], dict[str, Any]],
    ) -> None:
        self._control = control
        self._editing = editing
        self._latents = latents
        self._settings = settings

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/midrun/jobs", _guarded(self.jobs)),
            web.get("/midrun/jobs/{id}", _guarded(self.job)),
            web.delete("/midrun/jobs/{id}", _guarded(self.delete)),
            web.post("/midrun/jobs/{id}/pause", _guarded(self.pause)),
            web.post("/midrun/jobs/{id}/resume", _guarded(self.resume)),
            web.post("/midrun/jobs/{id}/step", _guarded(self.step)),
            web.post("/midrun/jobs/{id}/abort", _guarded(self.abort)),
            web.get("/midrun/jobs/{id}/params", _guarded(self.params)),
            web.put("/midrun/jobs/{id}/params", _guarded(self.put_params)),
            web.delete("/midrun/jobs/{id}/params", _guarded(self.undo_all)),
            web.delete("/midrun/jobs/{id}/params/{node_id}/{input}", _guarded(self.undo)),
            web.get("/midrun/jobs/{id}/latent", _guarded(self.latent)),
            web.get("/midrun/jobs/{id}/events", _guarded(self.events)),
            web.get("/midrun/failures", _guarded(self.failures)),
        ]

    async def jobs(self, request: web.Request) -> web.Response:
        _only(request.query, {"state", "limit", "before"})
        states = frozenset(_state(name) for name in request.query.get("state", "").split(",") if name)
        limit = _integer("limit", request.query.get("limit", "50"), 1, MAX_LIMIT)
        before = request.query.get("before")
        cursor = None if before is None else _integer("before", before, 0, 2**63 - 1)
        page = await self._control.registry.page(states, limit, cursor)
        following = str(page[-1][0]) if len(page) == limit else None
        return web.json_response({"jobs": [view.to_json() for _, view in page], "next": following})

    async def job(self, request: web.Request) -> web.Response:
        job = await self._control.registry.load(_id(request))
        return web.json_response(job.view().to_json())

    async def delete(self, request: web.Request) -> web.Response:
        await self._control.delete(_id(request))
        return web.Response(status=204)

    async def pause(self, request: web.Request) -> web.Response:
        _only(request.query, {"wait"})
        _only(await _body(request), set())
        wait = _number("wait", request.query.get("wait", "0"), 0, MAX_WAIT_S)
        view = await self._control.pause(_id(request), wait)
        return web.json_response(view.to_json(), status=200 if view.state is State.PAUSED else 202)

    async def resume(self, request: web.Request) -> web.Response:
        body = await _body(request)
        _only(body, {"prompt"})
        rewritten = await self._editing.rewritten(_id(request), body["prompt"]) if "prompt" in body else None
        keep = self._keeps_history(request)
        view = await self._control.resume(_id(request), keep_history=keep, rewritten=rewritten)
        return web.json_response(view.to_json(), status=202)

    async def params(self, request: web.Request) -> web.Response:
        return web.json_response(await self._editing.params(_id(request)))

    async def put_params(self, request: web.Request) -> web.Response:
        _only(request.query, {"apply"})
        apply = request.query.get("apply", "resume")
        if apply not in ("resume", "next_step"):
            raise BadRequest(f"apply must be resume or next_step, not {apply[:40]!r}.")
        body = await _body(request)
        if not body or not all(isinstance(named, dict) and named for named in body.values()):
            raise BadRequest("The body must be {node_id: {input: value}}.")
        view = await self._editing.put(_id(request), body, apply == "next_step")
        return web.json_response(view.to_json())

    async def undo_all(self, request: web.Request) -> web.Response:
        return web.json_response((await self._editing.undo_all(_id(request))).to_json())

    async def undo(self, request: web.Request) -> web.Response:
        node_id, name = request.match_info["node_id"], request.match_info["input"]
        return web.json_response((await self._editing.undo(_id(request), node_id, name)).to_json())

    async def step(self, request: web.Request) -> web.Response:
        body = await _body(request)
        _only(body, {"count"})
        count = body.get("count", 1)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 10000:
            raise BadRequest(f"count must be a whole number from 1 to 10000, not {json.dumps(count)[:40]}.")
        view = await self._control.resume(_id(request), count, self._keeps_history(request))
        return web.json_response(view.to_json(), status=202)

    async def abort(self, request: web.Request) -> web.Response:
        body = await _body(request)
        _only(body, {"reason", "mode"})
        reason = body.get("reason")
        if reason is not None and not isinstance(reason, str):
            raise BadRequest("reason must be a text or null.")
        mode = body.get("mode", AbortMode.STOP.value)
        if mode not in ("stop", "finish"):
            raise BadRequest(f'mode must be "stop" or "finish", not {json.dumps(mode)[:40]}.')
        keep = self._keeps_history(request)
        view = await self._control.abort(_id(request), AbortMode(mode), _storable(reason), keep)
        return web.json_response(view.to_json())

    async def latent(self, request: web.Request) -> web.Response:
        _only(request.query, {"node_id", "step"})
        step = request.query.get("step")
        number = None if step is None else _integer("step", step, 1, 2**31)
        job = await self._control.registry.load(_id(request))
        node_id = request.query.get("node_id")
        name, content = await asyncio.to_thread(self._latents.latent, job, node_id, number)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=content, content_type="application/octet-stream", headers=headers)

    async def failures(self, request: web.Request) -> web.Response:
        _only(request.query, {"limit"})
        limit = _integer("limit", request.query.get("limit", "50"), 1, MAX_LIMIT)
        return web.json_response(await asyncio.wrap_future(self._control.registry.store.failures(limit)))

    async def events(self, request: web.Request) -> web.Response:
        job = await self._control.registry.load(_id(request))
        events = await asyncio.wrap_future(self._control.registry.store.events(job.job_id))
        return web.json_response({"job_id": job.job_id, "events": events})

    def _keeps_history(self, request: web.Request) -> bool:
        return self._settings(request).get(KEEP_HISTORY) is True


def unavailable() -> list[web.RouteDef]:
    """What answers when Midrun could not start."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise Unavailable("Midrun could not open its directory when ComfyUI started; ComfyUI's log says why.")

    return [web.route("*", "/midrun/{path:.*}", _guarded(refuse))]


class Ears:
    """Notices prompts on their way in, what became of them, and ComfyUI's own Cancel."""

    def __init__(self, control: Control, class_types: Iterable[str], secret_keys: Iterable[str]) -> None:
        self._control = control
        self._class_types = frozenset(class_types)
        self._secret_keys = frozenset(secret_keys)
        self._submitted: ContextVar[Job | None] = ContextVar("midrun_submitted", default=None)

    def on_prompt(self, body: Any) -> Any:
        """ComfyUI's prompt handler: sees a prompt before it is validated."""
        self._submitted.set(None)
        prompt = body.get("prompt") if isinstance(body, dict) else None
        watched = self._watched_nodes(prompt)
        if not watched:
            return body
        if body.get("prompt_id") is None:
            body["prompt_id"] = str(uuid.uuid4())
        prompt_id = str(body["prompt_id"])
        if not _encodable(prompt_id):
            log.warning("Midrun does not watch a prompt whose prompt_id is not valid Unicode")
            return body
        job = self._control.registry.add(prompt_id, self._request(body), _policy(watched))
        if job is None:
            log.warning("Midrun does not watch prompt %r: an earlier job has that prompt_id", prompt_id[:100])
            return body
        self._submitted.set(job)
        self._control.submitted(job)
        return body

    async def on_response(self, request: web.Request, response: web.StreamResponse) -> None:
        """aiohttp's on_response_prepare signal, after the handler ran."""
        if request.method != "POST":
            return
        path = request.path
        while path.startswith("/api/"):
            path = path[len("/api") :]
        if path == "/prompt":
            job = self._submitted.get()
            self._submitted.set(None)
            if job is not None:
                (self._control.accepted if response.status == 200 else self._control.refused)(job)
        elif response.status == 200 and path == "/interrupt":
            prompt_id = (await _lenient_body(request)).get("prompt_id")
            self._control.cancelled(str(prompt_id) if prompt_id else None)
        elif response.status == 200 and path.startswith("/jobs/") and path.endswith("/cancel"):
            ids = (await _lenient_body(request)).get("job_ids") or [request.match_info.get("job_id")]
            for prompt_id in ids:
                if isinstance(prompt_id, str):
                    self._control.cancelled(prompt_id)

    def _watched_nodes(self, prompt: Any) -> list[dict[str, Any]]:
        nodes = prompt.values() if isinstance(prompt, dict) else ()
        named = [node for node in nodes if isinstance(node, dict) and isinstance(node.get("class_type"), str)]
        return [node for node in named if node["class_type"] in self._class_types]

    def _request(self, body: dict[str, Any]) -> Request:
        extra = body.get("extra_data")
        extra = copy.deepcopy(extra) if isinstance(extra, dict) else {}
        secrets = {key: extra.pop(key) for key in self._secret_keys & extra.keys()}
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        targets = body.get("partial_execution_targets")
        outputs = tuple(str(target) for target in targets) if isinstance(targets, list) else None
        return Request(copy.deepcopy(body["prompt"]), extra, outputs, secrets)


def _guarded(handler: Handler) -> Handler:
    """Map every refusal to the one error shape."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except MidrunError as error:
            return web.json_response({"error": _error(error)}, status=STATUS.get(error.code, 400))
        except sqlite3.Error as error:
            log.exception("Midrun could not read its database")
            refusal = Unavailable(f"Midrun can not read its database: {error}. ComfyUI's log says more.")
            return web.json_response({"error": _error(refusal)}, status=503)

    return guarded


def _error(error: MidrunError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, IllegalTransition):
        told["state"] = error.state.value
    if isinstance(error, InvalidParams):
        told["rejected"] = error.rejected
    return told


def _id(request: web.Request) -> str:
    return request.match_info["id"]


async def _body(request: web.Request) -> dict[str, Any]:
    """A JSON object of at most MAX_BODY bytes; no body at all is {}."""
    if (request.content_length or 0) > MAX_BODY:
        raise TooLarge(f"The body has {request.content_length} bytes; the limit is {MAX_BODY}.")
    raw = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        raw += chunk
        if len(raw) > MAX_BODY:
            raise TooLarge(f"The body has more than {MAX_BODY} bytes.")
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body


async def _lenient_body(request: web.Request) -> dict[str, Any]:
    """The body that ComfyUI's own handler has read already."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _only(given: Iterable[str], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        allowed = f"; known here: {', '.join(sorted(known))}" if known else ""
        raise BadRequest(f"Unknown key {unknown[0][:40]!r}{allowed}.")


def _state(name: str) -> State:
    try:
        return State(name)
    except ValueError:
        names = ", ".join(state.value for state in State)
        raise BadRequest(f"state must be one or more of {names}, not {name[:40]!r}.") from None


def _integer(name: str, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high):
        raise BadRequest(f"{name} must be a whole number from {low} to {high}, not {text[:40]!r}.")
    return int(text)


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise BadRequest(f"{name} must be a number from {low:g} to {high:g}, not {text[:40]!r}.")
    return number


def _policy(nodes: list[dict[str, Any]]) -> QueuePolicy:
    for node in nodes:
        inputs = node.get("inputs")
        policy = inputs.get("queue_policy") if isinstance(inputs, dict) else None
        if isinstance(policy, str) and policy in {known.value for known in QueuePolicy}:
            return QueuePolicy(policy)
    return QueuePolicy.AUTO


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _storable(text: str | None) -> str | None:
    return None if text is None else text.encode(errors="replace").decode()
