"""More steps for a job that is done: a fork from its end with a longer schedule. ComfyUI's event loop.

Its picture is taken up to the noise level at which the last steps of the longer schedule begin, and these are
sampled (nodes/engine/segments.py). The job itself, which has a result, stays as it is.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

from ..errors import IllegalTransition, NoStep
from ..job.fork_grid import cells
from ..job.job import Job
from ..job.view import JobView
from ..recording.items import Approach, Damaged
from ..states import State
from ..workflow.steps_input import ends_before, steps_input, steps_of
from ..workflow.verdicts import Progress
from .places import Place, standpoint
from .registry import Registry
from .sampled import Standpoint
from .time_travel import TimeTravel

AT_WORK = (State.QUEUED, State.RUNNING, State.PAUSING)
NOT_ON_RECORD = (
    "its sampling is not on record: ComfyUI answered it from its cache, or the recording was deleted."
)
OWN_LOOP = "its node has a sampling loop of its own, and nobody but that can make its steps."
SEVERAL = "its node sampled several times, and this would only go on from the last."
LEFTOVER = "its sampler left noise in the picture, for another one to go on from."
UNKNOWN = "no one input of its workflow says how many steps its sampler does."


class MoreSteps:
    """The verb."""

    def __init__(self, registry: Registry, travel: TimeTravel) -> None:
        self._registry = registry
        self._travel = travel
        self._making: set[str] = set()  # jobs

    async def more(self, any_id: str, count: int) -> JobView:
        """A new job that samples `count` steps more. Raises IllegalTransition where that makes no sense."""
        job = await self._registry.load(any_id)
        if job.state is not State.COMPLETED:
            because = (
                f"it is {job.state.value}. Only a completed job takes more steps; edit its steps instead."
            )
            raise _refused(job, because)
        await self._refuse_twice(job)
        self._making.add(job.job_id)
        try:
            return await self._made(job, count)
        finally:
            self._making.discard(job.job_id)

    async def _made(self, job: Job, count: int) -> JobView:
        place = await self._end(job)
        there = await asyncio.to_thread(standpoint, job, place)
        node_id, name, steps = self._steps(job, there, count)
        alone, wanted = cells(uuid.uuid4().hex, (), 1, 1), {node_id: {name: steps + count}}
        (view,) = await self._travel.fork_from(job, place, _open(there), wanted, alone)
        return view

    async def _refuse_twice(self, job: Job) -> None:
        """While a fork from its end is at work, somebody asked for just that."""
        forks = await self._registry.related("parent", job.job_id)
        at_work = [one for one in forks if one.state in AT_WORK and one.parent_step == job.view().step]
        if at_work or job.job_id in self._making:
            raise _refused(job, "a fork from its end is at work already; wait until it is done, or abort it.")

    async def _end(self, job: Job) -> Place:
        try:
            place = await self._travel.find(job, None, job.view().step)
            return await asyncio.to_thread(_with_end, job, place)
        except (NoStep, Damaged, KeyError) as error:
            raise _refused(job, NOT_ON_RECORD) from error

    def _steps(self, job: Job, there: Standpoint, count: int) -> tuple[str, str, int]:
        """The input that is to be higher, and its value now."""
        sampler = there.view.display_node_id
        path = None if sampler is None else steps_input(there.prompt, sampler)
        if sampler is None or path is None:
            raise _refused(job, UNKNOWN)
        steps = steps_of(there.prompt, path)
        end = ends_before(there.prompt, sampler, steps + count)
        if end is not None:
            raise _refused(job, f"its sampler was told to end at step {end} of its schedule.")
        return *path, steps


def _with_end(job: Job, place: Place) -> Place:
    """Where its last sampling call came to: at its last step, without noise. Reads the disk."""
    recording, moment = place.calls.get(place.call) if place.call else None, place.moment
    inputs = None if recording is None else recording.inputs
    if recording is None or inputs is None or not moment.step:
        raise KeyError(moment.step)
    if inputs.own_loop:
        raise _refused(job, OWN_LOOP)
    if moment.call:
        raise _refused(job, SEVERAL)
    segment, denoised = recording.segment(), recording.step(moment.step).denoised
    sigmas = inputs.sigmas if segment is None else segment.sigmas
    if denoised is None or not len(sigmas):
        raise KeyError(moment.step)
    if float(sigmas[-1]) > 0:
        raise _refused(job, LEFTOVER)
    return replace(place, end=Approach(moment.evaluations, 0.0, denoised))


def _open(there: Standpoint) -> Standpoint:
    """Its sampler is over, but another schedule may go on from there."""
    mine = there.view.display_node_id
    again = (replace(one, progress=Progress.CUT) if one.node_id == mine else one for one in there.sampled)
    return replace(there, sampled=tuple(again))


def _refused(job: Job, because: str) -> IllegalTransition:
    return IllegalTransition("add steps to", job.job_id, job.state, because)
