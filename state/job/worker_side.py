"""One job as ComfyUI's worker thread drives it: the nodes of its run, its stops, how it ends.

On that thread. Standard library only.
"""

from __future__ import annotations

from typing import Any

from ..breakpoints.breakpoints import BreakpointKind, hit
from ..breakpoints.choosing import asked_by
from ..choice import Choice
from ..node import Node, told_of
from ..states import AbortMode, PauseReason, State
from ..wire import Wires
from ..workflow.edits import Path, newest
from .machine import Machine
from .meeting import meet
from .node_times import Task
from .transitions import ENDED, Directive, Event
from .view import JobError


class WorkerSide:
    """What the worker thread tells of a job, and what it is told to do."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def came_to(self) -> tuple[Node, ...]:
        """Where the job stood when the present run was queued."""
        return self._machine.run.came_to

    def must_leave(self, prompt_id: str) -> bool:
        """Whether that run was told to end: what catches ComfyUI's interrupt may sample on all the same."""
        m = self._machine
        with m.lock:
            if prompt_id != m.prompt_id:
                return prompt_id == m.run.leaving
            stopped = m.state is State.ABORTED and m.view.abort_mode is AbortMode.STOP
            return m.run.active and (stopped or m.is_parked)

    def taken(self) -> frozenset[Path]:
        """The inputs whose edits were applied where the job stands, so that no evaluation had them yet."""
        m = self._machine
        with m.lock:
            return newest(m.view.edits, m.view.step, m.view.node_id)

    def before_node(self, prompt_id: str, node: Node, always: bool) -> bool:
        """A node is about to run. Whether the job is to be paused before it: once, until it is rewound.

        A pause that was asked for takes effect here, too. always: without a breakpoint as well
        """
        m = self._machine
        with m.lock:
            run = m.run
            if not self._comes_to(prompt_id):
                return False
            if node.node_id not in run.passed:
                run.passed.add(node.node_id)
                which = m.enabled(BreakpointKind.NODE, node)
                told = {"before": node.display_id} | told_of(node.loops)
                if always and not which and m.state is State.RUNNING:
                    m.fire(Event.PAUSE, told, pause_reason=PauseReason.BREAKPOINT)
                meet(m, which, told, PauseReason.BREAKPOINT)
            if m.state is State.PAUSING:
                m.set(paused_before=node)
            return m.state is State.PAUSING

    def at_choice(self, prompt_id: str, node: Node, choice: Choice) -> bool:
        """That node is about to pass on what somebody is to choose. Whether the job is to be paused there."""
        m = self._machine
        with m.lock:
            if not self._comes_to(prompt_id):
                return False
            if m.state is State.RUNNING:
                m.set(breakpoints=hit(m.view.breakpoints, asked_by(m.view.breakpoints, node)))
                told = {"before": node.display_id, "choice": choice.to_json()} | told_of(node.loops)
                m.fire(Event.PAUSE, told, pause_reason=PauseReason.CHOICE)
            if m.state is State.PAUSING:
                m.set(paused_before=node, choice=choice)
            return m.state is State.PAUSING

    def stands(self, prompt_id: str, node: Node, wires: Wires) -> None:
        """What stands on the wires into that node, unless the run went on meanwhile. Any thread."""
        m = self._machine
        with m.lock:
            is_there = prompt_id == m.prompt_id and m.view.paused_before == node
            if is_there and m.state in (State.PAUSING, State.PAUSED):
                m.note("wires", {"before": node.display_id} | told_of(node.loops), wires=wires)

    def directive(self) -> Directive:
        with self._machine.lock:
            return self._machine.directive()

    def stopped(
        self, gpu_released: bool, detail: dict[str, Any], park: bool = False, gpu_free: int | None = None
    ) -> Directive:
        """The sampler was left and its models were unloaded. `park`: do not even begin to hold.

        gpu_free: bytes that are free on the device now; None where there is none, or nobody knows
        """
        m = self._machine
        with m.lock:
            if m.state is not State.PAUSING:
                return m.directive()
            m.run.steps_left = None
            m.outlook.disturbances += 1
            fields = {"held": not park, "gpu_released": gpu_released, "paused_at_step": m.view.step}
            fields |= {"gpu_free": None if park else gpu_free}  # others use it, once it made way
            m.fire(Event.STOPPED, detail, **fields)
            return Directive.PARK if park else Directive.PAUSE

    def wait(self, timeout_s: float) -> Directive:
        m = self._machine
        with m.lock:
            if m.state is State.PAUSED:
                m.lock.wait(timeout_s)
            return m.directive()

    def park(self) -> bool:
        """Give the queue worker back. False when the job was resumed or aborted meanwhile."""
        m = self._machine
        with m.lock:
            if m.state is not State.PAUSED or not m.view.held:
                return False
            m.fire(Event.PARK, held=False, gpu_free=None)
            return True

    def finished(self, sampled: bool = False) -> None:
        """The call returned the newest `denoised`: what samples after it is none of Midrun's business.

        Where the run has begun no call yet, that is still to come. sampled: ComfyUI has what it gave already
        """
        with self._machine.lock:
            self._machine.run.finished = sampled or bool(self._machine.run.ordinals)

    def fail(self, error: JobError) -> None:
        """A sampling call raised that. Where edits were tried, the job is set back to their step."""
        m = self._machine
        with m.lock:
            if m.run.trial:
                m.pause_after_failure(error)
            elif m.state in (State.QUEUED, State.RUNNING, State.PAUSING, State.PAUSED):
                m.fire(Event.FAIL, {"error": error.to_json()}, error=error, held=False)

    def pause_after_failure(self, error: JobError) -> None:
        """The run cannot go on where the job stopped: it is paused there again, and the run ends."""
        with self._machine.lock:
            self._machine.pause_after_failure(error)

    def node_begins(self, prompt_id: str, task: Task, left: tuple[Task, ...] | None) -> None:
        """A node of the run begins to work. left: see Outlook"""
        m = self._machine
        with m.lock:
            if prompt_id == m.prompt_id and m.state not in ENDED:
                m.outlook.begins(task, left)
                m.publish()

    def node_ends(self, prompt_id: str, node_id: str) -> None:
        m = self._machine
        with m.lock:
            if prompt_id == m.prompt_id:
                m.outlook.ends(m.view.origin.workflow_id, node_id)

    def fickle(self, nodes: dict[str, str]) -> None:
        """These nodes will answer otherwise in a later run; told when the job stops. node_id -> class"""
        with self._machine.lock:
            self._machine.fickle = nodes

    def _comes_to(self, prompt_id: str) -> bool:
        """That run comes to a node. Whether it can be paused there. Under the lock."""
        m = self._machine
        if m.run.in_call or prompt_id != m.prompt_id or m.state in ENDED or m.run.finished:
            return False
        m.start_run(prompt_id)
        m.at_work = m.run
        return True
