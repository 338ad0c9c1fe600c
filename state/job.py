"""One job: its transitions, its runs and the evaluation in flight, all guarded by one lock.

Called from ComfyUI's worker thread, from its event loop and from timers. Standard library only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .core import Core
from .edits import Edit, Edits, History, Path, applied, pending
from .errors import IllegalTransition
from .evaluation import InFlight, InterruptFlag, Outcome
from .request import Request
from .timing import Mode
from .transitions import ENDED, A, C, Directive, Event, F, H, P, Q, R
from .view import AbortMode, Change, JobError, JobView, PauseReason, QueuePolicy
from .warnings import OF_A_RUN

PAUSE_BUDGET_S = 1.5  # an evaluation that ends within this is kept; the rest of 2 s is for unloading models
PUBLISH_EVERY_S = 0.1
CANCELLED = "cancelled in ComfyUI"


@dataclass(frozen=True)
class _NextRun:
    """What becomes of the job once the run that is being validated is queued."""

    event: Event
    fields: dict[str, Any]


def _told(path: Path, edit: Edit | None) -> dict[str, Any]:
    """For the audit trail; an edit that was taken back has no more to tell."""
    return {"node_id": path[0], "input": path[1]} | ({"undone": True} if edit is None else edit.to_json())


class Job(Core):
    """A prompt that Midrun watches, through all its runs.

    `listener(view, change)` is called under the lock, in order, on every change; it must not block.
    `change` is None for mere progress.
    """

    def __init__(
        self,
        view: JobView,
        request: Request,
        flag: InterruptFlag,
        listener: Callable[[Job, JobView, Change | None], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        timer: Callable[[float, Callable[[], None]], Any] = threading.Timer,
    ) -> None:
        super().__init__(view, listener, clock, wall)
        self.request = request
        self._timer = timer
        self._in_flight = InFlight(flag, clock)
        self._in_call = False  # inside a watched sampling call
        self._call = self.prompt_id  # the run that it is, or was, a call of
        self._steps_left: int | None = None
        self._ordinals: dict[str, int] = {}  # node_id -> sampling calls that the present run began there
        self._place: tuple[str, int] | None = None  # (node_id, ordinal) of the newest call, of any run
        self._total_before: int | None = None  # of the call as it was in the run before
        self._trial = False  # the run tries edits, and has not answered an evaluation with them
        self._next_run: _NextRun | None = None  # while a new run is being validated
        self._finished = False  # an abort with mode finish has been carried out
        self.run_active = False  # the present run is in ComfyUI's queue or executing

    @property
    def request(self) -> Request:
        """What ComfyUI needs to run it again."""
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        with self._lock:
            self._request = request
            self._set(origin=request.origin)

    # -- asked for by people and scripts ---------------------------------------------------------------

    def pause(self, reason: PauseReason = PauseReason.USER) -> JobView:
        """Pause before the next evaluation, or inside the present one when that takes long."""
        with self._lock:
            if self.state in (P, H):
                return self.view()
            self._require((Q, R), "pause", "only a queued or running job can be paused")
            self._fire(Event.PAUSE, pause_reason=reason)
            self._hurry()
            return self.view()

    def resume(self, steps: int | None = None, edited: bool = False) -> bool:
        """Go on, for `steps` steps or to the end. False when a new run has to be queued for that.

        edited: with another graph than before, so that only a new run can go on.

        After False the caller validates a run and calls `queue_run` or `refuse_run`: until then
        every other resume is refused.
        """
        verb = "resume" if steps is None else "step"
        with self._lock:
            self._refuse_second_run(verb)
            edited = edited or bool(pending(self._view.edits))
            if self.state is P and steps is None and not edited:
                self._steps_left = None
                self._fire(Event.UNPAUSE if self._started else Event.UNPAUSE_QUEUED, pause_reason=None)
                return True
            self._require(
                (H, F), verb, "it has to be paused for that" if steps or edited else "it is not paused"
            )
            self._steps_left = steps
            if self.state is H and self._view.held and not edited:
                self._fire(Event.RESUME, held=False, pause_reason=None, gpu_released=False)
                return True
            self._next_run = _NextRun(
                Event.QUEUE, {"held": False, "pause_reason": None, "error": None, "gpu_released": False}
            )
            return False

    def queue_run(self, prompt_id: str, request: Request | None = None, taken: Edits | None = None) -> None:
        """The run that `resume` or a finishing `abort` asked for is about to be queued as `prompt_id`.

        request: what later runs repeat, with the edits `taken` made in its graph
        """
        with self._lock:
            run, self._next_run = self._next_run, None
            if run is None or self.state not in (H, F):
                because = f"it is {self.state.value} meanwhile."
                raise IllegalTransition("run", self.job_id, self.state, because)
            self._started, self.run_active = False, True
            self._trial, self._total_before = bool(taken or request), self._view.total_steps
            self._ordinals.clear()
            self.request = request or self.request
            gone = {code for code, _ in OF_A_RUN}
            warnings = {code: told for code, told in self._view.warnings.items() if code not in gone}
            fields = run.fields | {
                "warnings": warnings,
                "edits": applied(self._view.edits, taken or {}, self._view.step),
            }
            detail = {"edits": [_told(path, edit) for path, edit in taken.items()]} if taken else None
            self._fire(run.event, detail, prompt_ids=(*self._view.prompt_ids, prompt_id), **fields)

    def refuse_run(self) -> None:
        """ComfyUI did not accept the run: the job stays what it was."""
        with self._lock:
            self._next_run = None

    def abort(self, mode: AbortMode, reason: str | None) -> bool:
        """End the job. False when a run has to be queued to finish the workflow (see `resume`)."""
        with self._lock:
            if self.state is A:
                return True
            self._require((Q, R, P, H, F), "abort", f"it is {self.state.value} already")
            fields = {"abort_reason": reason, "abort_mode": mode, "held": False, "pause_reason": None}
            if mode is AbortMode.FINISH:
                self._refuse_second_run("finish")
                self._require_denoised()
                if self._out_of_queue():
                    self._next_run = _NextRun(Event.ABORT, fields)
                    return False
            self._fire(Event.ABORT, **fields)
            self._in_flight.interrupt()
            return True

    def cancel(self, prompt_id: str) -> None:
        """ComfyUI's own Cancel hit that run: nothing to refuse, it has happened.

        A parked run ends with an interrupt too, perhaps after its job was resumed as another run.
        """
        with self._lock:
            if prompt_id == self.prompt_id and self.state not in ENDED and not self._out_of_queue():
                self.abort(AbortMode.STOP, CANCELLED)

    def edit(self, change: Callable[[History], History]) -> JobView:
        """Change what is pending; `change` sees the edits as they are now. A resume makes them."""
        with self._lock:
            self._require((Q, R, P, H, F), "edit", "it has ended; queue its workflow as a new job")
            before, after = self._view.edits, change(self._view.edits)
            was, now = pending(before), pending(after)
            told = [_told(path, now.get(path)) for path in {**was, **now} if was.get(path) != now.get(path)]
            if told:
                self._note("edit", {"edits": told}, edits=after)
            return self.view()

    def deletable(self) -> bool:
        with self._lock:
            ended = self.state in ENDED and not self.run_active
            return self._next_run is None and (ended or self._out_of_queue())

    # -- told by ComfyUI's queue -----------------------------------------------------------------------

    def enter_queue(self) -> None:
        """The first run was accepted by ComfyUI's queue."""
        with self._lock:
            if len(self._view.prompt_ids) == 1 and self.state not in ENDED:
                self.run_active = True

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

    def run_ended(self, prompt_id: str, event: Event, error: JobError | None = None) -> None:
        """The run left ComfyUI: COMPLETE, ABORT (interrupted or deleted there) or FAIL with its error."""
        with self._lock:
            if prompt_id != self.prompt_id or not self.run_active:
                return
            self.run_active, self._started = False, True  # a late report of its start changes nothing
            if self.state not in (Q, R, P) and not (self.state is H and self._view.held):
                self._note("run_ended", {"error": error.to_json()} if error else None)
            elif event is Event.FAIL and self._trial and error is not None:
                self.set_back(error)
            elif event is Event.FAIL:
                self._fire(event, error=error, held=False)
            elif event is Event.ABORT:
                self._fire(event, abort_reason=CANCELLED, abort_mode=AbortMode.STOP, held=False)
            elif self.state is not H:
                self._fire(event, pause_reason=None)

    # -- the worker thread, inside a sampling call -----------------------------------------------------

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
                self._set(step=0, evaluations=0)
            self._set(node_id=node_id, total_steps=total_steps, queue_policy=policy)
            self._publish(None)
            return ordinal

    def reschedule(self, total_steps: int) -> None:
        """The call has another number of steps than its sigmas tell, as its schedule was edited."""
        with self._lock:
            self._set(total_steps=total_steps)
            self._publish(None)

    def leave_call(self) -> None:
        with self._lock:
            self._in_call = False

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
        """The call returned the newest `denoised`: what samples after it is none of Midrun's business."""
        with self._lock:
            self._finished = True

    def begin_evaluation(self) -> Directive:
        with self._lock:
            directive = self.directive()
            if directive is Directive.GO:
                self._in_flight.begin()
            return directive

    def end_evaluation(self, outcome: Outcome) -> bool:
        """Whether the answer is void: it was interrupted here, to pause or to abort."""
        with self._lock:
            void, seconds = self._in_flight.end(outcome)
            if outcome is Outcome.ANSWERED and not void:
                self._watch.evaluated(seconds)
            return void

    def recorded(self, evaluations: int, sigma: float, live: bool) -> None:
        """So many evaluations of this call have been answered; the newest was at noise level `sigma`.

        A replay on its way to where the job stopped does not count backwards.
        """
        with self._lock:
            self._trial = self._trial and not live
            if live or evaluations > self._view.evaluations:
                self._set(evaluations=evaluations, sigma=sigma)

    def stepped(self, step: int, live: bool, pause_at: int) -> None:
        """The sampler finished its step number `step` (from 1). Only a live one can pause the job."""
        with self._lock:
            total = self._view.total_steps
            if live or step > self._view.step:
                self._set(step=step, total_steps=None if total is None or step > total else total)
            if not live:
                return
            self._watch.stepped()
            if self._steps_left is not None:
                self._steps_left -= 1
            if self.state is R and self._steps_left == 0:
                self._fire(Event.PAUSE, pause_reason=PauseReason.STEP)
            elif self.state is R and step == pause_at:
                self._fire(Event.PAUSE, pause_reason=PauseReason.BREAKPOINT)
            elif self._clock() - self._published >= PUBLISH_EVERY_S:
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
        """The run can not go on where the job stopped: it is paused there again, and the run ends."""
        with self._lock:
            if self.state in (Q, R):
                self._fire(Event.PAUSE, pause_reason=PauseReason.USER)
            if self.state is P:
                fields = {"held": False, "error": error, "paused_at_step": self._view.step}
                fields["total_steps"] = self._total_before
                self._fire(Event.STOPPED, {"error": error.to_json()}, **fields)

    # -- under the lock --------------------------------------------------------------------------------

    def _require_denoised(self) -> None:
        between_calls = self._started and bool(self._ordinals) and not self._in_call
        if self._view.step == 0 or (self.state in (R, P) and between_calls):
            because = (
                "it is not sampling now, so there is no unfinished picture to keep; abort with mode stop."
            )
            raise IllegalTransition("finish", self.job_id, self.state, because)

    def _out_of_queue(self) -> bool:
        """Neither in ComfyUI's queue nor executing: only a new run can go on."""
        return self.state is F or (self.state is H and not self._view.held)

    def _refuse_second_run(self, verb: str) -> None:
        if self._next_run is not None:
            raise IllegalTransition(verb, self.job_id, self.state, "a new run of it is being queued already.")

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
