"""Looking into a paused job: what a word of its prompt, a LoRA or a ControlNet does at a step.

One recorded evaluation is asked once more, of the job's graph with one input changed, in a prompt beside the
job: nodes/engine/lens_call.py. The newest of a job is in memory, and nothing else. ComfyUI's event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..checks import Progress
from ..errors import EditRefused, IllegalTransition, NoLens, NoPreview, NoStep, short
from ..job.job import Job
from ..job.machine import utc
from ..lens import Change, Lens
from ..pictures.heat import overlaid
from ..pictures.previews import Shown, Wanted
from ..recording.items import Damaged, Origin
from ..recording.recording import Call, Recording
from ..server_directory import directory_name
from ..states import State
from ..workflow.edits import Edit, with_edits
from ..workflow.fresh import run_again
from ..workflow.graph import Prompt, inputs
from ..workflow.verdicts import Progress as Sampling
from ..workflow.verdicts import Sampled, VerdictKind, verdict
from ..workflow.words import without
from .beside import Beside, stand_of
from .control import Control
from .edited import asked_from
from .editing import Definitions, value_refusal
from .running_beside import Part
from .running_lens import RunningLens

VERB = "look into"
AT_REST = (State.PAUSED, State.FAILED)
REACH = (VerdictKind.LIVE, VerdictKind.CAUTION)  # what is unknown is tried
REMEMBERED = 32  # lenses, each with its picture
UNUSED = "the model and its conditioning do not depend on it"
BEYOND = {
    VerdictKind.SCHEDULE: "it changes the schedule, not what the model answers at this step",
    VerdictKind.CONSUMED: "it was used up when sampling began, so it changes no answer at this step",
}
NOTHING: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _Place:
    """A step of the present sampling call, and what is replayed to get there."""

    call: Call
    origin: Origin
    step: int
    sigma: float
    parts: dict[Call, Part]


class Lenses:
    """The verbs. picture: gives out previews"""

    def __init__(
        self,
        control: Control,
        definitions: Definitions,
        beside: Beside,
        picture: Callable[[Job, Wanted], Awaitable[Shown]],
    ) -> None:
        self._control, self._definitions, self._beside = control, definitions, beside
        self._picture = picture
        self._done: OrderedDict[str, tuple[Lens, bytes | None]] = OrderedDict()  # by job

    async def begin(self, any_id: str, change: Change, step: int | None) -> Lens:
        """Queue one. step: of the node that sampled last; None is the newest. The job stays paused."""
        async with self._beside.beginning(VERB, any_id, AT_REST) as job:
            return await self._begin(job, change, step)

    async def _begin(self, job: Job, change: Change, step: int | None) -> Lens:
        stand = stand_of(job.view())
        place = await asyncio.to_thread(self._place, job, step)
        sampler = place.origin.node.display_id
        prompt = self._changed(job, change, sampler)
        kept = job.request.kept.without(prompt, [change.node_id])
        again = self._control.instruments.again(prompt, prompt)
        run = await self._beside.prepare(job, again, kept, (sampler,))
        graph = run_again(run.request.prompt, run.prompt_id, sampler)
        run = replace(run, request=replace(run.request, prompt=graph))
        self._beside.require_rest(VERB, job, AT_REST, again=True)  # it may have gone on meanwhile
        at = utc(time.time())
        lens = Lens(job.job_id, run.prompt_id, at, change, sampler, place.step, place.sigma)
        running = RunningLens(lens, place.parts, place.call)
        self._beside.put(run, running, job, partial(self._end, running, job, place), stand)
        return lens

    async def read(self, any_id: str) -> Lens:
        """The newest of the job. Raises NoLens."""
        job = await self._control.registry.load(any_id)
        found = self._beside.of(job)
        return found.lens if isinstance(found, RunningLens) else self._newest(job)[0]

    async def picture(self, any_id: str) -> bytes:
        """Of the newest of the job, WebP. Raises NoLens."""
        job = await self._control.registry.load(any_id)
        lens, picture = self._newest(job)
        if picture is None or isinstance(self._beside.of(job), RunningLens):
            raise NoLens(job.job_id)
        return picture

    async def cancel(self, any_id: str) -> Lens:
        """End the one that is not over. Raises NoLens; does nothing to one that is."""
        job = await self._control.registry.load(any_id)
        found = self._beside.of(job)
        if isinstance(found, RunningLens):
            self._beside.cancel(found)
        return await self.read(any_id)

    # -- inside ----------------------------------------------------------------------------------------

    def _newest(self, job: Job) -> tuple[Lens, bytes | None]:
        if job.job_id not in self._done:
            raise NoLens(job.job_id)
        return self._done[job.job_id]

    def _changed(self, job: Job, change: Change, sampler: str) -> Prompt:
        """The job's graph with that change. Raises EditRefused where the model would be asked the same."""
        prompt = job.request.prompt
        before = inputs(prompt, change.node_id).get(change.input)
        value = change.value
        if change.word is not None and isinstance(before, str):
            value = without(before, change.word)
        reason = self._refusal(prompt, change, before, value, sampler)
        if reason is not None:
            rejected = {"node_id": change.node_id, "input": change.input, "reason": reason}
            raise EditRefused(job.job_id, [rejected])
        return with_edits(prompt, {(change.node_id, change.input): Edit(before, value)})

    def _refusal(self, prompt: Prompt, change: Change, before: Any, value: Any, sampler: str) -> str | None:
        path = change.node_id, change.input
        told = value_refusal(self._definitions, prompt, *path, before if value is None else value)
        if told is not None:
            return told
        if change.word is not None and not isinstance(before, str):
            return "it is no text"
        if value is None:
            return f"there is no “{short(change.word or '')}” in it"
        if value == before:
            return "it has that value already, so the model would answer the same"
        kind = verdict(prompt, *path, (Sampled(sampler, Sampling.GOING),), self._type_of).kind
        return None if kind in REACH else BEYOND.get(kind, UNUSED)

    def _type_of(self, class_type: str, name: str) -> str | None:
        definition = self._definitions.inputs(class_type).get(name)
        return None if definition is None else definition.type

    def _place(self, job: Job, step: int | None) -> _Place:
        """Reads the disk. Raises IllegalTransition and NoStep."""
        view, calls = job.view(), self._beside.replayable(VERB, job)
        call = directory_name(view.node_id or ""), view.call
        recording, origin = calls.get(call, (None, None))
        steps = [] if recording is None else recording.steps()
        if recording is None or origin is None or not steps:
            because = "no step is done yet of the node that samples."
            raise IllegalTransition(VERB, job.job_id, job.state, because)
        number = steps[-1] if step is None else step
        try:
            mark = recording.mark_of(number)
        except (KeyError, Damaged):
            raise NoStep(job.job_id, number, origin.node.display_id) from None
        recordings = self._control.registry.recordings.calls(job.job_id)
        if mark.evaluations <= asked_from(view.edits, recordings)[call]:
            because = f"step {number} was computed before the newest edit. Choose a later step."
            raise IllegalTransition(VERB, job.job_id, job.state, because)
        parts = {other: _replayed(found) for other, (found, _) in calls.items()}
        asked = mark.evaluations - 1
        parts[call] = Part(recording, 0, mark.evaluations, frozenset({asked}))
        return _Place(call, origin, number, mark.sigma, parts)

    async def _end(
        self, running: RunningLens, job: Job, place: _Place, progress: Progress, error: str | None
    ) -> None:
        picture = None
        if progress is Progress.DONE and running.heat is not None:
            below = await self._below(job, place)
            picture = await asyncio.to_thread(overlaid, running.heat, below)
        running.ends(progress, error)
        self._done[job.job_id] = running.lens, picture
        self._done.move_to_end(job.job_id)
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)

    async def _below(self, job: Job, place: _Place) -> bytes | None:
        """The step's preview; None where there is none."""
        try:
            wanted = Wanted(place.origin.node.node_id, place.step, still=True)
            return (await self._picture(job, wanted)).content
        except NoPreview:
            return None


def _replayed(recording: Recording) -> Part:
    """To its end, without asking anything."""
    return Part(recording, 0, len(recording), NOTHING)
