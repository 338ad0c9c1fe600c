"""Verbs over many jobs, and the queue as a whole. On ComfyUI's event loop."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..state.errors import BadRequest
from ..state.services.gate import Gate
from ..state.services.several import Outcome, Several, Which
from ..state.states import PauseReason, State
from . import parsing
from .errors import told
from .ports import KeepsHistory


class SeveralRoutes:
    def __init__(self, several: Several, gate: Gate, keeps_history: KeepsHistory) -> None:
        self._several = several
        self._gate = gate
        self._keeps_history = keeps_history

    async def queue(self, request: web.Request) -> web.Response:
        parsing.only(request.query, set())
        counts = {
            "interrupted": await self._several.interrupted(),
            "choices": await self._several.to_choose(),
            "standing": await self._several.standing(),
        }
        return web.json_response({"paused": self._gate.closed} | counts)

    async def pause(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        which = _which(body)
        return answer(await (self._several.pause_all() if which is None else self._several.pause(which)))

    async def resume(self, request: web.Request) -> web.Response:
        which, keep = _which(await parsing.body(request)), self._keeps_history(request)
        if which is None:
            return answer(await self._several.resume_all(keep))
        return answer(await self._several.resume(which, keep))

    async def abort(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        ended = parsing.ending({name: body.pop(name) for name in ("mode", "reason") if name in body})
        which = _named(body, "abort")
        return answer(await self._several.abort(which, *ended, self._keeps_history(request)))

    async def delete(self, request: web.Request) -> web.Response:
        return answer(await self._several.delete(_named(await parsing.body(request), "delete")))


def _which(body: dict[str, Any]) -> Which | None:
    """None: all that there are."""
    parsing.only(body, {"ids", "state", "pause_reason"})
    if not body:
        return None
    ids, states, reasons = (parsing.texts(name, body) for name in ("ids", "state", "pause_reason"))
    if (ids is None) is (states is None):
        raise BadRequest('Name the jobs either by "ids" or by "state".')
    if ids is not None and reasons is not None:
        raise BadRequest("pause_reason goes with state, not with ids.")
    because = [parsing.member("pause_reason", PauseReason, name) for name in reasons or ()]
    wanted = frozenset(map(parsing.state, states or ()))
    return Which(tuple(dict.fromkeys(ids or ())), wanted, None if reasons is None else frozenset(because))


def _named(body: dict[str, Any], verb: str) -> Which:
    which = _which(body)
    if which is None:
        raise BadRequest(f'Say which jobs to {verb}: {{"ids": [...]}} or {{"state": [...]}}.')
    return which


def answer(outcomes: list[Outcome]) -> web.Response:
    return web.json_response({"jobs": [_told(outcome) for outcome in outcomes]})


def _told(outcome: Outcome) -> dict[str, Any]:
    state: State | None = outcome.state
    shown = {"job_id": outcome.job_id, "state": None if state is None else state.value}
    return shown | ({} if outcome.error is None else {"error": told(outcome.error)})
