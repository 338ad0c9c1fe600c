"""The page that is told of a job: that which queued it, while it is there. Any thread."""

from __future__ import annotations

from typing import Any

from ...state.job.request import Request


def audience(server: Any, request: Request) -> str | None:
    """Its id for `send_sync`, or None for all pages. server: ComfyUI's PromptServer"""
    return request.client_id if request.client_id in server.sockets else None


def told_to(server: Any, request: Request, asker: str | None) -> dict[str, Any]:
    """The request's extra_data. Where the page that queued it is gone, ComfyUI tells the one that asks."""
    gone = request.client_id is not None and request.client_id not in server.sockets
    return request.extra_data | ({"client_id": asker} if gone and asker in server.sockets else {})
