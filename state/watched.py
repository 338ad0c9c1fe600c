"""One job as ComfyUI's worker thread drives it: sampling calls, evaluations, steps, stops.

Standard library only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .breakpoints import Breakpoint, Kind, Observation, hit, met
from .core import Core
from .evaluation import InFlight, InterruptFlag, Outcome
from .telemetry import Telemetry
from .teller import Work, at_once
from .timing import Mode
from .transitions import ENDED, A, C, Directive, Event, F, H, P, Q, R
from .view import AbortMode, Change, JobError, JobView, PauseReason, QueuePolicy

PAUSE_BUDGET_S = 1.5  # an evaluation that ends within this is kept; the rest of 2 s is for unloading models
PUBLISH_EVERY_S = 0.1


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
        later: Callable[[Work], object] = at_once,
    ) -> None:
        """`later` does something while the model works, which is not to wait for it."""
        super().__init__(view, listener, clock, wall)
        self._timer = timer
        self._later = later
        self._telling = False  # that is to be done, or is being done
        self._in_flight = InFlight(flag, clock)
        self._in_call = False  # inside a watched sampling call
        self._call = self.prompt_id  # the run that it is, or was, a call of
        self._steps_left: int | None = None
        self._untold = False  # a step was done that nobody was told of: it can wait until the model works
        self._step_s = 0.0  # what the evaluations since the newest step took
        self._measured: list[Telemetry] = []  # that nobody stored yet
        self._ordinals: dict[str, int] = {}  # node_id -> sampling calls that the present run began there
        self._place: tuple[str, int] | None = None  # (node_id, ordinal) of the newest call, of any run
        self._total_before: int | None = None  # of the call as it was in the run before
        self._trial = False  # the run tries edits, and has not answered an evaluation with them
        self._passed: set[str] = set()  # nodes before which the job was paused, and went on
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

    def enter_call(self, prompt_id: str, node_id: str, total_steps: int, policy: QueuePolicy) -> int | None:
        """A sampling call begins: its ordinal in the node, or None when it is not to be watched."""
        with self._lock:
            if self._in_call or prompt_id != self.prompt_id or self.state in (C, F) or self._finished:
                return None
            if self.state is H and not self.run_active:
                return None  # another prompt with the id of a parked job's run
            self.start(prompt_id)
            self._in_call, self._call = True, prompt_id
            ordinal = self._ordinals.get(node_id, 0)
            self._ordinals[node_id] = ordinal + 1
            if self._place is None and node_id == self._view.node_id:
                self._place = node_id, ordinal  # where an earlier server left it
            if self._place != (node_id, ordinal):
                self._place = (node_id, ordinal)
                self._step_s = 0.0
                self._set(step=0, evaluations=0, telemetry=None)
            self._set(node_id=node_id, total_steps=total_steps, queue_policy=policy)
            self._publish(None)
            return ordinal

    def reach(self, prompt_id: str, node_id: str, always: bool) -> bool:
        """A node is about to run. Whether the job is to be paused before it: once, until it is rewound.

        A pause that was asked for takes effect here, too. always: without a breakpoint as well
        """
        with self._lock:
            if self._in_call or prompt_id != self.prompt_id or self.state in ENDED or self._finished:
                return False
            self.start(prompt_id)
            self._call = prompt_id
            if node_id not in self._passed:
                self._passed.add(node_id)
                which = [one for one in self._view.breakpoints if one.kind is Kind.NODE and one.enabled]
                which = [one for one in which if one.node_id == node_id]
                told = {"before": node_id}
                if always and not which and self.state is R:
                    self._fire(Event.PAUSE, told, pause_reason=PauseReason.BREAKPOINT)
                self._count(which, told, PauseReason.BREAKPOINT)
            if self.state is P:
                self._set(paused_before=node_id)
            return self.state is P

    def reschedule(self, total_steps: int) -> None:
        """The call has another number of steps than its sigmas tell, as its schedule was edited."""
        with self._lock:
            self._set(total_steps=total_steps)
            self._publish(None)

    def leave_call(self) -> None:
        with self._lock:
            self._in_call = False
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
            directive = self.directive()
            if directive is Directive.GO:
                if self._untold and self._clock() - self._published >= PUBLISH_EVERY_S and not self._telling:
                    self._telling = True
                    self._later(self._tell)
                self._in_flight.begin()
            return directive

    def end_evaluation(self, outcome: Outcome) -> bool:
        """Whether the answer is void: it was interrupted here, to pause or to abort."""
        with self._lock:
            void, seconds = self._in_flight.end(outcome)
            if outcome is Outcome.ANSWERED and not void:
                self._watch.evaluated(seconds)
                self._step_s += seconds
            return void

    def recorded(self, evaluations: int, sigma: float, live: bool) -> None:
        """So many evaluations of this call have been answered; the newest was at noise level `sigma`.

        A replay on its way to where the job stopped does not count backwards.
        """
        with self._lock:
            self._trial = self._trial and not live
            if live and self._view.take is not None:
                self._note("take_dropped", {"node_id": self._view.take.moment.node_id}, take=None)
            if live or evaluations > self._view.evaluations:
                self._set(evaluations=evaluations, sigma=sigma)

    def hit(self, kind: Kind, error: JobError | None = None) -> bool:
        """That happened in an evaluation. Whether it is to be void, and the job paused before it."""
        with self._lock:
            node_id = self._view.node_id
            which = [one for one in self._view.breakpoints if one.kind is kind and one.enabled]
            which = [one for one in which if one.node_id in (None, node_id)]
            told = {"error": error.to_json()} if error else {}
            reason = PauseReason.NAN if kind is Kind.NAN else PauseReason.BREAKPOINT
            stops = self._count(which, told, reason)
            if stops:
                self._set(error=error)
            return stops

    def stepped(self, seen: Observation, live: bool, pause_at: int) -> None:
        """The sampler finished a step. Only a live one can pause the job."""
        step = seen.step
        with self._lock:
            total = self._view.total_steps
            known = {"step": step, "total_steps": None if total is None or step > total else total}
            if not live:
                if step > self._view.step:
                    self._set(**known)
                return
            self._watch.stepped()
            self._set(**known, telemetry=self._measured_in(seen))
            self._untold = True
            if self._steps_left is not None:
                self._steps_left -= 1
            if self.state is R and self._steps_left == 0:
                self._fire(Event.PAUSE, pause_reason=PauseReason.STEP)
            elif self.state is R and step == pause_at:
                self._fire(Event.PAUSE, pause_reason=PauseReason.BREAKPOINT)
            which = [one for one in self._view.breakpoints if met(one, self._view.node_id, seen)]
            self._count(which, {"sigma": seen.sigma, "change": seen.change}, PauseReason.BREAKPOINT)
            if self._untold and self.state is not R:
                self._publish(None)  # no model is about to work

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
        """The run can not go on where the job stopped: it is paused there again, and the run ends."""
        with self._lock:
            if self.state in (Q, R):
                self._fire(Event.PAUSE, pause_reason=PauseReason.USER)
            if self.state is P:
                fields = {"held": False, "error": error, "paused_at_step": self._view.step}
                fields |= {"total_steps": self._total_before, "standing": None}
                self._fire(Event.STOPPED, {"error": error.to_json()}, **fields)

    def save_measured(self, save: Callable[[list[Telemetry]], None]) -> None:
        """Hand over what was measured since this was asked last, in order. `save` must not block."""
        with self._lock:
            measured, self._measured = self._measured, []
            if measured:
                save(measured)

    # -- under the lock --------------------------------------------------------------------------------

    def _tell(self) -> None:
        with self._lock:
            self._telling = False
            if self._untold:  # else something else told of it meanwhile
                self._publish(None)

    def _publish(self, change: Change | None) -> None:
        self._untold = False
        super()._publish(change)

    def _measured_in(self, seen: Observation) -> Telemetry:
        seconds, self._step_s = self._step_s, 0.0
        node_id = self._view.node_id or ""
        of_step = Telemetry(node_id, seen.step, seen.sigma, seen.change, seen.norm, seconds, seen.memory)
        self._measured.append(of_step)
        return of_step

    def _count(self, which: list[Breakpoint], told: dict[str, Any], reason: PauseReason) -> bool:
        """Note those breakpoints; whether one of them pauses the job."""
        if not which:
            return False
        self._set(breakpoints=hit(self._view.breakpoints, which))
        told = {"breakpoints": [one.to_json() for one in which], **told}
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
