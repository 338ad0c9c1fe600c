"""The verbs for a job's parameters: what can be edited, with which effect, and storing edits that are sound.

On ComfyUI's event loop. All or nothing: a request with one bad edit changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from . import graph
from .control import Control, Rewritten
from .edits import (
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
from .errors import EditRefused, IllegalTransition, RunRefused
from .graph import Prompt
from .instrument import WATCH
from .job import Job
from .transitions import ENDED
from .values import Definition, refusal
from .verdicts import Kind, Verdict, in_graph, verdict
from .view import JobView, State


class Definitions(Protocol):
    """What nodes declare about their inputs."""

    def inputs(self, class_type: str) -> dict[str, Definition]: ...
    def display_name(self, class_type: str) -> str: ...


class Editing:
    """Reads and changes the parameters of jobs."""

    def __init__(self, control: Control, definitions: Definitions) -> None:
        self._control = control
        self._definitions = definitions

    async def params(self, any_id: str) -> dict[str, Any]:
        """What an editor needs: see GET params in the REST API."""
        job = await self._control.registry.load(any_id)
        view = job.view()
        prompt = with_edits(job.request.prompt, pending(view.edits))
        return {
            "nodes": {
                node_id: self._node(prompt, view, node_id)
                for node_id in prompt
                if not node_id.startswith(WATCH)
            }
        }

    async def put(self, any_id: str, wanted: dict[str, Any], at_once: bool) -> JobView:
        """Store edits, {node_id: {input: value}}; at_once: pause, and go on with them."""
        job = await self._control.registry.load(any_id)
        if job.state in ENDED:
            because = f"it is {job.state.value}; queue its workflow as a new job."
            raise IllegalTransition("edit", job.job_id, job.state, because)
        edits = await self.checked(job, wanted)
        view = await self._edited(job, partial(stored, edits))
        if at_once and view.state in (State.RUNNING, State.PAUSING, State.QUEUED):
            await self._control.resume_when_paused(job)
        return job.view()

    async def checked(self, job: Job, wanted: dict[str, Any]) -> Edits:
        """The edits asked for, if the job can be run with them. Raises EditRefused or RunRefused."""
        paths = self._accepted(job, wanted)
        in_force = job.request.prompt
        edits = {path: _edit(in_force, path, value) for path, value in paths.items()}
        future = with_edits(in_force, pending(job.view().edits) | edits)
        sampler = in_graph(future, job.view().display_node_id)
        await self._control.queue.prepare(job.job_id, replace(job.request, prompt=future), sampler)
        return edits

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
        if applied and (told := self._ineffective(job.request.prompt, job.view(), (node_id, name))):
            raise EditRefused(job.job_id, [told])
        return await self._edited(job, partial(_undone, (node_id, name)))

    async def rewritten(self, any_id: str, prompt: Any) -> Rewritten:
        """A whole graph to go on with: the node that samples has to be there still, as what it was."""
        job = await self._control.registry.load(any_id)
        if not isinstance(prompt, dict) or not all(graph.class_type(prompt, node) for node in prompt):
            raise RunRefused(job.job_id, "the prompt is not a workflow in API format.", [])
        view, before = job.view(), job.request.prompt
        sampler = in_graph(before, view.display_node_id)
        if sampler and graph.class_type(prompt, sampler) != graph.class_type(before, sampler):
            reason = "the node that samples has to stay in the workflow, as the node it is"
            raise EditRefused(job.job_id, [{"node_id": sampler, "input": None, "reason": reason}])
        edits = difference(before, prompt)
        rejected = [told for path in edits if (told := self._ineffective(prompt, view, path)) is not None]
        if rejected:
            raise EditRefused(job.job_id, rejected)
        return Rewritten(prompt, edits)

    # -- inside ----------------------------------------------------------------------------------------

    async def _edited(self, job: Job, change: Callable[[History], History]) -> JobView:
        """Whoever is told that an edit is stored can rely on it."""
        view = job.edit(change)
        await asyncio.wrap_future(self._control.registry.store.written())
        return view

    def _accepted(self, job: Job, wanted: dict[str, Any]) -> dict[Path, Any]:
        """The edits one by one; raises EditRefused with all that can not be made."""
        view, prompt = job.view(), job.request.prompt
        rejected: list[dict[str, Any]] = []
        paths: dict[Path, Any] = {}
        for node_id, named in wanted.items():
            values = named if isinstance(named, dict) else {"": named}
            for name, value in values.items():
                reason = self._refusal(prompt, node_id, name, value)
                told = {"node_id": node_id, "input": name, "reason": reason} if reason else None
                told = told or self._ineffective(prompt, view, (node_id, name))
                if told is not None:
                    rejected.append(told)
                paths[node_id, name] = value
        if rejected:
            raise EditRefused(job.job_id, rejected)
        return paths

    def _refusal(self, prompt: Prompt, node_id: str, name: str, value: Any) -> str | None:
        class_type = graph.class_type(prompt, node_id)
        if class_type is None:
            return "there is no such node in this job's workflow"
        definition = self._definitions.inputs(class_type).get(name)
        given = graph.inputs(prompt, node_id)
        if definition is None and name not in given:
            return f"{self._definitions.display_name(class_type)} has no such input"
        source = graph.link(given.get(name))
        if source is not None:
            return f"it is connected to node {source}; edit that node instead"
        if definition is None:
            return None if isinstance(value, type(given[name])) else "it is of another type"
        if not definition.editable and name not in given:
            return "it takes a connection, not a value"
        return refusal(definition, value)

    def _ineffective(self, prompt: Prompt, view: JobView, path: Path) -> dict[str, Any] | None:
        found = self._verdict(prompt, view, *path)
        if found.kind is not Kind.CONSUMED:
            return None
        return {"node_id": path[0], "input": path[1], "reason": found.reason.rstrip(".")}

    def _verdict(self, prompt: Prompt, view: JobView, node_id: str, name: str) -> Verdict:
        sampler = view.display_node_id if view.evaluations else None
        finished = view.total_steps is not None and view.step >= view.total_steps > 0
        return verdict(prompt, node_id, name, sampler, finished, self._type_of)

    def _type_of(self, class_type: str, name: str) -> str | None:
        definition = self._definitions.inputs(class_type).get(name)
        return None if definition is None else definition.type

    def _node(self, prompt: Prompt, view: JobView, node_id: str) -> dict[str, Any]:
        class_type = graph.class_type(prompt, node_id) or ""
        definitions = self._definitions.inputs(class_type)
        values = {
            name: self._input(prompt, view, (node_id, name), value, definitions.get(name))
            for name, value in graph.inputs(prompt, node_id).items()
            if graph.link(value) is None
        }
        title = graph.title(prompt, node_id)
        title = self._definitions.display_name(class_type) if title is None else title
        return {"class_type": class_type, "title": title, "inputs": values}

    def _input(
        self, prompt: Prompt, view: JobView, path: Path, value: Any, definition: Definition | None
    ) -> dict[str, Any]:
        edits = view.edits.get(path[0], {}).get(path[1], ())
        original = edits[0].before if edits else value
        found = self._verdict(prompt, view, *path)
        known = definition or Definition(type(value).__name__.upper())
        return {
            "value": value,
            "original": original,
            "modified": value != original,
            "verdict": found.kind.value,
            "reason": found.reason,
            "type": known.type,
            "min": known.min,
            "max": known.max,
            "step": known.step,
            "options": None if known.options is None else list(known.options),
            "multiline": known.multiline,
        }


def _edit(in_force: Prompt, path: Path, value: Any) -> Edit:
    return Edit(graph.inputs(in_force, path[0]).get(path[1]), value)


def stored(edits: Edits, history: History) -> History:
    for path, edit in edits.items():
        history = changed(history, path, edit)
    return history


def _undone(path: Path, history: History) -> History:
    newest = history[path[0]][path[1]][-1]
    if newest.from_step is None:
        return changed(history, path, None)
    return changed(history, path, Edit(newest.after, newest.before))
