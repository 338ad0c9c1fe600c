"""The guarded state of one job, which its sides share: the view, the present run, and one lock over all.

Whoever uses it holds `lock`, on any thread; only the properties may be read without. Standard library only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ..breakpoints.actions import Action
from ..breakpoints.breakpoints import Breakpoint, BreakpointKind
from ..errors import IllegalTransition
from ..exactness import Exactness
from ..ledger import Entry
from ..node import Node
from ..states import AbortMode, PauseReason, State
from ..telemetry import Telemetry
from .in_flight import InFlight, InterruptFlag
from .node_times import NodeTimes
from .outlook import Outlook
from .request import Request
from .run import NextRun, Run
from .stopwatch import Mode, Stopwatch
from .transitions import TRANSITIONS, Directive, Event
from .view import AutoResume, Change, JobError, JobView, altered
from .warnings import NOT_FINISHED, NOT_KEPT

PAUSE_BUDGET_S = 1.5  # an evaluation that ends within this is kept; the rest of 2 s is for unloading models
PUBLISH_EVERY_S = 0.1
WHERE_IT_STOOD = ("paused_before", "choice", "auto_resume", "gpu_free", "wires")  # over once it goes on
OWN_LOOP = (
    "its node has a sampling loop of its own, which alone can make its result; let it run to its end, or "
    "abort it with mode stop."
)
Timer = Callable[[float, Callable[[], None]], Any]


def utc(seconds: float) -> str:
    """ISO 8601, UTC, milliseconds: sorts as text."""
    stamp = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


class Machine:
    """Carries out transitions, and tells of each, in order, under the lock."""

    def __init__(
        self,
        view: JobView,
        request: Request,
        flag: InterruptFlag,
        listener: Callable[[JobView, Change | None], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
        timer: Timer,
        times: NodeTimes,
    ) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.view = view
        self.request = request
        self.run = self.at_work = Run()  # at_work: that the worker thread executes, or executed last
        self.next_run: NextRun | None = None  # while it is being validated
        self.in_flight = InFlight(flag, clock)
        is_paused = view.state is State.PAUSED
        self.stopwatch = Stopwatch(clock, view.timing, Mode.PAUSED if is_paused else Mode.IDLE)
        self.let_pass: tuple[object, ...] | None = None  # where it was answered to go on, as `place_of`
        self.outlook = Outlook(times, clock)
        self.untold = False  # a step was done that nobody was told of: it can wait until the model works
        self.unsaved: list[Telemetry] = []  # measured, and not stored yet
        self.entries: list[Entry] = []  # for the ledger, the same
        self.fickle: dict[str, str] = {}  # nodes whose answers cannot be kept for a later run -> their class
        self._listener = listener
        self._clock, self._wall, self._timer = clock, wall, timer
        self._published = float("-inf")

    @property
    def request(self) -> Request:
        """What ComfyUI needs to run it again."""
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request
        self.set(origin=request.origin)

    @property
    def job_id(self) -> str:
        return self.view.job_id

    @property
    def prompt_id(self) -> str:
        return self.view.prompt_ids[-1]

    @property
    def state(self) -> State:
        return self.view.state

    @property
    def is_parked(self) -> bool:
        """Paused without a worker thread that waits."""
        return self.state is State.PAUSED and not self.view.held

    @property
    def needs_new_run(self) -> bool:
        """Neither in ComfyUI's queue nor executing: only a new run can go on."""
        return self.state is State.FAILED or self.is_parked

    def directive(self) -> Directive:
        """What the worker thread is to do now."""
        if self.at_work is not self.run or self.is_parked:
            return Directive.PARK  # that run is to end, and so is what a node samples on although it was
        if self.state in (State.PAUSING, State.PAUSED):
            return Directive.PAUSE
        if self.state is not State.ABORTED:
            return Directive.GO
        return Directive.FINISH if self.view.abort_mode is AbortMode.FINISH else Directive.STOP

    def enabled(self, kind: BreakpointKind, node: Node | None) -> list[Breakpoint]:
        """The breakpoints of that kind that concern the node; one that was answered only logs."""
        enabled = (one for one in self.view.breakpoints if one.kind is kind and one.enabled)
        return [self._unless_answered(one) for one in enabled if one.is_about(node)]

    def place_of(self, breakpoint_id: str) -> tuple[object, ...]:
        """At which that one asks."""
        return breakpoint_id, self.view.node_id, self.view.call, self.view.evaluations

    def _unless_answered(self, one: Breakpoint) -> Breakpoint:
        is_answered = one.action is Action.ASK and self.let_pass == self.place_of(one.id)
        return replace(one, action=Action.LOG) if is_answered else one

    # -- refusing --------------------------------------------------------------------------------------

    def refuse(self, verb: str, because: str) -> IllegalTransition:
        return IllegalTransition(verb, self.job_id, self.state, because)

    def require(self, states: tuple[State, ...], verb: str, because: str) -> None:
        if self.state not in states:
            can_pause = self.state is State.RUNNING and verb in ("resume", "step")
            hint = " Pause it first." if can_pause else ""
            raise self.refuse(verb, f"it is {self.state.value}; {because}.{hint}")

    def refuse_second_run(self, verb: str) -> None:
        if self.next_run is not None:
            raise self.refuse(verb, "a new run of it is already being prepared.")

    def require_due(self, verb: str, due: AutoResume | None) -> None:
        """What goes on by itself does so only while nobody decided otherwise; None where a person asks."""
        if due is not None and self.view.auto_resume != due:
            raise self.refuse(verb, "somebody else decided what becomes of it meanwhile.")

    def require_denoised(self) -> None:
        between_calls = self.run.started and bool(self.run.ordinals) and not self.run.in_call
        samples_nothing = self.state in (State.RUNNING, State.PAUSING) and between_calls
        if self.run.in_call and self.run.own_loop:
            raise self.refuse("finish", OWN_LOOP)
        if self.view.step == 0 or samples_nothing:
            because = "it is not sampling now, so there is no unfinished picture to keep"
            raise self.refuse("finish", f"{because}; abort with mode stop.")

    # -- changing, and telling -------------------------------------------------------------------------

    def set(self, **fields: Any) -> None:
        """The next that is published carries it."""
        self.view = altered(self.view, fields)

    def timed(self, **fields: Any) -> JobView:
        self.set(timing=self.outlook.timing(self.view, self.request, self.stopwatch), **fields)
        return self.view

    def fire(self, event: Event, detail: dict[str, Any] | None = None, **fields: Any) -> None:
        """A transition. Raises IllegalTransition."""
        before = self.state
        after = TRANSITIONS.get((before, event))
        if after is None:
            raise self.refuse(event.value, f"it is {before.value}.")
        if self.fickle and after in (State.PAUSED, State.FAILED):
            fields["warnings"] = fields.get("warnings", self.view.warnings) | self._not_kept()
        stays = after in (State.PAUSING, State.PAUSED)
        gone_on = {} if stays else dict.fromkeys(WHERE_IT_STOOD) | self._no_more_told()
        self.set(state=after, **(gone_on | fields))
        self.stopwatch.switch(self._mode())
        self._announce(event.value, before, detail)
        self.lock.notify_all()

    def note(self, kind: str, detail: dict[str, Any] | None = None, **fields: Any) -> None:
        """A line of the audit trail that is no transition."""
        self.set(**fields)
        self._announce(kind, self.state, detail)

    def publish(self, change: Change | None = None) -> None:
        """Without a change: mere progress."""
        self.untold = False
        self._published = self._clock()
        self._listener(self.timed(updated_at=utc(self._wall())), change)

    def publish_steps(self) -> None:
        """Those that nobody was told of yet, unless it is too soon after the last time."""
        if self.untold and self._clock() - self._published >= PUBLISH_EVERY_S:
            self.publish()

    def tell_exactness(self, exactness: Exactness) -> None:
        """What a resume will be like; a line of the audit trail where it is of another kind than before."""
        with self.lock:
            before = self.view.exactness
            if before.kind != exactness.kind:
                self.note("exactness", exactness.to_json(), exactness=exactness)
            elif before != exactness:
                self.set(exactness=exactness)

    # -- what more than one side does ------------------------------------------------------------------

    def start_run(self, prompt_id: str) -> None:
        """The run reached the front of the queue."""
        run = self.run
        if prompt_id != self.prompt_id or run.started:
            return
        run.started = run.active = True
        if self.state is State.QUEUED:
            self.fire(Event.START)
        elif self.state is State.PAUSING:
            self.stopwatch.switch(Mode.ACTIVE)

    def ending(self, mode: AbortMode, reason: str | None) -> dict[str, Any]:
        """What is told of a job with its end."""
        return {"abort_reason": reason, "abort_mode": mode, "held": False, "pause_reason": None}

    def abort(self, mode: AbortMode, reason: str | None, detail: dict[str, Any] | None = None) -> None:
        self.fire(Event.ABORT, detail, **self.ending(mode, reason))
        self.in_flight.interrupt()

    def pause_after_failure(self, error: JobError) -> None:
        """The run cannot go on where the job stopped: it is paused there again, and the run ends."""
        if self.state in (State.QUEUED, State.RUNNING):
            self.fire(Event.PAUSE, pause_reason=PauseReason.USER)
        if self.state is State.PAUSING:
            fields = {"held": False, "error": error, "paused_at_step": self.view.step}
            fields |= {"total_steps": self.run.total_before, "auto_resume": None}
            self.fire(Event.STOPPED, {"error": error.to_json()}, **fields)

    def cancel_auto_resume(self) -> None:
        """It does not go on by itself any more. What a person does wins, also over a run being prepared."""
        if self.view.auto_resume is not None:
            self.next_run = None
            asked = self.view.pause_reason is PauseReason.ASKED
            reason = PauseReason.BREAKPOINT if asked else self.view.pause_reason
            self.set(auto_resume=None, pause_reason=reason)

    def pause_soon(self) -> None:
        """Let the evaluation in flight end if that is soon, else interrupt it."""
        if not self.in_flight.running:
            return
        remaining = self.in_flight.remaining_s()
        if remaining > PAUSE_BUDGET_S:
            self.in_flight.interrupt()
            return
        serial = self.in_flight.serial
        patience = min(PAUSE_BUDGET_S, remaining + self.in_flight.slack_s())
        timer = self._timer(patience, lambda: self._overdue(serial))
        timer.daemon = True
        timer.start()

    # -- inside ----------------------------------------------------------------------------------------

    def _overdue(self, serial: int) -> None:
        """On the timer's thread."""
        with self.lock:
            if self.state is State.PAUSING and self.in_flight.running and self.in_flight.serial == serial:
                self.in_flight.interrupt()

    def _mode(self) -> Mode:
        """A job that is pausing in the queue, or queued, waits for its turn."""
        if self.state is State.PAUSED:
            return Mode.PAUSED
        pausing_at_work = self.state is State.PAUSING and self.run.started
        return Mode.ACTIVE if pausing_at_work or self.state is State.RUNNING else Mode.IDLE

    def _no_more_told(self) -> dict[str, Any]:
        code, warnings = NOT_FINISHED[0], self.view.warnings
        left = {one: told for one, told in warnings.items() if one != code}
        return {"warnings": left} if code in warnings else {}

    def _not_kept(self) -> dict[str, str]:
        code, sentence = NOT_KEPT
        return {code: sentence.format(", ".join(f"{node} ({kind})" for node, kind in self.fickle.items()))}

    def _announce(self, kind: str, before: State, detail: dict[str, Any] | None) -> None:
        detail = dict(detail or {})
        for name in ("pause_reason", "abort_mode"):
            value = getattr(self.view, name)
            if value is not None:
                detail[name] = value.value
        if self.view.abort_reason is not None:
            detail["abort_reason"] = self.view.abort_reason
        at = utc(self._wall())
        self.publish(Change(kind, before, self.state, self.view.step, at, detail, self.view.node_id))
