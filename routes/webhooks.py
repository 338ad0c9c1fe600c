"""Tells a server of the user's what became of jobs, by POST. On ComfyUI's event loop, never in a job's way.

One at a time and in order. A server that is late, away or strange is given up on; what waits is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..state.job.job import Job
from ..state.job.transitions import Event
from ..state.job.view import Change, JobView
from ..state.services.settings import Webhook
from ..state.states import PauseReason, State
from .ports import Pictures
from .posting import AWAY, Refused, content_of, post, why_away

log = logging.getLogger(__name__)
AGAIN_S = (2.0, 15.0)  # before the second attempt, and the third
MOST = 200  # that wait to be sent
KNOWN = (PauseReason.USER, PauseReason.STEP, PauseReason.DRAIN, PauseReason.ASKED)  # to whoever is told


@dataclass(frozen=True)
class Message:
    """event: paused, choice, failed or completed"""

    event: str
    job: Job
    view: JobView


class Webhooks:
    """wanted: the user's setting; soon: calls on the event loop"""

    def __init__(
        self,
        wanted: Callable[[], Webhook | None],
        pictures: Pictures,
        soon: Callable[[Callable[[], object]], object],
    ) -> None:
        self._wanted = wanted
        self._pictures = pictures
        self._soon = soon
        self._waiting: list[Message] = []
        self._sender: asyncio.Task[None] | None = None

    def on_change(self, job: Job, view: JobView, change: Change | None) -> None:
        """A listener of the registry."""
        event = None if change is None else event_of(view, change)
        if event is not None:
            self._soon(lambda: self._add(Message(event, job, view)))

    def _add(self, message: Message) -> None:
        if len(self._waiting) >= MOST:
            log.warning("Midrun: the webhook does not keep up; job %s is not told of", message.view.job_id)
            return
        self._waiting.append(message)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._waiting:
            message = self._waiting.pop(0)
            webhook = await asyncio.to_thread(self._wanted)
            if webhook is not None:
                await self._send(webhook, message)

    async def _send(self, webhook: Webhook, message: Message) -> None:
        pictures = self._pictures if webhook.picture else None
        content = await content_of(message.event, message.job, message.view, pictures)
        told = ""
        for wait in (0.0, *AGAIN_S):
            await asyncio.sleep(wait)
            try:
                await post(webhook, content)
                return
            except Refused as error:
                told = why_away(error)
                break
            except AWAY as error:
                told = why_away(error)
        log.warning("Midrun: the webhook was not told of job %s: %s", message.view.job_id, told)


def event_of(view: JobView, change: Change) -> str | None:
    """What of it is worth telling: a pause that nobody asked for, a failure, an end."""
    if change.kind == Event.STOPPED.value and view.state is State.PAUSED:
        if view.waits_to_be_chosen:
            return "choice"
        known = view.pause_reason in KNOWN and (view.error is None or view.question is not None)
        return None if known else "paused"
    ends = {Event.FAIL.value: "failed", Event.COMPLETE.value: "completed"}
    return ends.get(change.kind)
