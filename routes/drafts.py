"""Many beginnings of one workflow, and which of them go on. On ComfyUI's event loop."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..state.errors import BadRequest
from ..state.services.drafts import MOST, Drafts, Vary
from ..state.whole import whole_number
from . import parsing
from .ports import KeepsHistory
from .several import answer

MOST_STEPS = 10_000
OF_A_PROMPT = {"prompt", "extra_data", "client_id", "partial_execution_targets"}


class DraftRoutes:
    def __init__(self, drafts: Drafts, keeps_history: KeepsHistory) -> None:
        self._drafts = drafts
        self._keeps_history = keeps_history

    async def make(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"job_id", "vary", "step"} | OF_A_PROMPT)
        step = parsing.whole("step", body.get("step"), 1, MOST_STEPS)
        vary, job_id = _vary(body.get("vary")), body.get("job_id")
        if ("prompt" in body) is (job_id is not None):
            raise BadRequest('Say of what: either "prompt" or "job_id".')
        if isinstance(job_id, str):
            views = await self._drafts.of_job(job_id, vary, step)
        elif isinstance(body.get("prompt"), dict):
            views = await self._drafts.of_prompt(body, vary, step)
        else:
            raise BadRequest("prompt must be a workflow in API format, and job_id a text.")
        grid = views[0].cell.grid if views[0].cell else None
        return web.json_response({"grid": grid, "jobs": [view.to_json() for view in views]}, status=202)

    async def go_on(self, request: web.Request) -> web.Response:
        body = await parsing.body(request)
        parsing.only(body, {"ids", "step"})
        ids, step = parsing.texts("ids", body), body.get("step")
        if ids is None:
            raise BadRequest('Say which drafts go on: {"ids": [...]}.')
        until = None if step is None else parsing.whole("step", step, 1, MOST_STEPS)
        keep = self._keeps_history(request)
        return answer(await self._drafts.go_on(tuple(dict.fromkeys(ids)), until, keep))


def _vary(given: Any) -> Vary:
    if not isinstance(given, dict) or not given:
        raise BadRequest('vary must be {node_id: {input: [values] or {"random": n}}}.')
    for of in given.values():
        if not isinstance(of, dict) or not of or not all(_is_choice(told) for told in of.values()):
            raise BadRequest(f'vary must be {{node_id: {{input: [values] or {{"random": 1 to {MOST}}}}}}}.')
    return given


def _is_choice(told: Any) -> bool:
    if isinstance(told, dict):
        count = whole_number(told.get("random"))
        return set(told) == {"random"} and count is not None and 0 < count <= MOST
    return isinstance(told, list) and bool(told)
