"""Checking jobs: whether today's model answers what is on record. ComfyUI's event loop.

A check is a prompt beside the job; nodes/engine/check_call.py asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from ..bundles.comparing import differences
from ..checks import Check, Progress
from ..errors import IllegalTransition, NoCheck
from ..job.job import Job
from ..job.machine import utc
from ..recording.recording import Call, Recording
from ..states import State
from ..surroundings import Surroundings
from ..workflow.fresh import fresh
from ..workflow.graph import Prompt
from .beside import Beside, stand_of
from .control import Control
from .edited import asked_from
from .running_beside import Part
from .running_check import RunningCheck

log = logging.getLogger(__name__)
AT_REST = (State.PAUSED, State.FAILED, State.COMPLETED, State.ABORTED)
TELL_S = 0.2  # between two reports of how far it came


class Here(Protocol):
    """What this ComfyUI computes with. May read files."""

    def again(self, then: Surroundings, prompt: Prompt, thoroughly: bool) -> Surroundings: ...
    def loaders(self, prompt: Prompt) -> frozenset[str]: ...


class Checks:
    """The verbs."""

    def __init__(self, control: Control, here: Here) -> None:
        self._control, self._registry, self._here = control, control.registry, here
        self.beside = Beside(control)

    async def begin(self, any_id: str, few: bool) -> Check:
        """Queue a check of the job. few: only the first, the middle and the last evaluation of each call"""
        async with self.beside.beginning("check", any_id, AT_REST) as job:
            return await self._begin(job, few)

    async def _begin(self, job: Job, few: bool) -> Check:
        stand = stand_of(job.view())
        parts = await asyncio.to_thread(self._parts, job, few)
        prompt = self._control.instruments.again(job.request.prompt, job.request.prompt)
        samplers = tuple(_samplers(parts, prompt))
        run = await self.beside.prepare(job, prompt, job.request.kept, samplers)
        loaders = await asyncio.to_thread(self._here.loaders, run.request.prompt)
        graph = fresh(run.request.prompt, run.prompt_id, loaders, samplers)
        run = replace(run, request=replace(run.request, prompt=graph))
        self.beside.require_rest("check", job, AT_REST, again=True)  # it may have gone on meanwhile
        total, earlier = (sum(getattr(part, name) for part in parts.values()) for name in ("count", "first"))
        check = Check(run.prompt_id, utc(time.time()), few, total=total, earlier=earlier)
        running = RunningCheck(job.job_id, check, parts, _Teller(job, self.beside.is_there))
        self.beside.put(run, running, job, partial(self._end, running, job), stand)
        job.runs.tell_check(check)
        return check

    async def read(self, any_id: str) -> Check:
        """The newest of the job. Raises NoCheck."""
        job = await self._registry.load(any_id)
        found = self.beside.of(job)
        check = found.check if isinstance(found, RunningCheck) else job.view().check
        if check is None:
            raise NoCheck(job.job_id)
        return check

    async def cancel(self, any_id: str) -> Check:
        """End the one that is not over. Raises NoCheck; does nothing to one that is."""
        job = await self._registry.load(any_id)
        found = self.beside.of(job)
        if isinstance(found, RunningCheck):
            self.beside.cancel(found)
        return await self.read(any_id)

    # -- inside ----------------------------------------------------------------------------------------

    def _parts(self, job: Job, few: bool) -> dict[Call, Part]:
        """What is to be asked of each sampling call. Reads the disk. Raises IllegalTransition."""
        calls = {call: recording for call, (recording, _) in self.beside.replayable("check", job).items()}
        begins = asked_from(job.view().edits, self._registry.recordings.calls(job.job_id))
        parts = {call: _part(recording, begins[call], few) for call, recording in calls.items()}
        if not any(part.count for part in parts.values()):
            because = "nothing is on record that could be asked again."
            raise IllegalTransition("check", job.job_id, job.state, because)
        return parts

    async def _end(self, running: RunningCheck, job: Job, progress: Progress, error: str | None) -> None:
        try:
            if progress is Progress.DONE:
                await asyncio.to_thread(self._look_around, running, job)
        except Exception:  # noqa: BLE001  node packs are asked; the others that are checked must not wait for it
            log.exception("Midrun could not look at what job %s was checked with", job.job_id)
        finally:
            running.ends(progress, error)
        if self.beside.is_there(job):
            job.runs.tell_check(running.check)

    def _look_around(self, running: RunningCheck, job: Job) -> None:
        """What this server computes with, against what is on record. Reads files."""
        imported = job.view().imported
        then = running.then or (None if imported is None else imported.then)
        if then is not None:
            now = self._here.again(then, job.request.prompt, False)
            running.differs(*differences(then, now, ()))


class _Teller:
    """Tells a job how far its check has come, not more often than anybody looks."""

    def __init__(self, job: Job, is_there: Callable[[Job], bool]) -> None:
        self._job, self._is_there = job, is_there
        self._told = float("-inf")

    def __call__(self, check: Check) -> None:
        if check.is_open and time.monotonic() - self._told >= TELL_S and self._is_there(self._job):
            self._told = time.monotonic()
            self._job.runs.tell_check(check)


def _part(recording: Recording, first: int, few: bool) -> Part:
    """first: how many evaluations cannot be asked, as an edit came after them"""
    end = len(recording)
    first = min(first, end)
    chosen = {first, (first + end - 1) // 2, end - 1} if end > first else set()
    return Part(recording, first, end, frozenset(chosen) if few else None)


def _samplers(parts: dict[Call, Part], prompt: Prompt) -> list[str]:
    """The nodes of the graph that sampled, each once."""
    names = [part.recording.origin.node.display_id for part in parts.values() if part.recording.origin]
    return [name for name in dict.fromkeys(names) if name in prompt]
