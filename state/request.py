"""What ComfyUI needs to run a job: a frozen value, safe to hand to any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """What ComfyUI needs to run the job again. Only `secrets` may hold API tokens; it never leaves memory."""

    prompt: dict[str, Any]
    extra_data: dict[str, Any]
    outputs: tuple[str, ...] | None = None
    secrets: dict[str, Any] | None = None

    @property
    def client_id(self) -> str | None:
        client_id = self.extra_data.get("client_id")
        return client_id if isinstance(client_id, str) else None
