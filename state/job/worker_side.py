"""One job as ComfyUI's worker thread drives it: sampling calls, evaluations, steps, stops.

Standard library only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..breakpoints.breakpoints import AT_STEPS, Breakpoint, Kind, Observation, hit, met
from ..exactness import Exactness
from ..node import Node, itself, told_of
from ..states import AbortMode, PauseReason, QueuePolicy
from ..telemetry import Telemetry
from .in_flight import InFlight, InterruptFlag, Outcome
from .machine import Core
from .stopwatch import Mode
from .transitions import ENDED, TRANSITIONS, A, C, Directive, Event, F, H, P, Q, R
from .view import Change, JobError, JobView, Moment
from .warnings import NOT_KEPT

PAUSE_BUDGET_S = 1.5  # an evaluation that ends within this is kept; the rest of 2 s is for unloading models
PUBLISH_EVERY_S = 0.1


@dataclass
class _Replay:
    """Where the replay of an earlier call is."""

    at: Moment


@dataclass(frozen=True)
class Marked:
    """What a step left in the job: what was measured of it, and how often breakpoints were met by then."""

    measured: Telemetry | None = None
    hits: dict[str, int] = field(default_factory=dict)


def _total(total_steps: int | None, step: int) -> int | None:
    """None once a sampler has done more steps than its schedule has: then nobody knows."""
    return None if total_steps is None or step > total_steps else total_steps


class Watched(Core):
    """What the worker thread tells, and what it is told to do; see Job."""

    def __init__(
        self,
        view: JobView,
        flag: InterruptFlag,
        listener: Callable[[Any, JobView, Change | None], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
        timer: Callable[[float, Callable[[], None]], Any] = threading.Timer,
    ) -> None:
        super().__init__(view, listener, clock, wall)
        self._timer = timer
        self._in_flight = InFlight(flag, clock)
        self._in_call = False  # inside a watched sampling call
        self._call = self.prompt_id  # the run that it is, or was, a call of
        self._steps_left: int | None = None
        self._untold = False  # a step was done that nobody was told of: it can wait until the model works
        self._step_s = 0.0  # what the evaluations since the newest step took
        self._measured: list[Telemetry] = []  # that nobody stored yet
        self._ordinals: dict[str, int] = {}  # node_id -> sampling calls that the present run began there
        self._replay: _Replay | None = None  # inside an earlier call than the job has come to
        self._total_before: int | None = None  # of the call as it was in the run before
        self._trial = False  # the run tries edits, and has not answered an evaluation with them
        self._passed: set[str] = set()  # nodes (as they execute) before which it was paused, and went on
        self.came_to: tuple[Node, ...] = ()  # where the job stood when the present run was queued
        self._leaving: str | None = None  # a run that was told to end when another one was queued
        self._fickle: dict[str, str] = {}  # nodes whose answers cannot be kept for a later run -> their class
        self._finished = False  # an abort with mode finish has been carried out
        self.run_active = False  # the present run is in ComfyUI's queue or executing

    def start(self, prompt_id: str) -> None:
        """The run reached the front of the queue."""
        with self._lock:
            if prompt_id != self.prompt_id or self._started:
                return
            self._started = self.run_active = True
            if self.state is Q:
                self._fire(Event.START)
            elif self.state is P:
                self._watch.switch(Mode.ACTIVE)

    def must_leave(self, prompt_id: str) -> bool:
        """Whether that run was told to end: what catches ComfyUI's interrupt may sample on all the same."""
        with self._lock:
            if prompt_id != self.prompt_id:
                return prompt_id == self._leaving
            stopped = self.state is A and self._view.abort_mode is AbortMode.STOP
            return self.run_active and (stopped or (self.state is H and not self._view.held))

    def enter_call(self, prompt_id: str, node: Node, policy: QueuePolicy) -> int | None:
        """A sampling call begins: its ordinal in the node, or None when it is not to be watched."""
        with self._lock:
            if self._in_call or prompt_id != self.prompt_id or self.state in (C, F) or self._finished:
                return None
            if self.state is H and not self.run_active:
                return None  # another prompt with the id of a parked job's run
            self.start(prompt_id)
            self._in_call, self._call = True, prompt_id
            node_id = node.node_id
            ordinal = self._ordinals.get(node_id, 0)
            self._ordinals[node_id] = ordinal + 1
            self._set(queue_policy=policy)
            return ordinal

    def begin_call(self, at: Moment) -> None:
        """The call that was entered begins, of which `at.evaluations` are on record.

        Where others came after it, the job stays where it has come to: this one is only replayed.
        """
        with self._lock:
            view = self._view
            is_newest = (at.node_id, at.call) == (view.node_id, view.call)
            if at.evaluations and not is_newest and view.node_id is not None:
                self._replay = _Replay(replace(at, step=0, evaluations=0))
                return
            if not is_newest:
                self._step_s = 0.0
                at = replace(at, step=0, evaluations=0)
                self._set(**asdict(at), telemetry=None)
            self._set(total_steps=_total(at.total_steps, self._view.step))
            self._publish(None)

    def replays(self) -> bool:
        """Whether the present call is an earlier one than the job has come to."""
        with self._lock:
            return self._replay is not None

    def reach(self, prompt_id: str, node: Node, always: bool) -> bool:
        """A node is about to run. Whether the job is to be paused before it: once, until it is rewound.

        A pause that was asked for takes effect here, too. always: without a breakpoint as well
        """
        with self._lock:
            if self._in_call or prompt_id != self.prompt_id or self.state in ENDED or self._finished:
                return False
            self.start(prompt_id)
            self._call = prompt_id
            if node.node_id not in self._passed:
                self._passed.add(node.node_id)
                which = [one for one in self._view.breakpoints if one.kind is Kind.NODE and one.enabled]
                which = [one for one in which if one.is_about(node)]
                told = {"before": node.display_id} | told_of(node.loops)
                if always and not which and self.state is R:
                    self._fire(Event.PAUSE, told, pause_reason=PauseReason.BREAKPOINT)
                self._count(which, told, PauseReason.BREAKPOINT)
            if self.state is P:
                self._set(paused_before=node)
            return self.state is P

    def reschedule(self, total_steps: int, step: int) -> None:
        """The call has another number of steps than its sigmas tell: its schedule was edited after `step`."""
        with self._lock:
            if self._replay is not None:
                at = self._replay.at
                self._replay.at = replace(at, total_steps=total_steps, step=max(step, at.step))
                return
            step = max(step, self._view.step)
            self._set(total_steps=_total(total_steps, step), step=step)
            self._publish(None)

    def leave_call(self) -> None:
        with self._lock:
            self._in_call, self._replay = False, None
            if self._untold:
                self._publish(None)

    def directive(self) -> Directive:
        with self._lock:
            if self._call != self.prompt_id or (self.state is H and not self._view.held):
                return Directive.PARK  # this run is to end, and so is what a node samples on although it was
            if self.state in (P, H):
                return Directive.PAUSE
            if self.state is not A:
                return Directive.GO
            return Directive.FINISH if self._view.abort_mode is AbortMode.FINISH else Directive.STOP

    def finished(self) -> None:
        """The call returned the newest `denoised`: what samples after it is none of Midrun's business.

        Where the run has begun no call yet, that is still to come.
        """
        with self._lock:
            self._finished = bool(self._ordinals)

    def begin_evaluation(self) -> Directive:
        with self._lock:
            if self._replay is not None:  # what was recorded of it has ended, so this is where the job is
                at, self._replay = self._replay.at, None
                self._step_s = 0.0
                self._set(**asdict(at), telemetry=None)
            directive = self.directive()
            if directive is Directive.GO:
                self._in_flight.begin()
            return directive

    def end_evaluation(self, outcome: Outcome) -> tuple[bool, float]:
        """Whether the answer is void, as it was interrupted here to pause or to abort; seconds it took."""
        with self._lock:
            return self._in_flight.end(outcome)

    @property
    def evaluation_s(self) -> float | None:
        """Seconds that an evaluation takes, by the running average."""
        return self._in_flight.mean_s

    def tell_exactness(self, exactness: Exactness) -> None:
        """What a resume will be like; of an earlier call than the job has come to, nothing is told."""
        with self._lock:
            if self._replay is None and self._view.exactness != exactness:
                kinds = self._view.exactness.kind, exactness.kind
                if kinds[0] == kinds[1]:
                    self._set(exactness=exactness)
                else:
                    self._note("exactness", exactness.to_json(), exactness=exactness)

    def recorded(self, evaluations: int, sigma: float, live: bool, seconds: float = 0.0) -> None:
        """So many evaluations of this call have been answered; the newest was at noise level `sigma`.

        A replay on its way to where the job stopped does not count backwards. seconds: that a live one took
        """
        with self._lock:
            self._trial = self._trial and not live
            self._watch.evaluated(seconds)
            self._step_s += seconds
            if live and self._replay is None and self._view.take is not None:
                self._note("take_dropped", {"node_id": self._view.take.moment.node_id}, take=None)
            if self._replay is not None:
                self._replay.at = replace(self._replay.at, evaluations=evaluations, sigma=sigma)
            elif live or evaluations > self._view.evaluations:
                self._set(evaluations=evaluations, sigma=sigma)

    def hit(self, kind: Kind, error: JobError | None = None) -> bool:
        """That happened in an evaluation. Whether it is to be void, and the job paused before it."""
        with self._lock:
            node = self._view.node
            which = [one for one in self._view.breakpoints if one.kind is kind and one.enabled]
            which = [one for one in which if one.is_about(node)]
            told = {"error": error.to_json()} if error else {}
            reason = PauseReason.NAN if kind is Kind.NAN else PauseReason.BREAKPOINT
            stops = self._count(which, told, reason)
            if stops:
                self._set(error=error)
                if kind is Kind.NAN:
                    self._in_flight.interrupt()  # what follows from it is void, too
            return stops

    def stepped(self, seen: Observation, live: bool, pause_at: int) -> Marked:
        """The sampler finished a step. Only a live one can pause the job. What is to be recorded with it."""
        step = seen.step
        with self._lock:
            if self._replay is not None:
                at = self._replay.at
                self._replay.at = replace(at, step=step, total_steps=_total(at.total_steps, step))
                return Marked()
            known = {"step": step, "total_steps": _total(self._view.total_steps, step)}
            if not live:
                if step > self._view.step:
                    self._set(**known)
                return Marked()
            self._watch.stepped()
            measured = self._measured_in(seen)
            self._set(**known, telemetry=measured)
            self._untold = True
            if self._steps_left is not None:
                self._steps_left -= 1
            if self.state is R and self._steps_left == 0:
                self._fire(Event.PAUSE, pause_reason=PauseReason.STEP)
            elif self.state is R and step == pause_at:
                self._fire(Event.PAUSE, pause_reason=PauseReason.BREAKPOINT)
            node = self._view.node
            which = [one for one in self._view.breakpoints if met(one, node, seen)]
            self._count(which, {"sigma": seen.sigma, "change": seen.change}, PauseReason.BREAKPOINT)
            if self._untold and self.state is not R:
                self._publish(None)  # no model is about to work
            return Marked(measured, {one.id: one.hits for one in self._view.breakpoints if one.hits})

    def may_stop_at(self, pause_at: int) -> bool:
        """Whether it may depend on the newest step if another evaluation begins. pause_at: as in `stepped`"""
        if pause_at or self._steps_left is not None or self.state is not R:
            return True
        return any(one.kind in AT_STEPS and one.enabled for one in self._view.breakpoints)

    def tell(self) -> None:
        """Of steps that nobody was told of yet, unless it is too soon after the last time."""
        with self._lock:
            if self._untold and self._clock() - self._published >= PUBLISH_EVERY_S:
                self._publish(None)

    def stopped(self, gpu_released: bool, detail: dict[str, Any], park: bool = False) -> Directive:
        """The sampler was left and its models were unloaded. `park`: do not even begin to hold."""
        with self._lock:
            if self.state is not P:
                return self.directive()
            self._steps_left = None
            fields = {"held": not park, "gpu_released": gpu_released, "paused_at_step": self._view.step}
            self._fire(Event.STOPPED, detail, **fields)
            return Directive.PARK if park else Directive.PAUSE

    def wait(self, timeout_s: float) -> Directive:
        with self._lock:
            if self.state is H:
                self._lock.wait(timeout_s)
            return self.directive()

    def park(self) -> bool:
        """Give the queue worker back. False when the job was resumed or aborted meanwhile."""
        with self._lock:
            if self.state is not H or not self._view.held:
                return False
            self._fire(Event.PARK, held=False)
            return True

    def fail(self, error: JobError) -> None:
        """A sampling call raised that. Where edits were tried, the job is set back to their step."""
        with self._lock:
            if self._trial:
                self.set_back(error)
            elif self.state in (Q, R, P, H):
                self._fire(Event.FAIL, {"error": error.to_json()}, error=error, held=False)

    def set_back(self, error: JobError) -> None:
        """The run cannot go on where the job stopped: it is paused there again, and the run ends."""
        with self._lock:
            if self.state in (Q, R):
                self._fire(Event.PAUSE, pause_reason=PauseReason.USER)
            if self.state is P:
                fields = {"held": False, "error": error, "paused_at_step": self._view.step}
                fields |= {"total_steps": self._total_before, "standing": None}
                self._fire(Event.STOPPED, {"error": error.to_json()}, **fields)

    def fickle(self, nodes: dict[str, str]) -> None:
        """These nodes will answer otherwise in a later run; told when the job stops. node_id -> class"""
        with self._lock:
            self._fickle = nodes

    def save_measured(self, save: Callable[[list[Telemetry]], None]) -> None:
        """Hand over what was measured since this was asked last, in order. `save` must not block."""
        with self._lock:
            measured, self._measured = self._measured, []
            if measured:
                save(measured)

    # -- under the lock --------------------------------------------------------------------------------

    def _fire(self, event: Event, detail: dict[str, Any] | None = None, **fields: Any) -> None:
        if self._fickle and TRANSITIONS.get((self.state, event)) in (H, F):
            code, told = NOT_KEPT
            named = ", ".join(f"{node_id} ({kind})" for node_id, kind in self._fickle.items())
            warnings = fields.get("warnings", self._view.warnings)
            fields["warnings"] = warnings | {code: told.format(named)}
        super()._fire(event, detail, **fields)

    def _publish(self, change: Change | None) -> None:
        self._untold = False
        super()._publish(change)

    def _measured_in(self, seen: Observation) -> Telemetry:
        seconds, self._step_s = self._step_s, 0.0
        node = self._view.node or itself("")
        measured = seen.sigma, seen.change, seen.norm, seconds, seen.memory
        of_step = Telemetry(node.node_id, seen.step, *measured, node.display_id, node.iteration)
        self._measured.append(of_step)
        return of_step

    def _count(self, which: list[Breakpoint], told: dict[str, Any], reason: PauseReason) -> bool:
        """Note those breakpoints; whether one of them pauses the job."""
        if not which:
            return False
        self._set(breakpoints=hit(self._view.breakpoints, which))
        told = {"breakpoints": [one.to_json() for one in which], **told_of(self._view.loops), **told}
        stops = any(not one.log_only for one in which)
        if stops and self.state is R:
            self._fire(Event.PAUSE, told, pause_reason=reason)
        else:
            self._note("breakpoint", told)
        return stops

    def _hurry(self) -> None:
        """Let the evaluation in flight end if that is soon, else interrupt it."""
        if not self._in_flight.running:
            return
        remaining = self._in_flight.remaining_s()
        if remaining > PAUSE_BUDGET_S:
            self._in_flight.interrupt()
            return
        serial = self._in_flight.serial
        patience = min(PAUSE_BUDGET_S, remaining + self._in_flight.slack_s())
        timer = self._timer(patience, lambda: self._overdue(serial))
        timer.daemon = True
        timer.start()

    def _overdue(self, serial: int) -> None:
        with self._lock:
            if self.state is P and self._in_flight.running and self._in_flight.serial == serial:
                self._in_flight.interrupt()
