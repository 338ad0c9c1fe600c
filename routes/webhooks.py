"""Tells a server of the user's what became of jobs, by POST. On ComfyUI's event loop, never in a job's way.

One at a time and in order. A server that is late, away or strange is given up on; what waits is bounded.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ..state.errors import MidrunError
from ..state.job.job import Job
from ..state.job.transitions import Event
from ..state.job.view import Change, JobView
from ..state.pictures.previews import Wanted
from ..state.services.settings import Webhook
from ..state.states import PauseReason, State
from .ports import Pictures

log = logging.getLogger(__name__)
ANSWER_S = 10.0  # that a server may take
AGAIN_S = (2.0, 15.0)  # before the second attempt, and the third
MOST = 200  # that wait to be sent
OF_A_PERSON = (PauseReason.USER, PauseReason.STEP, PauseReason.DRAIN)
TOLD = ("job_id", "prompt_id", "workflow", "state", "pause_reason", "node_id", "step", "total_steps")
MORE = ("evaluations", "error", "warnings", "timing", "grid", "varied", "preview_url", "updated_at")


@dataclass(frozen=True)
class Message:
    """event: paused, choice, failed or completed"""

    event: str
    job: Job
    view: JobView


class Refused(Exception):
    """It is not to be sent there, or there is no use in trying again."""


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
        content = {"event": message.event, "job": _shown(message.view)}
        if webhook.picture:
            content["picture"] = await self._picture(message.job)
        told = ""
        for wait in (0.0, *AGAIN_S):
            await asyncio.sleep(wait)
            try:
                await post(webhook, content)
                return
            except Refused as error:
                told = str(error)
                break
            except aiohttp.ClientResponseError as error:
                told = f"it answered {error.status}"
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
                told = type(error).__name__  # its message may have the address, which may be a secret
        log.warning("Midrun: the webhook was not told of job %s: %s", message.view.job_id, told)

    async def _picture(self, job: Job) -> str | None:
        """WebP as base64."""
        try:
            shown = await asyncio.wait_for(self._pictures.picture(job, Wanted(still=True)), ANSWER_S)
        except (MidrunError, asyncio.TimeoutError, OSError):
            return None
        return base64.b64encode(shown.content).decode()


def event_of(view: JobView, change: Change) -> str | None:
    """What of it is worth telling: a pause that nobody asked for, a failure, an end."""
    if change.kind == Event.STOPPED.value and view.state is State.PAUSED:
        if view.waits_to_be_chosen:
            return "choice"
        return None if view.pause_reason in OF_A_PERSON and view.error is None else "paused"
    ends = {Event.FAIL.value: "failed", Event.COMPLETE.value: "completed"}
    return ends.get(change.kind)


async def post(webhook: Webhook, content: dict[str, Any]) -> None:
    """What it answers is not read. Raises Refused, or what aiohttp raises."""
    connector = aiohttp.TCPConnector(resolver=None if webhook.private else _Public(), use_dns_cache=False)
    limits = aiohttp.ClientTimeout(total=ANSWER_S)
    cookies = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=limits, cookie_jar=cookies) as session:
        if not webhook.private:
            _require_public_literal(webhook.url)
        async with session.post(webhook.url, json=content, allow_redirects=False) as answer:
            if 300 <= answer.status < 500 and answer.status not in (408, 429):
                raise Refused(f"it answered {answer.status}")
            answer.raise_for_status()


class _Public(AbstractResolver):
    """Names that lead to an address of the user's own network are refused, whenever they do."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for _, _, _, _, address in found:
            _require_public(str(address[0]), host)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        return


def _require_public(address: str, host: str) -> None:
    if not ipaddress.ip_address(address.partition("%")[0]).is_global:
        raise Refused(f"{host} is a private address, which the settings do not allow")


def _require_public_literal(url: str) -> None:
    """An address in the URL is never resolved."""
    host = URL(url).host or ""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError as error:
        if host.replace(".", "").isdigit():  # a short form, as 127.1, which is not resolved either
            raise Refused("its address is no complete one") from error
        return
    _require_public(host, host)


def _shown(view: JobView) -> dict[str, Any]:
    told = view.to_json()
    return {name: told[name] for name in (*TOLD, *MORE)}
