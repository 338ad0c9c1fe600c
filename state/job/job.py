"""One job: its transitions, its runs and the evaluation in flight, all guarded by one lock.

Called from ComfyUI's worker thread, from its event loop and from timers. Standard library only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..breakpoints.breakpoints import Breakpoint, Breakpoints, hit
from ..errors import IllegalTransition
from ..node import itself
from ..pictures.previews import step_url
from ..states import AbortMode, PauseReason
from ..telemetry import Telemetry
from ..workflow.edits import Edit, Edits, History, Path, applied, newest, pending, taken_back, with_edits
from ..workflow.verdicts import in_graph
from .in_flight import InterruptFlag
from .request import Request
from .transitions import ENDED, A, C, Event, F, H, P, Q, R
from .view import Change, JobError, JobView, Moment, Standing, Take
from .warnings import OF_A_RUN, WENT_ON
from .worker_side import Watched

CANCELLED = "cancelled in ComfyUI"


@dataclass(frozen=True)
class _NextRun:
    """What becomes of the job once the run that is being validated is queued."""

    event: Event
    fields: dict[str, Any]


def gone_back(request: Request, node_id: str | None, undoing: Edits) -> Request:
    """To an earlier moment of that node: with edits undone, and without what was made after it."""
    prompt = with_edits(request.prompt, undoing)
    changed = [path[0] for path in undoing]
    sampler = in_graph(prompt, node_id)
    changed += [] if sampler is None else [sampler]
    return replace(request, prompt=prompt, kept=request.kept.without(prompt, changed))


def _told(path: Path, edit: Edit | None) -> dict[str, Any]:
    """For the audit trail; an edit that was taken back has no more to tell."""
    return {"node_id": path[0], "input": path[1]} | ({"undone": True} if edit is None else edit.to_json())


class Job(Watched):
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
        super().__init__(view, flag, listener, clock, wall, timer)
        self.request = request
        self._next_run: _NextRun | None = None  # while a new run is being validated
        self.cursor: int | None = None  # orders jobs by age; of one that was read from the database
        self.travelled = False  # rewound or forked: what ComfyUI has in its cache is of another time

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
                if self._view.standing is not None:  # from now on it is paused because somebody wants it
                    self._stand_down()
                    self._note("pause", pause_reason=reason)
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
                (H, F), verb, "it must be paused for that" if steps or edited else "it is not paused"
            )
            self._steps_left = steps
            if self.state is H and self._view.held and not edited:
                self._fire(Event.RESUME, held=False, pause_reason=None, error=None, gpu_released=False)
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
                because = f"it is {self.state.value} by now."
                raise IllegalTransition("run", self.job_id, self.state, because)
            self._leaving = self.prompt_id if self.run_active else None
            self._started, self.run_active = False, True
            failed_in = self._view.error.node_id if self._view.error else None
            stands = self._view.node, self._view.paused_before, itself(failed_in) if failed_in else None
            self.came_to = tuple(node for node in stands if node is not None)
            if self._view.paused_before is not None:
                self._passed.add(self._view.paused_before.node_id)  # by an earlier server, perhaps
            self._trial, self._total_before = bool(taken or request), self._view.total_steps
            self._ordinals.clear()
            self.request = request or self.request
            gone = {code for code, _ in OF_A_RUN}
            warnings = {code: told for code, told in self._view.warnings.items() if code not in gone}
            fields = run.fields | {
                "warnings": warnings,
                "edits": applied(self._view.edits, taken or {}, self._view.step, self._view.node_id),
            }
            detail = {"edits": [_told(path, edit) for path, edit in taken.items()]} if taken else None
            self._fire(run.event, detail, prompt_ids=(*self._view.prompt_ids, prompt_id), **fields)

    def taken(self) -> frozenset[Path]:
        """The inputs whose edits were applied where the job stands, so that no evaluation had them yet."""
        with self._lock:
            return newest(self._view.edits, self._view.step, self._view.node_id)

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
            self._require((Q, R, P, H, F), "edit", "it has ended; rewind it first")
            before, after = self._view.edits, change(self._view.edits)
            was, now = pending(before), pending(after)
            told = [_told(path, now.get(path)) for path in {**was, **now} if was.get(path) != now.get(path)]
            if told:
                self._stand_down()
                self._note("edit", {"edits": told}, edits=after)
            return self.view()

    def set_breakpoints(self, breakpoints: Breakpoints) -> JobView:
        """In the place of those it has; they hold from the next step on."""
        with self._lock:
            told = [breakpoint.to_json() for breakpoint in breakpoints]
            standing = self._view.standing
            enabled = {breakpoint.id for breakpoint in breakpoints if breakpoint.enabled}
            if standing is not None and not enabled & set(standing.ids):
                self._stand_down()
            self._note("breakpoints", {"breakpoints": told}, breakpoints=breakpoints)
            return self.view()

    def reserve(self, verb: str) -> None:
        """Refuse every resume and the like until `refuse_run`. Raises IllegalTransition."""
        with self._lock:
            self._refuse_second_run(verb)
            self._require((H, C, A, F), verb, "pause it first")
            if self.state in ENDED and self.run_active:
                because = "its last run is just leaving ComfyUI; try again in a moment."
                raise IllegalTransition(verb, self.job_id, self.state, because)
            self._next_run = _NextRun(Event.REWIND, {})

    def rewind(self, to: Moment, later: Callable[[Edit], bool], measured: Telemetry | None = None) -> None:
        """Be paused there, with the edits that were in force there; after `reserve`.

        measured: of that step
        """
        with self._lock:
            view = self._view
            edits, undoing = taken_back(view.edits, later)
            request = self.request
            take = view.take or Take(view.moment, view.edits, request.prompt, request.kept)
            request = gone_back(request, to.display_node_id, undoing)
            self._be_at(Event.REWIND, to, edits, request, take, telemetry=measured)

    def restore(self, measured: Telemetry | None = None) -> None:
        """Be paused where the job had come to before it was rewound; after `reserve`."""
        with self._lock:
            take = self._view.take
            if take is None:
                because = "there is no rewind to undo."
                raise IllegalTransition("restore", self.job_id, self.state, because)
            request = replace(self.request, prompt=take.prompt, kept=take.kept)
            self._be_at(Event.RESTORE, take.moment, take.edits, request, None, telemetry=measured)

    def deletable(self) -> bool:
        with self._lock:
            ended = self.state in ENDED and not self.run_active
            return self._next_run is None and (ended or self._out_of_queue())

    # -- told by the guard -----------------------------------------------------------------------------

    def stand(self, new: list[Breakpoint], binding: list[Breakpoint], because: str) -> None:
        """Wait out what these breakpoints are about, the `new` ones for the first time."""
        ids = tuple(one.id for one in binding)
        told = {"breakpoints": [one.to_json() for one in new], "because": because}
        with self._lock:
            breakpoints = hit(self._view.breakpoints, new)
            standing = self._view.standing
            if self.state in (Q, R):
                fields = {"breakpoints": breakpoints, "standing": Standing(because, ids, self._steps_left)}
                self._fire(Event.PAUSE, told, pause_reason=PauseReason.BREAKPOINT, **fields)
                self._hurry()
            elif standing is not None:
                now = replace(standing, because=because, ids=ids)
                self._note("breakpoint", told, breakpoints=breakpoints, standing=now)

    def stand_down(self) -> None:
        """It does not go on by itself any more."""
        with self._lock:
            self._stand_down()

    def noticed(self, which: list[Breakpoint]) -> None:
        """Breakpoints that only log were met."""
        with self._lock:
            self._count(which, {}, PauseReason.BREAKPOINT)

    # -- told by ComfyUI's queue -----------------------------------------------------------------------

    def enter_queue(self) -> None:
        """The first run was accepted by ComfyUI's queue."""
        with self._lock:
            if len(self._view.prompt_ids) == 1 and self.state not in ENDED:
                self.run_active = True

    def run_ended(self, prompt_id: str, event: Event, error: JobError | None = None) -> None:
        """The run left ComfyUI: COMPLETE, ABORT (interrupted or deleted there) or FAIL with its error."""
        with self._lock:
            if prompt_id != self.prompt_id or not self.run_active:
                return
            self.run_active, self._started = False, True  # a late report of its start changes nothing
            if self.state not in (Q, R, P) and not (self.state is H and self._view.held):
                went_on = self.state is H and event is Event.COMPLETE
                warnings = self._view.warnings | (dict([WENT_ON]) if went_on else {})
                self._note("run_ended", {"error": error.to_json()} if error else None, warnings=warnings)
            elif event is Event.FAIL and self._trial and error is not None:
                self.set_back(error)
            elif event is Event.FAIL:
                self._fire(event, error=error, held=False)
            elif event is Event.ABORT:
                self._fire(event, abort_reason=CANCELLED, abort_mode=AbortMode.STOP, held=False)
            elif self.state is not H:
                self._fire(event, pause_reason=None)

    def vanished(self, prompt_id: str) -> None:
        """The run is nowhere in ComfyUI: it was taken out of the queue or, once it ran, of the history."""
        self.run_ended(prompt_id, Event.COMPLETE if self._started else Event.ABORT)

    # -- under the lock --------------------------------------------------------------------------------

    def _be_at(
        self,
        event: Event,
        at: Moment,
        edits: History,
        request: Request,
        take: Take | None,
        **more: Any,
    ) -> None:
        if self.state is H and self._view.held:
            self._fire(Event.PARK, held=False)
        self.travelled, self._finished = True, False
        self._passed.clear()
        self._step_s = 0.0
        self.request = request
        told = {"node_id": at.node_id, "to": at.step}
        fields = asdict(at) | {"paused_at_step": at.step, "edits": edits, "take": take, "held": False}
        fields |= {"pause_reason": PauseReason.USER, "error": None, "gpu_released": True}
        fields |= {"preview_url": step_url(self.job_id, at.node_id, at.step)}
        fields |= {"abort_reason": None, "abort_mode": None, "paused_before": None, "standing": None}
        self._fire(event, told, **fields, **more)

    def _stand_down(self) -> None:
        """What a person does wins, also over a run that is being prepared."""
        if self._view.standing is not None:
            self._next_run = None
            self._set(standing=None)

    def _require_denoised(self) -> None:
        between_calls = self._started and bool(self._ordinals) and not self._in_call
        if self._view.step == 0 or (self.state in (R, P) and between_calls):
            because = (
                "it is not sampling now, so there is no unfinished picture to keep. Abort it with mode stop."
            )
            raise IllegalTransition("finish", self.job_id, self.state, because)

    def _out_of_queue(self) -> bool:
        """Neither in ComfyUI's queue nor executing: only a new run can go on."""
        return self.state is F or (self.state is H and not self._view.held)

    def _refuse_second_run(self, verb: str) -> None:
        if self._next_run is not None:
            because = "a new run of it is already being prepared."
            raise IllegalTransition(verb, self.job_id, self.state, because)
