"""How long what is left of a job will take: the evaluations of its sampling call, and the nodes to come.

Guarded by the job's lock. Summed up when a node starts or ends, not with each evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..workflow.graph import class_type
from ..workflow.verdicts import ancestors, in_graph
from .node_times import NodeTimes, Task
from .request import Request
from .stopwatch import Stopwatch
from .transitions import ENDED
from .view import JobView, Timing


@dataclass(frozen=True)
class Sum:
    """Of several parts. known: whether of any; rough: whether not of all"""

    seconds: float = 0.0
    known: bool = False
    rough: bool = False

    def plus(self, seconds: float | None) -> Sum:
        if seconds is None:
            return replace(self, rough=True)
        return Sum(self.seconds + seconds, True, self.rough)


@dataclass(frozen=True)
class _Nodes:
    """Those that have not begun. of: what they were summed up of; samples: the job's sampler is among them"""

    of: tuple[Any, ...]
    sum: Sum
    samples: bool


class Outlook:
    """`clock` is monotonic, in seconds."""

    def __init__(self, times: NodeTimes, clock: Callable[[], float]) -> None:
        self._times, self._clock = times, clock
        self._left: tuple[Task, ...] | None = None  # that have not begun; None: as the prompt tells
        self._told: tuple[Request | None, str | None, tuple[Task, ...]] = (None, None, ())  # by the prompt
        self._at_work: Task | None = None
        self._begun: dict[str, tuple[Task, float, int]] = {}  # when, and after how many disturbances
        self._nodes = _Nodes((), Sum(), False)
        self.disturbances = 0  # evaluations that were replayed, and pauses

    def begins(self, task: Task, left: tuple[Task, ...] | None) -> None:
        """left: the nodes that will run after it, None where that is not known"""
        self._begun[task.node_id] = task, self._clock(), self.disturbances
        self._at_work = task
        if left is not None:
            self._left = tuple(one for one in left if one.node_id not in self._begun)

    def ends(self, workflow_id: str | None, node_id: str) -> None:
        """Its time is learned where all of it was work."""
        task, began, disturbances = self._begun.pop(node_id, (None, 0.0, 0))
        if task is not None and disturbances == self.disturbances:
            self._times.learn(workflow_id, task, self._clock() - began)

    def forget(self) -> None:
        """Another run is to come, or the job is at another place."""
        self._left = self._at_work = None
        self._begun.clear()

    def timing(self, view: JobView, request: Request, stopwatch: Stopwatch) -> Timing:
        known = view.total_steps is not None and view.state not in ENDED
        timing = stopwatch.read(max(0, (view.total_steps or 0) - view.step) if known else None)
        if view.state in ENDED:
            return timing
        left = self._sum(view, request, timing.eta_s)
        if not left.known:
            return timing
        return Timing(timing.active_s, timing.paused_s, timing.mean_step_s, left.seconds, left.rough)

    def _sum(self, view: JobView, request: Request, steps_s: float | None) -> Sum:
        """steps_s: that the rest of the sampling call will take"""
        nodes, at = self._of_nodes(view, request), self._at_work
        total, here = nodes.sum, at is not None and at.node_id == view.node_id
        if at is not None and not here:
            total = total.plus(self._rest(view, at))
        samples = nodes.samples or at is None or (here and at.node_id in self._begun)
        if view.node_id is None or not samples:
            return total
        return total.plus(self._rest_of_sampler(view, request, at if here else None, steps_s))

    def _rest(self, view: JobView, at: Task) -> float | None:
        """Of the node that began last."""
        if at.node_id not in self._begun:
            return 0.0
        expected = self._times.expected(view.origin.workflow_id, at)
        return None if expected is None else max(0.0, expected - (self._clock() - self._begun[at.node_id][1]))

    def _rest_of_sampler(
        self, view: JobView, request: Request, at: Task | None, steps_s: float | None
    ) -> float | None:
        """While nobody knows how long its steps take, what it took in other jobs."""
        if steps_s is not None:
            return steps_s
        if at is not None:
            return self._rest(view, at)
        node_id = in_graph(request.prompt, view.display_node_id)
        kind = class_type(request.prompt, node_id)
        if node_id is None or kind is None:
            return None
        return self._times.expected(view.origin.workflow_id, Task(node_id, node_id, kind))

    def _of_nodes(self, view: JobView, request: Request) -> _Nodes:
        left = self._left if self._left is not None else self._as_the_prompt_tells(view, request)
        of = self._times.version, left, view.node_id, view.origin.workflow_id
        if self._nodes.of == of:
            return self._nodes
        total = Sum()
        for task in left:
            if task.node_id != view.node_id:
                total = total.plus(self._times.expected(view.origin.workflow_id, task))
        self._nodes = _Nodes(of, total, any(task.node_id == view.node_id for task in left))
        return self._nodes

    def _as_the_prompt_tells(self, view: JobView, request: Request) -> tuple[Task, ...]:
        """Where no run does: all but what the sampler that the job came to depends on, and what is done."""
        of, node_id, tasks = self._told
        if of is request and node_id == view.display_node_id:
            return tasks
        prompt, sampler = request.prompt, in_graph(request.prompt, view.display_node_id)
        done = set(request.kept.done) | (set() if sampler is None else ancestors(prompt, sampler))
        wanted = set(prompt) if request.outputs is None else set()
        for output in request.outputs or ():
            wanted |= ancestors(prompt, output)
        kinds = ((node_id, class_type(prompt, node_id)) for node_id in prompt if node_id in wanted - done)
        tasks = tuple(Task(node, node, kind) for node, kind in kinds if kind is not None)
        self._told = request, view.display_node_id, tasks
        return tasks
