"""Hears of prompts on their way in and of ComfyUI's own Cancel. ComfyUI's event loop; never blocks."""

from __future__ import annotations

import json
import logging
import uuid
from contextvars import ContextVar
from typing import Any

from aiohttp import web

from ..state.breakpoints.breakpoints import of_workflow
from ..state.job.job import Job
from ..state.services.control import Control
from ..state.services.incoming import Incoming, policy_of

log = logging.getLogger(__name__)


class PromptListener:
    """Notices prompts on their way in, what became of them, and ComfyUI's own Cancel."""

    def __init__(self, control: Control, incoming: Incoming) -> None:
        self._control = control
        self._incoming = incoming
        self._submitted: ContextVar[Job | None] = ContextVar("midrun_submitted", default=None)

    def on_prompt(self, body: Any) -> Any:
        """ComfyUI's prompt handler: sees a prompt before it is validated."""
        self._submitted.set(None)
        prompt = body.get("prompt") if isinstance(body, dict) else None
        if not isinstance(prompt, dict):
            return body
        request = self._incoming.request(body)
        stopping = self._control.instruments.stopping(request.prompt, of_workflow(request.extra_data))
        watched = self._incoming.watched(stopping)
        if not watched:
            return body
        if body.get("prompt_id") is None:
            body["prompt_id"] = str(uuid.uuid4())
        prompt_id = str(body["prompt_id"])
        if not _encodable(prompt_id):
            log.warning("Midrun does not watch a prompt whose prompt_id is not valid Unicode")
            return body
        job = self._control.registry.add(prompt_id, request, policy_of(watched))
        if job is None:
            log.warning("Midrun does not watch prompt %r: an earlier job has that prompt_id", prompt_id[:100])
            return body
        body["prompt"] = stopping
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


async def _lenient_body(request: web.Request) -> dict[str, Any]:
    """The body that ComfyUI's own handler has read already."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
