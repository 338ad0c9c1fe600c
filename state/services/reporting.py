"""Making a job's report: gathers what is known of it, and chooses the size of its pictures. Event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from ..errors import MidrunError
from ..job.job import Job
from ..job.machine import utc
from ..job.view import JobView
from ..pictures.fitting import fitted
from ..pictures.previews import PreviewKind, Shown, Wanted
from ..reports.content import Content, Shot, spread
from ..reports.page import page
from ..workflow import graph
from .registry import Registry

MOST = 4_800_000  # bytes of the page
MOST_STEPS = 400
MOST_RELATIVES = 100
Picture = Callable[[Job, Wanted], Awaitable[Shown]]


class Reporting:
    def __init__(self, registry: Registry, picture: Picture) -> None:
        self._registry = registry
        self._picture = picture

    async def page(self, any_id: str) -> tuple[str, bytes]:
        """The job's id, and its report as HTML."""
        job = await self._registry.load(any_id)
        self._registry.save_telemetry(job)
        content = await self._content(job)
        return job.job_id, await asyncio.to_thread(_drawn, content)

    async def _content(self, job: Job) -> Content:
        store, view = self._registry.store, job.view()
        measured = await asyncio.wrap_future(store.telemetry(job.job_id))
        shots = [
            Shot(one, await self._shown(job, one.node_id, one.step)) for one in spread(measured, MOST_STEPS)
        ]
        titles = {
            node: told for node in job.request.prompt if (told := graph.title(job.request.prompt, node))
        }
        source = None
        if view.source_url and view.node_id:
            source = await self._shown(job, view.node_id, None)
        return Content(
            view.origin.workflow_name or f"Job {job.job_id}",
            view,
            utc(time.time()),
            tuple(shots),
            len(measured),
            source,
            await asyncio.wrap_future(store.events(job.job_id)),
            tuple(await self._relatives(view)),
            titles,
        )

    async def _shown(self, job: Job, node_id: str, step: int | None) -> bytes | None:
        """step: None is what the job began from"""
        kind = PreviewKind.STEP if step else PreviewKind.SOURCE
        try:
            return (await self._picture(job, Wanted(node_id, step, kind, still=True))).content
        except MidrunError:
            return None

    async def _relatives(self, view: JobView) -> list[JobView]:
        found = {one.job_id: one for one in await self._registry.related("parent", view.job_id)}
        if view.cell is not None:
            found |= {one.job_id: one for one in await self._registry.related("grid", view.cell.grid)}
        if view.parent_id is not None:
            try:
                parent = (await self._registry.load(view.parent_id)).view()
                found = {parent.job_id: parent} | found
            except MidrunError:  # deleted
                pass
        return [one for one in found.values() if one.job_id != view.job_id][:MOST_RELATIVES]


def _drawn(content: Content) -> bytes:
    """With pictures as large as there is room for."""
    bare = replace(content, source=None, shots=tuple(replace(shot, picture=None) for shot in content.shots))
    room = (MOST - len(page(bare))) * 3 // 4  # base64 takes a third more
    pictures = fitted([content.source, *(shot.picture for shot in content.shots)], max(0, room))
    shots = (replace(shot, picture=one) for shot, one in zip(content.shots, pictures[1:], strict=True))
    return page(replace(content, source=pictures[0], shots=tuple(shots)))
