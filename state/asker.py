"""The page whose request is being answered. On ComfyUI's event loop."""

from __future__ import annotations

from contextvars import ContextVar

HEADER = "Midrun-Client"  # the id that ComfyUI knows it by
asker: ContextVar[str | None] = ContextVar("asker", default=None)
