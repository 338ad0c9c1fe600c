"""One message to the webhook of the settings: what it is told, where it may be, what of its answer is read.

On ComfyUI's event loop.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ..state.errors import MidrunError
from ..state.job.job import Job
from ..state.job.view import JobView
from ..state.pictures.previews import Wanted
from ..state.services.settings import Webhook
from .ports import Pictures

ANSWER_S = 10.0  # that a server may take
READ = 65536  # bytes of an answer at most
TOLD = ("job_id", "prompt_id", "workflow", "state", "pause_reason", "node_id", "step", "total_steps")
MORE = ("evaluations", "error", "warnings", "timing", "grid", "varied", "preview_url", "updated_at")
AWAY = (
    aiohttp.ClientError,
    asyncio.TimeoutError,
    OSError,
    ValueError,
)


class Refused(Exception):
    """It is not to be sent there, or there is no use in trying again."""


async def content_of(event: str, job: Job, view: JobView, pictures: Pictures | None) -> dict[str, Any]:
    """What a webhook is told of a job. pictures: where the newest one is wanted, too"""
    told = view.to_json()
    content: dict[str, Any] = {"event": event, "job": {name: told[name] for name in (*TOLD, *MORE)}}
    if pictures is not None:
        content["picture"] = await _picture(pictures, job)
    return content


async def _picture(pictures: Pictures, job: Job) -> str | None:
    """WebP as base64."""
    try:
        shown = await asyncio.wait_for(pictures.picture(job, Wanted(still=True)), ANSWER_S)
    except (MidrunError, asyncio.TimeoutError, OSError):
        return None
    return base64.b64encode(shown.content).decode()


async def post(
    webhook: Webhook, content: dict[str, Any], answer_s: float = ANSWER_S, reads: bool = False
) -> bytes:
    """Its answer, where that is to be read. Raises Refused, or what is in AWAY."""
    connector = aiohttp.TCPConnector(resolver=None if webhook.private else _Public(), use_dns_cache=False)
    limits, cookies = aiohttp.ClientTimeout(total=answer_s), aiohttp.DummyCookieJar()
    given: dict[str, Any] = {"timeout": limits, "cookie_jar": cookies, "auto_decompress": False}
    async with aiohttp.ClientSession(connector=connector, **given) as session:
        if not webhook.private:
            _require_public_literal(webhook.url)
        plain = {"Accept-Encoding": "identity"}
        async with session.post(webhook.url, json=content, headers=plain, allow_redirects=False) as answer:
            if 300 <= answer.status < 500 and answer.status not in (408, 429):
                raise Refused(f"it answered {answer.status}")
            answer.raise_for_status()
            return await _read(answer) if reads else b""


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    found = b""
    async for part in answer.content.iter_chunked(READ):
        found += part
        if len(found) > READ:
            raise Refused(f"its answer is larger than {READ // 1024} KiB")
    return found


def why_away(error: BaseException) -> str:
    """Its own message may have the address, which may be a secret."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, aiohttp.ClientResponseError) and error.status >= 100:
        return f"it answered {error.status}"
    return type(error).__name__


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
