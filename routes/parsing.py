"""From what a client sent to plain values. Each raises BadRequest or TooLarge. ComfyUI's event loop.

Whatever a client sends is data: an id is looked up, never made into a path, a query or HTML.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from enum import Enum
from typing import Any, TypeVar

from aiohttp import web

from ..state.errors import BadRequest, TooLarge
from ..state.pictures.previews import PreviewKind, Quality, Wanted
from ..state.states import AbortMode, State
from ..state.whole import whole_number

MAX_BODY = 4 * 1024 * 1024
MOST_IDS = 10_000
E = TypeVar("E", bound=Enum)


def job_id(request: web.Request) -> str:
    return request.match_info["id"]


async def body(request: web.Request) -> dict[str, Any]:
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
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise BadRequest("The body must be a JSON object.")
    return parsed


def only(given: Iterable[str], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        allowed = f"; known keys: {', '.join(sorted(known))}" if known else ""
        raise BadRequest(f"Unknown key {unknown[0][:40]!r}{allowed}.")


def state(name: str) -> State:
    return member("state", State, name)


def member(name: str, kind: type[E], text: str) -> E:
    """One of the values of an Enum."""
    try:
        return kind(text)
    except ValueError:
        names = ", ".join(str(known.value) for known in kind)
        raise BadRequest(f"{name} must be one or more of {names}, not {text[:40]!r}.") from None


def integer(name: str, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high):
        raise BadRequest(f"{name} must be a whole number from {low} to {high}, not {text[:40]!r}.")
    return int(text)


def number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise BadRequest(f"{name} must be a number from {low:g} to {high:g}, not {text[:40]!r}.")
    return value


def whole(name: str, value: Any, low: int, high: int) -> int:
    found = whole_number(value)
    if found is None or not low <= found <= high:
        told = json.dumps(value)[:40]
        raise BadRequest(f"{name} must be a whole number from {low} to {high}, not {told}.")
    return found


def texts(name: str, body: dict[str, Any]) -> list[str] | None:
    """A list of texts, if there is one in the body; one text is a list of one."""
    if name not in body:
        return None
    found = [body[name]] if isinstance(body[name], str) else body[name]
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadRequest(f"{name} must be a list of texts, not {json.dumps(body[name])[:40]}.")
    if not 0 < len(found) <= MOST_IDS:
        raise BadRequest(f"{name} must have 1 to {MOST_IDS} entries.")
    return found


def storable(text: str | None) -> str | None:
    """Without lone surrogates, which no database takes."""
    return None if text is None else text.encode(errors="replace").decode()


def ending(body: dict[str, Any]) -> tuple[AbortMode, str | None]:
    """How an abort is to end a job, and why."""
    only(body, {"reason", "mode"})
    reason = body.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise BadRequest("reason must be a text or null.")
    mode = body.get("mode", AbortMode.STOP.value)
    if mode not in ("stop", "finish"):
        raise BadRequest(f'mode must be "stop" or "finish", not {json.dumps(mode)[:40]}.')
    return AbortMode(mode), storable(reason)


def wanted(request: web.Request) -> Wanted:
    """Which picture of a job."""
    query = request.query
    only(query, {"node_id", "iteration", "step", "kind", "quality", "still", "v", "size"})
    step = query.get("step")
    return Wanted(
        query.get("node_id"),
        None if step is None else integer("step", step, 1, 2**31),
        PreviewKind(_one_of("kind", query.get("kind", "step"), [kind.value for kind in PreviewKind])),
        Quality(_one_of("quality", query.get("quality", "fast"), [quality.value for quality in Quality])),
        _one_of("still", query.get("still", "false"), ["true", "false"]) == "true",
        query.get("v"),
        iteration(request),
    )


def iteration(request: web.Request) -> int | None:
    """Of a loop; None is the newest."""
    told = request.query.get("iteration")
    return None if told is None else integer("iteration", told, 1, 2**31)


def _one_of(name: str, text: str, known: list[str]) -> str:
    if text not in known:
        raise BadRequest(f"{name} must be {' or '.join(known)}, not {text[:40]!r}.")
    return text


def table_format(request: web.Request) -> str:
    """As what rows are wanted: json or csv."""
    only(request.query, {"format"})
    wanted = request.query.get("format", "json")
    if wanted not in ("json", "csv"):
        raise BadRequest(f"format must be json or csv, not {wanted[:40]!r}.")
    return wanted


def size(request: web.Request) -> int | None:
    """Pixels of a picture's longer side at most; None as it is."""
    told = request.query.get("size")
    return None if told is None else integer("size", told, 64, 4096)
