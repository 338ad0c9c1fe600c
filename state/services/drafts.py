"""Many beginnings of one workflow: jobs that pause by themselves after a step, to be chosen from.

On ComfyUI's event loop. A draft is a prompt like any other, queued behind what waits, with a breakpoint.
"""

from __future__ import annotations

import copy
import random
import uuid
from dataclasses import replace
from typing import Any

from ..breakpoints.breakpoints import DRAFT, Breakpoint, BreakpointKind, of_workflow
from ..errors import BadRequest, DraftsRefused, MidrunError, RunRefused, short
from ..job.fork_grid import Axis, Cell, Variant, axes_of, cells, variant
from ..job.job import AT_WORK, Job
from ..job.request import SAMPLER_CLASSES, Request
from ..job.transitions import ENDED
from ..job.view import JobView
from ..states import QueuePolicy
from ..workflow.embedded import embedded
from ..workflow.graph import Prompt, class_type, inputs
from ..workflow.kept import Kept
from ..workflow.verdicts import ancestors
from .control import Control, PreparedRun
from .editing import Definitions, value_refusal
from .incoming import Incoming
from .new_job import Draft
from .several import GOES_ON, Outcome, Several, Which

MOST = 100
EXACT = 2**53 - 1  # the largest whole number that a page and a script read as the same
Vary = dict[str, dict[str, Any]]  # {node_id: {input: [values] or {"random": n}}}


class Drafts:
    """The verbs."""

    def __init__(
        self, control: Control, incoming: Incoming, definitions: Definitions, several: Several
    ) -> None:
        self._control = control
        self._incoming = incoming
        self._definitions = definitions
        self._several = several

    async def of_prompt(self, body: dict[str, Any], vary: Vary, step: int) -> list[JobView]:
        """body: of POST /prompt. Raises BadRequest, InvalidParams or RunRefused before there is any."""
        if not all(class_type(body["prompt"], node_id) for node_id in body["prompt"]):
            raise BadRequest("The prompt is not a workflow in API format.")
        return await self._make(self._incoming.request(body), vary, step)

    async def of_job(self, any_id: str, vary: Vary, step: int) -> list[JobView]:
        """Of the workflow of a job as it is now."""
        request = (await self._control.registry.load(any_id)).request
        return await self._make(replace(request, outputs=None, kept=Kept()), vary, step)

    async def go_on(self, ids: tuple[str, ...], step: int | None, keep_history: bool) -> list[Outcome]:
        """To that step, where they pause again, or to their end."""

        async def one(job_id: str) -> JobView:
            job = await self._control.registry.load(job_id)
            view = job.view()
            mark = next((known for known in view.breakpoints if known.id == DRAFT), None)
            if step is not None and view.step >= step and job.state in GOES_ON:
                return view  # it is there already
            if job.state not in ENDED:
                rest = tuple(known for known in view.breakpoints if known.id != DRAFT)
                where = mark.node_id if mark is not None else None
                job.set_breakpoints(rest if step is None else (*rest, _at(step, where)))
            if job.state in AT_WORK:
                return job.view()
            try:
                return await self._control.resume(job_id, None, keep_history)
            except MidrunError:
                if job.state not in ENDED:
                    job.set_breakpoints(view.breakpoints)
                raise

        return await self._several.each(Which(ids), one)

    # -- inside ----------------------------------------------------------------------------------------

    async def _make(self, base: Request, vary: Vary, step: int) -> list[JobView]:
        if not self._incoming.watched(self._stopping(base)):
            raise BadRequest("The workflow has no node that Midrun watches: put a KSampler (Midrun) into it.")
        chosen = {
            node: {name: self._values(base.prompt, node, name, told) for name, told in of.items()}
            for node, of in vary.items()
        }
        places = cells(uuid.uuid4().hex, axes_of(chosen), 1, MOST)
        self._check(base.prompt, places[0].axes)
        requests = [_varied(base, variant(cell)) for cell in places]
        runs = [await self._prepared(request) for request in requests]
        at = _at(step, first_sampler(base.prompt, list(chosen)))
        return [self._admit(*made, at).view() for made in zip(places, requests, runs, strict=True)]

    def _stopping(self, request: Request) -> Prompt:
        return self._control.instruments.stopping(request.prompt, of_workflow(request.extra_data))

    async def _prepared(self, request: Request) -> PreparedRun:
        sent = replace(request, prompt=self._stopping(request))
        try:
            return replace(await self._control.queue.prepare("", sent, None), behind=True)
        except RunRefused as error:
            told = f"ComfyUI refuses the workflow: {error.because}"
            raise DraftsRefused(told, error.rejected) from error

    def _admit(self, cell: Cell, request: Request, run: PreparedRun, at: Breakpoint) -> Job:
        job = self._control.registry.add(run.prompt_id, request, QueuePolicy.AUTO, Draft(cell, (at,)))
        assert job is not None, "its id is new"
        self._control.submitted(job)
        self._control.queue.put(run, ())
        return job

    def _check(self, prompt: Prompt, axes: tuple[Axis, ...]) -> None:
        """Raises InvalidParams where a value does not fit."""
        rejected = [
            {"node_id": axis.node_id, "input": axis.input, "reason": reason}
            for axis in axes
            for value in axis.values
            if (reason := value_refusal(self._definitions, prompt, axis.node_id, axis.input, value))
        ]
        if rejected:
            raise _refused(rejected)

    def _values(self, prompt: Prompt, node_id: str, name: str, told: Any) -> list[Any]:
        """As they were given, or so many at random."""
        if isinstance(told, list):
            return told
        count = int(told["random"])  # JSON has 3.0 for it, too
        kind = class_type(prompt, node_id)
        definition = None if kind is None else self._definitions.inputs(kind).get(name)
        if definition is None or definition.type != "INT":
            reason = "only whole numbers can be drawn at random"
            raise _refused([{"node_id": node_id, "input": name, "reason": reason}])
        low, high = int(definition.min or 0), int(min(definition.max or EXACT, EXACT))
        return random.sample(range(low, high + 1), min(count, high - low + 1))


def _refused(rejected: list[dict[str, Any]]) -> DraftsRefused:
    first = rejected[0]
    return DraftsRefused(f"{first['input']} of node {short(first['node_id'])}: {first['reason']}.", rejected)


def _at(step: int, node_id: str | None) -> Breakpoint:
    return Breakpoint(DRAFT, BreakpointKind.STEP, step, node_id)


def first_sampler(prompt: Prompt, varied: list[str]) -> str | None:
    """That in which drafts first differ by all that varies; None where any may be it."""
    samplers = [node_id for node_id in prompt if class_type(prompt, node_id) in SAMPLER_CLASSES]
    behind = {node_id: ancestors(prompt, node_id) for node_id in samplers}
    differing = [node_id for node_id in samplers if behind[node_id].issuperset(varied)]
    return min(differing, key=lambda node_id: len(behind[node_id] & {*samplers}), default=None)


def _varied(base: Request, wanted: Variant) -> Request:
    """A picture that it saves tells under the key `midrun` how it differs from the workflow beside it."""
    prompt = copy.deepcopy(base.prompt)
    for node_id, values in wanted.items():
        inputs(prompt, node_id).update(values)
    return replace(base, prompt=prompt, extra_data=embedded(base.extra_data, {"varied": wanted}))
