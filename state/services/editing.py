"""The verbs for a job's parameters: what can be edited, with which effect, and storing edits that are sound.

On ComfyUI's event loop. All or nothing: a request with one bad edit changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from ..errors import EditRefused, IllegalTransition, RunRefused
from ..job.job import Job
from ..job.request import Request
from ..job.transitions import ENDED
from ..job.view import JobView
from ..states import State
from ..workflow import graph
from ..workflow.edits import (
    Edit,
    Edits,
    History,
    Path,
    changed,
    difference,
    pending,
    with_edits,
    without_pending,
)
from ..workflow.graph import Prompt
from ..workflow.input_values import Definition, refusal
from ..workflow.instrument import WATCH, is_choice
from ..workflow.verdicts import Progress, Verdict, VerdictKind, in_graph, verdict
from .control import Control, Rewritten
from .sampled import Standpoint, sampled

RUNS = (State.QUEUED, State.RUNNING, State.PAUSING)


class Definitions(Protocol):
    """What nodes declare about their inputs."""

    def inputs(self, class_type: str) -> dict[str, Definition]: ...
    def display_name(self, class_type: str) -> str: ...


def value_refusal(
    definitions: Definitions, prompt: Prompt, node_id: str, name: str, value: Any
) -> str | None:
    """Why the input of that node cannot have that value, or None."""
    class_type = graph.class_type(prompt, node_id)
    if class_type is None:
        return "there is no such node in the workflow"
    definition = definitions.inputs(class_type).get(name)
    given = graph.inputs(prompt, node_id)
    if definition is None and name not in given:
        return f"{definitions.display_name(class_type)} has no such input"
    source = graph.link(given.get(name))
    if source is not None:
        return f"it is connected to node {source}; edit that node instead"
    if definition is None:
        return None if isinstance(value, type(given[name])) else "it must be of the same type as before"
    if not definition.editable and name not in given:
        return "it takes a connection, not a value"
    return refusal(definition, value)


class Editing:
    """Reads and changes the parameters of jobs."""

    def __init__(self, control: Control, definitions: Definitions) -> None:
        self._control = control
        self._definitions = definitions

    async def params(self, any_id: str) -> dict[str, Any]:
        """What an editor needs: see GET params in the REST API."""
        now = await self._now(await self._control.registry.load(any_id))
        prompt = with_edits(now.prompt, pending(now.view.edits))
        now = replace(now, request=replace(now.request, prompt=prompt))
        nodes = [node_id for node_id in prompt if not node_id.startswith(WATCH)]
        return {"nodes": {node_id: self._node(now, node_id) for node_id in nodes}}

    async def put(self, any_id: str, wanted: dict[str, Any], at_once: bool) -> JobView:
        """Store edits, {node_id: {input: value}}; at_once: pause, and go on with them."""
        job = await self._control.registry.load(any_id)
        now = await self._now(job)
        if job.state in ENDED:
            raise self._ended(now, wanted)
        values = await self.checked(now, wanted)
        view = await self._edited(job, partial(stored, job, values))
        if at_once and view.state in RUNS:
            await self._control.resume_when_paused(job)
        return job.view()

    async def checked(self, at: Standpoint, wanted: dict[str, Any]) -> dict[Path, Any]:
        """The values asked for, if the job can be run with them. Raises EditRefused or RunRefused."""
        values = self._accepted(at, wanted)
        edits = _edits(at.prompt, values)
        future = with_edits(at.prompt, pending(at.view.edits) | edits)
        sampler = in_graph(future, at.view.display_node_id)
        await self._control.queue.prepare(at.job_id, replace(at.request, prompt=future), sampler)
        return values

    async def undo_all(self, any_id: str) -> JobView:
        """Take back what is pending."""
        job = await self._control.registry.load(any_id)
        return await self._edited(job, without_pending)

    async def undo(self, any_id: str, node_id: str, name: str) -> JobView:
        """Take back a pending edit, or bring back what was in force before one that was applied."""
        job = await self._control.registry.load(any_id)
        if name not in job.view().edits.get(node_id, {}):
            told = {"node_id": node_id, "input": name, "reason": "it was not edited"}
            raise EditRefused(job.job_id, [told])
        applied = (node_id, name) not in pending(job.view().edits)
        if applied and (told := self._ineffective(await self._now(job), (node_id, name))):
            raise EditRefused(job.job_id, [told])
        return await self._edited(job, partial(_undone, (node_id, name)))

    async def rewritten(self, any_id: str, prompt: Any) -> Rewritten:
        """A whole graph to go on with: the node that samples has to be there still, as what it was."""
        job = await self._control.registry.load(any_id)
        if not isinstance(prompt, dict) or not all(graph.class_type(prompt, node) for node in prompt):
            raise RunRefused(job.job_id, "the prompt is not a workflow in API format.", [])
        now, before = await self._now(job), job.request.prompt
        sampler = in_graph(before, now.view.display_node_id)
        if sampler and graph.class_type(prompt, sampler) != graph.class_type(before, sampler):
            reason = "the sampler node must stay in the workflow, with its id and class"
            raise EditRefused(job.job_id, [{"node_id": sampler, "input": None, "reason": reason}])
        edits = difference(before, prompt)
        future = replace(now, request=replace(now.request, prompt=prompt))
        rejected = [told for path in edits if (told := self._ineffective(future, path)) is not None]
        if rejected:
            raise EditRefused(job.job_id, rejected)
        return Rewritten(prompt, edits)

    # -- inside ----------------------------------------------------------------------------------------

    async def _now(self, job: Job) -> Standpoint:
        view, request = job.view(), job.request
        return await asyncio.to_thread(self._standpoint, job.job_id, view, request)

    def _standpoint(self, job_id: str, view: JobView, request: Request) -> Standpoint:
        calls = self._control.registry.recordings.calls(job_id)
        return Standpoint(job_id, request, view, sampled(view, request.prompt, calls))

    async def _edited(self, job: Job, change: Callable[[History], History]) -> JobView:
        """Whoever is told that an edit is stored can rely on it."""
        view = job.edit(change)
        await asyncio.wrap_future(self._control.registry.store.written())
        return view

    def _accepted(self, at: Standpoint, wanted: dict[str, Any]) -> dict[Path, Any]:
        """The edits one by one; raises EditRefused with all that cannot be made."""
        rejected: list[dict[str, Any]] = []
        paths = _paths(wanted)
        for path, value in paths.items():
            reason = value_refusal(self._definitions, at.prompt, *path, value)
            told = _told(path, reason) if reason else self._ineffective(at, path)
            if told is not None:
                rejected.append(told)
        if rejected:
            raise EditRefused(at.job_id, rejected)
        return paths

    def _ended(self, at: Standpoint, wanted: dict[str, Any]) -> IllegalTransition:
        """Why a job that has ended is not edited, and the way that there is."""
        state, rejected = at.view.state, []
        for path in _paths(wanted):
            reason, rewind = self._way(at, path, self._verdict(at, path))
            rejected.append(_told(path, reason, rewind))
        ways = any("rewind" in told for told in rejected)
        instead = "rewind it and send the edits as `params`" if ways else "queue its workflow as a new job"
        because = f"it is {state.value}; {instead}."
        return IllegalTransition("edit", at.job_id, state, because, rejected)

    def _ineffective(self, at: Standpoint, path: Path) -> dict[str, Any] | None:
        found = self._verdict(at, path)
        return _told(path, *self._way(at, path, found)) if found.kind is VerdictKind.CONSUMED else None

    def _way(self, at: Standpoint, path: Path, found: Verdict) -> tuple[str, dict[str, Any] | None]:
        """What an edit of that input would do or, where it cannot be made now, the rewind that allows it."""
        view, used_by = at.view, found.used_by
        go = "Pause the job and rewind" if view.state in RUNS else "Rewind"
        if used_by is not None and not used_by.on_record:
            return f"{found.reason} To change it, queue the workflow as a new job.", None
        if used_by is not None:
            sampler = self._name(at.prompt, used_by.node_id)
            over = used_by.progress in (Progress.CUT, Progress.DONE)
            why = f"{sampler} is done" if over else f"{sampler} used it up when it began"
            told = f"{why}. {go} to it (step 0) to change this."
            return told, {"node_id": used_by.node_id, "step": 0}
        name = view.display_node_id
        on_record = any(one.node_id == name and one.on_record for one in at.sampled)
        if view.state in ENDED and name is not None and on_record:
            told = f"The job is {view.state.value}. {go} to {self._name(at.prompt, name)} "
            told += f"(step {view.step}) to change this."
            return told, {"node_id": view.display_node_id, "step": view.step}
        return found.reason, None

    def _verdict(self, at: Standpoint, path: Path) -> Verdict:
        return verdict(at.prompt, *path, at.sampled, self._type_of)

    def _name(self, prompt: Prompt, node_id: str) -> str:
        """As the panel shows it."""
        known = in_graph(prompt, node_id)
        return node_id if known is None else f"{self._title(prompt, known)} #{node_id}"

    def _type_of(self, class_type: str, name: str) -> str | None:
        definition = self._definitions.inputs(class_type).get(name)
        return None if definition is None else definition.type

    def _title(self, prompt: Prompt, node_id: str) -> str:
        title = graph.title(prompt, node_id)
        class_type = graph.class_type(prompt, node_id) or ""
        return self._definitions.display_name(class_type) if title is None else title

    def _node(self, at: Standpoint, node_id: str) -> dict[str, Any]:
        class_type = graph.class_type(at.prompt, node_id) or ""
        definitions = self._definitions.inputs(class_type)
        values = {
            name: self._input(at, (node_id, name), value, definitions.get(name))
            for name, value in graph.inputs(at.prompt, node_id).items()
            if graph.link(value) is None
        }
        return {"class_type": class_type, "title": self._title(at.prompt, node_id), "inputs": values}

    def _input(self, at: Standpoint, path: Path, value: Any, definition: Definition | None) -> dict[str, Any]:
        edits = at.view.edits.get(path[0], {}).get(path[1], ())
        original = edits[0].before if edits else value
        found = self._verdict(at, path)
        reason, rewind = self._way(at, path, found)
        known = definition or Definition(type(value).__name__.upper())
        return {
            "value": value,
            "original": original,
            "modified": value != original,
            "verdict": found.kind.value,
            "reason": reason,
            "rewind": rewind,
            "type": known.type,
            "min": known.min,
            "max": known.max,
            "step": known.step,
            "options": None if known.options is None else list(known.options),
            "multiline": known.multiline,
        }


def _paths(wanted: dict[str, Any]) -> dict[Path, Any]:
    return {
        (node_id, name): value
        for node_id, named in wanted.items()
        for name, value in (named if isinstance(named, dict) else {"": named}).items()
    }


def _told(path: Path, reason: str, rewind: dict[str, Any] | None = None) -> dict[str, Any]:
    """Of an edit that was refused; `rewind`: to where it is possible."""
    told = {"node_id": path[0], "input": path[1], "reason": reason.rstrip(".")}
    return told if rewind is None else told | {"rewind": rewind}


def _edits(in_force: Prompt, values: dict[Path, Any]) -> Edits:
    return {
        (node_id, name): Edit(
            graph.inputs(in_force, node_id).get(name), value, chosen=is_choice(in_force, node_id, name)
        )
        for (node_id, name), value in values.items()
    }


def stored(job: Job, values: dict[Path, Any], history: History) -> History:
    """With those values pending; under the lock, as what is in force may have changed since the check."""
    for path, edit in _edits(job.request.prompt, values).items():
        history = changed(history, path, edit)
    return history


def _undone(path: Path, history: History) -> History:
    newest = history[path[0]][path[1]][-1]
    if newest.from_step is None:
        return changed(history, path, None)
    return changed(history, path, Edit(newest.after, newest.before))
