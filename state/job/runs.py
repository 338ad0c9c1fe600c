"""One job in ComfyUI's queue: its runs begin, end, and take each other's place.

On ComfyUI's event loop; `start` on the worker thread as well. Standard library only.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from ..checks import Check, sentence
from ..node import Node, itself
from ..retried import Retried
from ..states import AbortMode, State
from ..surroundings import Difference
from ..workflow.edits import Edits, applied, audit
from .machine import Machine
from .request import Request
from .run import Run
from .transitions import ENDED, Event
from .view import JobError, JobView, Moment
from .warnings import OF_A_RUN, WENT_ON

CANCELLED = "cancelled in ComfyUI"


class Runs:
    """What ComfyUI's queue tells of a job."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def active(self) -> bool:
        """Whether the present run is in ComfyUI's queue or executing."""
        return self._machine.run.active

    # -- the next run ----------------------------------------------------------------------------------

    def queue(self, prompt_id: str, request: Request | None = None, taken: Edits | None = None) -> None:
        """The run that `resume` or a finishing `abort` asked for is about to be queued as `prompt_id`.

        request: what later runs repeat, with the edits `taken` made in its graph
        """
        m = self._machine
        with m.lock:
            following, m.next_run = m.next_run, None
            if following is None or m.state not in (State.PAUSED, State.FAILED):
                raise m.refuse("run", f"it is {m.state.value} by now.")
            m.request, view = request or m.request, m.view
            m.run = Run(
                came_to=_stands(view),
                leaving=m.prompt_id if m.run.active else None,
                trial=bool(taken or request),
                total_before=view.total_steps,
                steps_left=following.steps,
                passed=m.run.passed | _paused_before(view),
                active=True,
            )
            gone = {code for code, _ in OF_A_RUN}
            fields = following.fields | {
                "warnings": {code: told for code, told in view.warnings.items() if code not in gone},
                "edits": applied(view.edits, taken or {}, view.step, view.node_id),
                "prompt_ids": (*view.prompt_ids, prompt_id),
            }
            detail = {"edits": [audit(path, edit) for path, edit in taken.items()]} if taken else None
            m.outlook.forget()
            m.fire(following.event, detail, **fields)

    def refuse(self) -> None:
        """ComfyUI did not accept the run: the job stays what it was."""
        with self._machine.lock:
            self._machine.next_run = None

    def tell_differences(self, found: tuple[Difference, ...]) -> None:
        """What is otherwise here than where the job was computed."""
        m = self._machine
        with m.lock:
            imported = m.view.imported
            if imported is not None and imported.differences != found:
                told = {"differences": [one.message for one in found]}
                m.note("differences", told, imported=replace(imported, differences=found))

    def tell_check(self, check: Check) -> None:
        """How far a check of the job has come; its end is a line of the audit trail."""
        m = self._machine
        with m.lock:
            if check.is_open:
                m.set(check=check)
                m.publish()
            else:
                told = {"state": check.progress.value, "message": sentence(check)}
                m.note("checked", told, check=check)

    def go_on_from(self, retried: Retried, to: Moment) -> None:
        """The first run of the job begins with what another had computed of the same prompt, up to there."""
        m = self._machine
        with m.lock:
            told = {"job_id": retried.job_id, "evaluations": retried.evaluations, "server": retried.server}
            m.stopwatch.moved()
            m.run.came_to = () if to.node is None else (to.node,)
            m.note("retry", told | {"node_id": to.node_id, "to": to.step}, retried=retried, **asdict(to))

    # -- the present run -------------------------------------------------------------------------------

    def enter_queue(self) -> None:
        """The first run was accepted by ComfyUI's queue."""
        m = self._machine
        with m.lock:
            if len(m.view.prompt_ids) == 1 and m.state not in ENDED:
                m.run.active = True

    def start(self, prompt_id: str) -> None:
        """The run reached the front of the queue."""
        with self._machine.lock:
            self._machine.start_run(prompt_id)

    def end(self, prompt_id: str, event: Event, error: JobError | None = None) -> None:
        """The run left ComfyUI: COMPLETE, ABORT (interrupted or deleted there) or FAIL with its error."""
        m = self._machine
        with m.lock:
            if prompt_id != m.prompt_id or not m.run.active:
                return
            m.run.active, m.run.started = False, True  # a late report of its start changes nothing
            if m.state in (State.COMPLETED, State.ABORTED) or m.needs_new_run:
                self._end_after_job(event, error)
            elif event is Event.FAIL and m.run.trial and error is not None:
                m.pause_after_failure(error)
            elif event is Event.FAIL:
                m.fire(event, error=error, held=False)
            elif event is Event.ABORT:
                m.fire(event, abort_reason=CANCELLED, abort_mode=AbortMode.STOP, held=False)
            elif m.state is not State.PAUSED:
                m.fire(event, pause_reason=None)

    def vanished(self, prompt_id: str) -> None:
        """The run is nowhere in ComfyUI: it was taken out of the queue or, once it ran, of the history."""
        self.end(prompt_id, Event.COMPLETE if self._machine.run.started else Event.ABORT)

    def _end_after_job(self, event: Event, error: JobError | None) -> None:
        """The job had parked, failed or ended before its run left."""
        m = self._machine
        went_on = m.state is State.PAUSED and event is Event.COMPLETE
        warnings = m.view.warnings | (dict([WENT_ON]) if went_on else {})
        m.note("run_ended", {"error": error.to_json()} if error else None, warnings=warnings)


def _stands(view: JobView) -> tuple[Node, ...]:
    """Where the job is: at the call it came to, the node it is paused before, and that which failed."""
    failed_in = view.error.node_id if view.error else None
    nodes = view.node, view.paused_before, itself(failed_in) if failed_in else None
    return tuple(node for node in nodes if node is not None)


def _paused_before(view: JobView) -> set[str]:
    """By an earlier server, perhaps."""
    return set() if view.paused_before is None else {view.paused_before.node_id}
