"""Going back in a job: rewinding it to an earlier step, forking new jobs from one. ComfyUI's event loop.

All of it is replay: a rewound recording ends earlier, and a fork shares the beginning of another's.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from ..errors import MidrunError, NoStep, Unavailable
from ..exactness import INEXACT, Exactness
from ..job.fork_grid import Cell, axes_of, cells, variant
from ..job.job import Job
from ..job.machine import utc
from ..job.view import Change, JobView, Moment
from ..pictures.previews import source_url, step_url
from ..recording.items import Damaged
from ..recording.recording import newest_of
from ..recording.remembered import on_resume
from ..states import PauseReason, State
from ..telemetry import Telemetry
from ..workflow.edits import Path
from .control import Control
from .editing import Editing, stored
from .moments import moment_at
from .places import Place, standpoint
from .preview_files import PreviewFiles
from .sampled import Standpoint

MOST_FORKS = 16
Wanted = dict[str, dict[str, Any]]  # {node_id: {input: value}}


class TimeTravel:
    """The verbs."""

    def __init__(self, control: Control, editing: Editing, pictures: PreviewFiles) -> None:
        self._control = control
        self._editing = editing
        self._pictures = pictures
        self._registry = control.registry
        self._recordings = control.registry.recordings

    async def rewind(
        self,
        any_id: str,
        step: int,
        node_id: str | None = None,
        iteration: int | None = None,
        params: Wanted | None = None,
    ) -> JobView:
        """Pause the job after that step. step < 0: so many steps back from where it is.

        node_id: any name of the node; iteration: of the loop that it is in
        params: edits to be stored with it; EditRefused or RunRefused is raised before anything is rewound
        """
        job = self._registry.keep_loaded(await self._registry.load(any_id))
        job.reserve("rewind")
        try:
            number = max(0, job.view().step + step) if step < 0 else step
            place = await self.find(job, node_id, number, iteration)
            there = standpoint(job, place)
            values = await self._editing.checked(there, params) if params else {}
            measured = await self._measured(job, place.moment)
            exactness = await asyncio.to_thread(self._exactness, job, place)
            await asyncio.to_thread(self._rewind, place)
            job.rewind(place.moment, place.is_later, measured)
            job.call.tell_exactness(exactness)
            if values:
                job.edit(partial(stored, job, values))
            await self._save(job)
        finally:
            job.runs.refuse()
            self._registry.settle(job)
        return job.view()

    async def restore(self, any_id: str) -> JobView:
        """Take the rewind back, as long as nothing was computed since."""
        job = self._registry.keep_loaded(await self._registry.load(any_id))
        job.reserve("restore")
        try:
            take = job.view().take
            job.restore(await self._measured(job, take.moment) if take else None)
            await self._save(job)  # first: after a crash in between, the start restores the recordings
            await asyncio.to_thread(self._restore, job.job_id)
            if take is not None:
                place = await self.find(job, take.moment.node_id, take.moment.step)
                job.call.tell_exactness(await asyncio.to_thread(self._exactness, job, place))
        finally:
            job.runs.refuse()
            self._registry.settle(job)
        return job.view()

    async def fork(
        self,
        any_id: str,
        step: int,
        node_id: str | None = None,
        params: Wanted | None = None,
        vary: dict[str, dict[str, list[Any]]] | None = None,
        count: int = 1,
        iteration: int | None = None,
    ) -> list[JobView]:
        """New jobs that go on from after that step, each with edits of its own; `count` of each variant.

        All or none: raises EditRefused or RunRefused before there is any.
        """
        places = cells(uuid.uuid4().hex, axes_of(vary or {}), count, MOST_FORKS)
        job = await self._registry.load(any_id)
        place = await self.find(job, node_id, step, iteration)
        return await self.fork_from(job, place, standpoint(job, place), params or {}, places)

    async def fork_from(
        self, job: Job, place: Place, there: Standpoint, params: Wanted, places: list[Cell]
    ) -> list[JobView]:
        """The same from a place that was found already. there: the job as edits are to be judged"""
        self._registry.save_telemetry(job)
        measured = await self._measured(job, place.moment)
        exactness = await asyncio.to_thread(self._exactness, job, place)
        drafts = []
        for cell in places:
            wanted = _merged(params, variant(cell))
            draft = self._draft(job, place, measured, cell if len(places) > 1 else None, exactness)
            drafts.append((draft, await self._editing.checked(there, wanted) if wanted else {}))
        try:
            for draft, values in drafts:
                await self._admit(job, draft, values, place)
        except OSError as error:
            for draft, _ in drafts:
                self._registry.delete(draft)
            raise Unavailable(f"Midrun cannot write the files of the forks: {error}.") from error
        self._registry.settle(job)
        for draft, _ in drafts:
            await self._go_on(draft)
        return [draft.view() for draft, _ in drafts]

    async def find(self, job: Job, node_id: str | None, step: int, iteration: int | None = None) -> Place:
        """Raises NoStep."""
        return await asyncio.to_thread(self._find, job, node_id, step, iteration)

    # -- inside ----------------------------------------------------------------------------------------

    def _find(self, job: Job, node_id: str | None, step: int, iteration: int | None) -> Place:
        """That moment of the node's newest call; by default, of the node that sampled last."""
        view = job.view()
        name = node_id
        if name is None:
            name = view.node_id if iteration is None else view.display_node_id
        calls = self._recordings.calls(job.job_id)
        found = None if name is None else newest_of(calls, name, iteration)
        if found is None:
            raise NoStep(job.job_id, step, name)
        call, recording = found
        try:
            moment = moment_at(recording, call[1], step)
            begun = {call: origin.begun for call in calls if (origin := calls[call].origin) is not None}
        except (KeyError, Damaged) as error:
            raise NoStep(job.job_id, step, name) from error
        later = frozenset(other for other in calls if begun.get(other, 0.0) > begun.get(call, 0.0))
        return Place(moment, call, calls, later)

    def _rewind(self, place: Place) -> None:
        """What began later is not computed yet, at that moment."""
        for call in place.later:
            place.calls[call].rewind(0)
        if place.call is not None:
            place.calls[place.call].rewind(place.moment.step)
        self._recordings.flush()

    def _exactness(self, job: Job, place: Place) -> Exactness:
        """Of a resume from there."""
        if place.call is None:
            return Exactness()
        quick = job.view().exactness.kind == INEXACT
        try:
            recording = place.calls[place.call]
            return on_resume(recording, quick, job.call.evaluation_s, place.moment.evaluations)
        except Damaged:
            return Exactness()

    def _restore(self, job_id: str) -> None:
        for recording in self._recordings.calls(job_id).values():
            recording.restore()
        self._recordings.flush()

    async def _measured(self, job: Job, at: Moment) -> Telemetry | None:
        found = self._registry.store.telemetry_at(job.job_id, at.node_id, at.step)
        return await asyncio.wrap_future(found)

    async def _save(self, job: Job) -> None:
        """Whoever is told where the job is can rely on it."""
        self._registry.store.save_request(job.job_id, job.request)
        await asyncio.wrap_future(self._registry.store.written())

    def _draft(
        self,
        parent: Job,
        place: Place,
        measured: Telemetry | None,
        cell: Cell | None,
        exactness: Exactness,
    ) -> Job:
        there, now = standpoint(parent, place), utc(time.time())
        view = there.view
        moment, job_id = place.moment, str(uuid.uuid4())
        fork = JobView(
            job_id,
            (job_id,),
            State.PAUSED,
            now,
            now,
            pause_reason=PauseReason.USER,
            **asdict(moment),
            telemetry=measured,
            paused_at_step=moment.step,
            edits=view.edits,
            gpu_released=True,
            queue_policy=view.queue_policy,
            parent_id=parent.job_id,
            parent_step=moment.step,
            parent_node_id=moment.node_id,
            cell=cell,
            preview_url=step_url(job_id, moment.node_id, moment.step),
            source_url=source_url(job_id, moment.node_id) if view.source_url and moment.node_id else None,
            exactness=exactness,
            imported=view.imported,
            breakpoints=tuple(replace(breakpoint, hits=0) for breakpoint in view.breakpoints),
        )
        return self._registry.draft(fork, there.request)

    async def _admit(self, parent: Job, fork: Job, values: dict[Path, Any], place: Place) -> None:
        """Its files, then its row: what a crash in between leaves is nobody's, and goes by itself."""
        await asyncio.to_thread(self._share, parent.job_id, fork.job_id, place)
        moment = place.moment
        told = {"parent": parent.job_id, "step": moment.step}
        at = moment.step, fork.view().created_at
        self._registry.add_draft(
            fork, Change("forked", State.PAUSED, State.PAUSED, *at, told, moment.node_id)
        )
        self._registry.store.share_measured(parent.job_id, fork.job_id, moment)
        if moment.node_id is not None:
            pictures = parent.job_id, fork.job_id, moment.node_id, moment.step
            await asyncio.to_thread(self._pictures.share, *pictures)
        if values:
            fork.edit(partial(stored, fork, values))
        await asyncio.wrap_future(self._registry.store.written())

    def _share(self, job_id: str, with_id: str, place: Place) -> None:
        self._recordings.share(job_id, with_id, place.ends())
        if place.call is not None and place.end is not None:
            recording = self._recordings.calls(with_id)[place.call]
            recording.approached(place.end)
            recording.save()
            self._recordings.flush()

    async def _go_on(self, fork: Job) -> None:
        try:
            await self._control.resume(fork.job_id)
        except MidrunError as error:
            fork.note("not_resumed", {"error": str(error)})


def _merged(params: Wanted, varied: Wanted) -> Wanted:
    return {node: params.get(node, {}) | varied.get(node, {}) for node in params.keys() | varied.keys()}
