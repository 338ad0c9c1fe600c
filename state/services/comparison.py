"""Two jobs, or a job and the take that a rewind left behind, at one step: in what their parameters differ.
And two jobs over all steps: how far their latents are apart.

On ComfyUI's event loop; what was recorded is read on another thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest, NoPreview, NoStep, NoTake
from ..job.job import Job
from ..pictures.previews import PreviewKind, step_url
from ..recording.apart import OtherShape, apart
from ..recording.recording import Recording
from ..workflow import graph
from ..workflow.edits import taken_back, with_edits
from ..workflow.graph import Prompt
from ..workflow.instrument import plain
from .editing import Definitions
from .preview_files import PreviewFiles
from .registry import Registry
from .time_travel import TimeTravel


@dataclass(frozen=True)
class Side:
    """A job at a step: its graph as it was in force there. take: it is what a rewind left behind"""

    job: Job
    step: int
    node_id: str | None
    display_node_id: str | None
    prompt: Prompt
    preview_url: str | None
    take: bool = False

    def to_json(self) -> dict[str, Any]:
        view = self.job.view()
        told = {"job_id": view.job_id, "parent": view.parent_json(), "state": view.state.value}
        told |= {"node_id": self.node_id, "display_node_id": self.display_node_id}
        told |= {"step": self.step, "take": self.take}
        return told | {"preview_url": self.preview_url}


class Comparing:
    """Of all jobs."""

    def __init__(
        self, registry: Registry, travel: TimeTravel, definitions: Definitions, files: PreviewFiles
    ) -> None:
        self._registry = registry
        self._travel = travel
        self._definitions = definitions
        self._files = files
        self._reading = asyncio.Semaphore(1)  # of recordings, which can be large

    async def compare(self, any_id: str, with_id: str | None, step: int | None, take: bool) -> dict[str, Any]:
        """step: by default the newest that both have. Raises NoStep, NoTake, NoPreview."""
        one = await self._registry.load(any_id)
        other = one if with_id is None else await self._registry.load(with_id)
        if one.job_id == other.job_id and not take:
            raise BadRequest("Name another job in `with`, or set take=true for what a rewind left over.")
        here, there = one.view(), other.view()
        reached = there.step
        if take:
            if there.take is None:
                raise NoTake(other.job_id)
            reached = there.take.moment.step
        step = min(here.step, reached) if step is None else step
        mine = min(step, here.step) if one.job_id == other.job_id else step
        sides = [await self._side(one, mine), await (self._take if take else self._side)(other, step)]
        differences = list(self._differences(sides[0].prompt, sides[1].prompt))
        return {"step": step, "jobs": [side.to_json() for side in sides], "differences": differences}

    async def steps(self, any_id: str, with_id: str) -> dict[str, Any]:
        """How far they are apart after each step that both did. Raises NoStep."""
        one, other = await self._registry.load(any_id), await self._registry.load(with_id)
        if one.job_id == other.job_id:
            raise BadRequest("Name another job in `with`.")
        recordings = await self._recording(one), await self._recording(other)
        try:
            async with self._reading:
                found = await asyncio.to_thread(apart, *recordings)
        except OtherShape as shapes:
            told = f"The latents of the two jobs differ in size, {shapes}, so there is no difference to tell."
            raise BadRequest(told) from None
        first = next((at.step for at in found if at.difference != 0), None)
        steps = [{"step": at.step, "difference": at.difference} for at in found]
        return {"jobs": [one.job_id, other.job_id], "steps": steps, "first": first}

    async def _recording(self, job: Job) -> Recording:
        """Of the sampling call that it came to."""
        place = await self._travel.find(job, None, 0)
        if place.call is None:
            raise NoStep(job.job_id, 0, None)
        return place.calls[place.call]

    async def _side(self, job: Job, step: int) -> Side:
        place = await self._travel.find(job, None, step)
        _, undoing = taken_back(job.view().edits, place.is_later)
        prompt = plain(with_edits(job.request.prompt, undoing))
        node_id, display_id = place.moment.node_id, place.moment.display_node_id
        return Side(job, step, node_id, display_id, prompt, step_url(job.job_id, node_id, step))

    async def _take(self, job: Job, step: int) -> Side:
        """Of its steps beyond where the job is now only the pictures that were made are left to see."""
        view = job.view()
        if view.take is None:
            raise NoTake(job.job_id)
        node_id, prompt = view.take.moment.node_id, view.take.prompt
        _, undoing = taken_back(
            view.take.edits, lambda edit: edit.in_node == node_id and (edit.from_step or 0) > step
        )
        url = step_url(job.job_id, node_id, step)
        if step > view.step or node_id != view.node_id:
            found = await asyncio.to_thread(self._files.find, job.job_id, node_id, PreviewKind.STEP, step)
            if found is None:
                told = f"no picture was kept of step {step}. GET previews lists those that were kept."
                raise NoPreview(job.job_id, told)
            url = found.url(job.job_id)
        display_id = view.take.moment.display_node_id
        return Side(job, step, node_id, display_id, plain(with_edits(prompt, undoing)), url, take=True)

    def _differences(self, one: Prompt, other: Prompt) -> Iterator[dict[str, Any]]:
        """Links count, too: they are where a parameter comes from. In the order of the graphs."""
        for node_id in dict.fromkeys((*one, *other)):
            kinds = [graph.class_type(prompt, node_id) for prompt in (one, other)]
            prompt = one if kinds[0] is not None else other
            kind = kinds[0] or kinds[1] or ""
            title = graph.title(prompt, node_id) or self._definitions.display_name(kind)
            told = {"node_id": node_id, "title": title, "class_type": kind}
            if None not in kinds and kinds[0] != kinds[1]:
                yield told | {"input": "class_type", "values": kinds}
            given = [graph.inputs(prompt, node_id) for prompt in (one, other)]
            for name in dict.fromkeys((*given[0], *given[1])):
                values = [named.get(name) for named in given]
                if values[0] != values[1]:
                    yield told | {"input": name, "values": values}
