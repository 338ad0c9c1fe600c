"""What the handlers need of ComfyUI's side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from ..state.job.job import Job
from ..state.pictures.previews import Preview, Shown, Wanted

KeepsHistory = Callable[[web.Request], bool]  # whether interrupted runs stay in the history, for that user


class Latents(Protocol):
    """Gives out what was recorded as ComfyUI's latent files."""

    def latent(
        self, job: Job, node_id: str | None, step: int | None, iteration: int | None = None
    ) -> tuple[str, bytes]: ...


class Pictures(Protocol):
    """Gives out previews."""

    async def picture(self, job: Job, wanted: Wanted) -> Shown: ...
    async def listed(self, job: Job) -> list[Preview]: ...
