"""One shape for every refusal of the REST API. On ComfyUI's event loop."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from ..state.asker import HEADER, asker
from ..state.errors import BadRequest, IllegalTransition, InvalidParams, MidrunError, Unavailable

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STATUS = {
    "unknown_job": 404,
    "no_latent": 404,
    "no_step": 404,
    "no_preview": 404,
    "no_take": 404,
    "no_grid": 404,
    "no_check": 404,
    "no_lens": 404,
    "illegal_transition": 409,
    "taken": 409,
    "not_in_store": 404,
    "too_large": 413,
    "invalid_params": 422,
    "bad_bundle": 422,
    "unavailable": 503,
}


def guarded(handler: Handler) -> Handler:
    """Map every refusal to the one error shape, and know who asked."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        asker.set(request.headers.get(HEADER))
        try:
            return await handler(request)
        except MidrunError as error:
            return web.json_response({"error": told(error)}, status=STATUS.get(error.code, 400))
        except RecursionError:
            refusal: MidrunError = BadRequest("The workflow is nested too deeply.")
            return web.json_response({"error": told(refusal)}, status=400)
        except sqlite3.Error as error:
            log.exception("Midrun could not read its database")
            refusal = Unavailable(f"Midrun cannot read its database: {error}. ComfyUI's log says more.")
            return web.json_response({"error": told(refusal)}, status=503)

    return guarded


def told(error: MidrunError) -> dict[str, Any]:
    """The one shape."""
    shown: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, IllegalTransition):
        shown["state"] = error.state.value
    if isinstance(error, (IllegalTransition, InvalidParams)) and error.rejected is not None:
        shown["rejected"] = error.rejected
    return shown
