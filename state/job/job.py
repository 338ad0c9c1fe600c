"""One job, as people and scripts ask for it, and the registry. Any thread.

Its other sides are `worker`, `call`, `runs` and `waiting`; all share one guarded state.
Standard library only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from ..breakpoints.breakpoints import Breakpoints
from ..breakpoints.choosing import is_withdrawn
from ..ledger import Entry
from ..pictures.previews import step_url
from ..states import AbortMode, PauseReason, State
from ..telemetry import Telemetry
from ..workflow.edits import Edit, History, audit, pending, taken_back
from .call_side import CallSide
from .in_flight import InterruptFlag
from .machine import WHERE_IT_STOOD, Machine, Timer
from .node_times import NodeTimes
from .request import Request
from .run import NextRun
from .runs import CANCELLED, Runs
from .transitions import ENDED, Event
from .view import AutoResume, Change, JobView, Moment, Take
from .waiting_side import WaitingSide
from .warnings import Warning
from .worker_side import WorkerSide

GONE = ("error", "abort_reason", "abort_mode", *WHERE_IT_STOOD)  # with a rewind
AT_WORK = (State.QUEUED, State.RUNNING)
OPEN = (*AT_WORK, State.PAUSING, State.PAUSED, State.FAILED)


class Job:
    """A prompt that Midrun watches, through all its runs.

    `listener(job, view, change)` is called under the lock, in order, on every change; it must not block.
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
        timer: Timer = threading.Timer,
        times: NodeTimes | None = None,
    ) -> None:
        """times: that nodes took in all jobs"""
        heard, known = partial(listener, self), times or NodeTimes()
        self._machine = Machine(view, request, flag, heard, clock, wall, timer, known)
        self.worker = WorkerSide(self._machine)
        self.call = CallSide(self._machine)
        self.runs = Runs(self._machine)
        self.waiting = WaitingSide(self._machine)
        self.cursor: int | None = None  # orders jobs by age; of one that was read from the database
        self.travelled = False  # rewound or forked: what ComfyUI has in its cache is of another time

    @property
    def job_id(self) -> str:
        return self._machine.job_id

    @property
    def prompt_id(self) -> str:
        """Of the present run."""
        return self._machine.prompt_id

    @property
    def state(self) -> State:
        return self._machine.state

    @property
    def request(self) -> Request:
        """What ComfyUI needs to run it again."""
        return self._machine.request

    @request.setter
    def request(self, request: Request) -> None:
        with self._machine.lock:
            self._machine.request = request

    def view(self) -> JobView:
        with self._machine.lock:
            return self._machine.timed()

    # -- told by whoever knows -------------------------------------------------------------------------

    def warn(self, warning: Warning, *told: object) -> None:
        """Tell the user of something that is not as it should be, until `unwarn`."""
        code, message = warning[0], warning[1].format(*told)
        m = self._machine
        with m.lock:
            if m.view.warnings.get(code) != message:
                m.note(code, {"warning": message}, warnings=m.view.warnings | {code: message})

    def unwarn(self, warning: Warning) -> None:
        m = self._machine
        with m.lock:
            warnings = dict(m.view.warnings)
            if warnings.pop(warning[0], None) is not None:
                m.note(f"{warning[0]}_over", warnings=warnings)

    def note(self, kind: str, detail: dict[str, Any]) -> None:
        """Add a line to the audit trail that is no transition."""
        with self._machine.lock:
            self._machine.note(kind, detail)

    def tell_of_call(self, node_id: str, call: int, **fields: Any) -> None:
        """Change what the view tells of that sampling call; the next that is published carries it.

        Nothing is told of an earlier call than the job has come to.
        """
        m = self._machine
        with m.lock:
            if (m.view.node_id, m.view.call) == (node_id, call):
                m.set(**fields)

    def save_measured(self, save: Callable[[list[Telemetry], list[Entry]], None]) -> None:
        """Hand over what was measured since this was asked last, in order. `save` must not block."""
        m = self._machine
        with m.lock:
            measured, entries, m.unsaved, m.entries = m.unsaved, m.entries, [], []
            if measured or entries:
                save(measured, entries)

    # -- asked for by people and scripts ---------------------------------------------------------------

    def pause(self, reason: PauseReason = PauseReason.USER) -> JobView:
        """Pause before the next evaluation, or inside the present one when that takes long."""
        m = self._machine
        with m.lock:
            if m.state in (State.PAUSING, State.PAUSED):
                if m.view.auto_resume is not None:  # from now on it is paused because somebody wants it
                    m.cancel_auto_resume()
                    m.note("pause", pause_reason=reason)
                return self.view()
            m.require(AT_WORK, "pause", "only a queued or running job can be paused")
            m.fire(Event.PAUSE, pause_reason=reason)
            m.pause_soon()
            return self.view()

    def resume(self, steps: int | None = None, edited: bool = False, due: AutoResume | None = None) -> bool:
        """Go on, for `steps` steps or to the end. False when a new run has to be queued for that.

        edited: with another graph than before, so that only a new run can go on.
        due: by itself, if that is still what it waits for

        After False the caller validates a run and calls `runs.queue` or `runs.refuse`: until then
        every other resume is refused.
        """
        m, verb = self._machine, "resume" if steps is None else "step"
        with m.lock:
            m.require_due(verb, due)
            m.refuse_second_run(verb)
            edited = edited or bool(pending(m.view.edits))
            asks = m.view.choice
            edited = edited or (asks is not None and is_withdrawn(asks.node_id, m.view.breakpoints))
            if asks is not None and not edited:
                raise m.refuse(verb, "it waits for a choice. Choose, and it goes on by itself.")
            if m.state is State.PAUSING and steps is None and not edited:
                m.run.steps_left = None
                m.fire(Event.UNPAUSE if m.run.started else Event.UNPAUSE_QUEUED, pause_reason=None)
                return True
            because = "it must be paused for that" if steps or edited else "it is not paused"
            m.require((State.PAUSED, State.FAILED), verb, because)
            m.let_pass = None if due is None or due.question is None else m.place_of(*due.ids)
            fields = {"held": False, "pause_reason": None, "error": None, "gpu_released": False}
            if m.state is State.PAUSED and m.view.held and not edited:
                m.run.steps_left = steps
                m.fire(Event.RESUME, **fields)
                return True
            m.next_run = NextRun(Event.QUEUE, fields, steps)
            return False

    def abort(self, mode: AbortMode, reason: str | None, due: AutoResume | None = None) -> bool:
        """End the job. False when a run has to be queued to finish the workflow (see `resume`)."""
        m = self._machine
        with m.lock:
            m.require_due("abort", due)
            if m.state is State.ABORTED:
                return True
            m.require(OPEN, "abort", f"it is {m.state.value} already")
            if mode is AbortMode.FINISH:
                m.refuse_second_run("finish")
                m.require_denoised()
                if m.needs_new_run:
                    m.next_run = NextRun(Event.ABORT, m.ending(mode, reason))
                    return False
            m.abort(mode, reason)
            return True

    def cancel(self, prompt_id: str) -> None:
        """ComfyUI's own Cancel hit that run: nothing to refuse, it has happened.

        A parked run ends with an interrupt too, perhaps after its job was resumed as another run.
        """
        m = self._machine
        with m.lock:
            if prompt_id == m.prompt_id and m.state not in ENDED and not m.needs_new_run:
                self.abort(AbortMode.STOP, CANCELLED)

    def edit(self, change: Callable[[History], History]) -> JobView:
        """Change what is pending; `change` sees the edits as they are now. A resume makes them."""
        m = self._machine
        with m.lock:
            m.require(OPEN, "edit", "it has ended; rewind it first")
            before, after = m.view.edits, change(m.view.edits)
            was, now = pending(before), pending(after)
            told = [audit(path, now.get(path)) for path in {**was, **now} if was.get(path) != now.get(path)]
            if told:
                m.cancel_auto_resume()
                m.note("edit", {"edits": told}, edits=after)
            return self.view()

    def set_breakpoints(self, breakpoints: Breakpoints) -> JobView:
        """In the place of those it has; they hold from the next step on."""
        m = self._machine
        with m.lock:
            auto_resume = m.view.auto_resume
            enabled = {one.id for one in breakpoints if one.enabled}
            if auto_resume is not None and not enabled & set(auto_resume.ids):
                m.cancel_auto_resume()
            told = [one.to_json() for one in breakpoints]
            m.note("breakpoints", {"breakpoints": told}, breakpoints=breakpoints)
            return self.view()

    def deletable(self) -> bool:
        m = self._machine
        with m.lock:
            return m.next_run is None and (m.needs_new_run or (m.state in ENDED and not m.run.active))

    # -- going back ------------------------------------------------------------------------------------

    def reserve(self, verb: str) -> None:
        """Refuse every resume and the like until `runs.refuse`. Raises IllegalTransition."""
        m = self._machine
        with m.lock:
            m.refuse_second_run(verb)
            m.require((State.PAUSED, State.FAILED, *ENDED), verb, "pause it first")
            if m.state in ENDED and m.run.active:
                raise m.refuse(verb, "its last run is just leaving ComfyUI; try again in a moment.")
            m.next_run = NextRun(Event.REWIND)

    def rewind(self, to: Moment, later: Callable[[Edit], bool], measured: Telemetry | None = None) -> None:
        """Be paused there, with the edits that were in force there; after `reserve`.

        measured: of that step
        """
        m = self._machine
        with m.lock:
            edits, undoing = taken_back(m.view.edits, later)
            take = m.view.take or Take(m.view.moment, m.view.edits, m.request.prompt, m.request.kept)
            m.request = m.request.gone_back(to.display_node_id, undoing)
            self._be_at(Event.REWIND, to, edits=edits, take=take, telemetry=measured)

    def restore(self, measured: Telemetry | None = None) -> None:
        """Be paused where the job had come to before it was rewound; after `reserve`."""
        m = self._machine
        with m.lock:
            take = m.view.take
            if take is None:
                raise m.refuse("restore", "there is no rewind to undo.")
            m.request = replace(m.request, prompt=take.prompt, kept=take.kept)
            self._be_at(Event.RESTORE, take.moment, edits=take.edits, take=None, telemetry=measured)

    # -- under the lock --------------------------------------------------------------------------------

    def _be_at(self, event: Event, at: Moment, **fields: Any) -> None:
        m = self._machine
        if m.state is State.PAUSED and m.view.held:
            m.fire(Event.PARK, held=False)
        self.travelled = True
        m.run.passed.clear()
        m.stopwatch.moved()
        m.outlook.forget()
        fields |= asdict(at) | {"paused_at_step": at.step, "held": False, "gpu_released": True}
        fields |= {"preview_url": step_url(m.job_id, at.node_id, at.step), "pause_reason": PauseReason.USER}
        fields |= dict.fromkeys(GONE)
        m.fire(event, {"node_id": at.node_id, "to": at.step}, **fields)
