"""One job as a sampling call drives it: evaluations and steps.

On ComfyUI's worker thread, and beside it while the model works. Standard library only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from ..breakpoints.breakpoints import AT_STEPS, BreakpointKind, Observation, met
from ..exactness import Exactness
from ..ledger import INTERRUPTED, NOT_A_NUMBER, Answered, Replayed, Wasted
from ..node import Node, itself
from ..states import PauseReason, QueuePolicy, State
from ..surroundings import Checked
from ..telemetry import Telemetry
from .in_flight import Outcome
from .machine import Machine
from .meeting import meet
from .transitions import Directive, Event
from .view import JobError, Moment


@dataclass(frozen=True)
class Marked:
    """What a step left in the job: what was measured of it, and how often breakpoints were met by then."""

    measured: Telemetry | None = None
    hits: dict[str, int] = field(default_factory=dict)


def _total(total_steps: int | None, step: int) -> int | None:
    """None once a sampler has done more steps than its schedule has: then nobody knows."""
    return None if total_steps is None or step > total_steps else total_steps


class CallSide:
    """What a sampling call tells of its job, and what it is told to do."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._replayed: Moment | None = None  # where the replay is of an earlier call than the job came to

    def enter(self, prompt_id: str, node: Node, policy: QueuePolicy, own_loop: bool = False) -> int | None:
        """A sampling call begins: its ordinal in the node, or None when it is not to be watched.

        own_loop: of a loop that is not ComfyUI's
        """
        m = self._machine
        with m.lock:
            run = m.run
            if run.in_call or run.finished or prompt_id != m.prompt_id:
                return None
            if m.state in (State.COMPLETED, State.FAILED):
                return None
            if m.state is State.PAUSED and not run.active:
                return None  # another prompt with the id of a parked job's run
            m.start_run(prompt_id)
            run.in_call, run.own_loop, m.at_work = True, own_loop, run
            ordinal = run.ordinals.get(node.node_id, 0)
            run.ordinals[node.node_id] = ordinal + 1
            m.set(queue_policy=policy)
            return ordinal

    def begin(self, at: Moment) -> None:
        """The call that was entered begins, of which `at.evaluations` are on record.

        Where others came after it, the job stays where it has come to: this one is only replayed.
        """
        m = self._machine
        with m.lock:
            view = m.view
            is_newest = (at.node_id, at.call) == (view.node_id, view.call)
            if at.evaluations and not is_newest and view.node_id is not None:
                self._replayed = replace(at, step=0, evaluations=0)
                return
            if not is_newest:
                self._move_to(replace(at, step=0, evaluations=0))
            m.set(total_steps=_total(at.total_steps, m.view.step))
            m.publish()

    @property
    def is_retry(self) -> bool:
        """Whether this run is the first of a job that began with what another had computed."""
        with self._machine.lock:
            view = self._machine.view
            return view.retried is not None and len(view.prompt_ids) == 1

    def begin_afresh(self, because: list[str]) -> None:
        """What another job had computed is not of what this one is given: nothing of it is left."""
        m = self._machine
        with m.lock:
            nowhere = Moment(None, 0, 0, None, None)
            m.note("retry_dropped", {"inputs": because}, retried=None, **asdict(nowhere), telemetry=None)

    def replays(self) -> bool:
        """Whether the present call is an earlier one than the job has come to."""
        with self._machine.lock:
            return self._replayed is not None

    def reschedule(self, total_steps: int, step: int) -> None:
        """The call has another number of steps than its sigmas tell: its schedule was edited after `step`."""
        m = self._machine
        with m.lock:
            at = self._replayed
            if at is not None:
                self._replayed = replace(at, total_steps=total_steps, step=max(step, at.step))
                return
            step = max(step, m.view.step)
            m.set(total_steps=_total(total_steps, step), step=step)
            m.publish()

    def leave(self) -> None:
        m = self._machine
        with m.lock:
            m.at_work.in_call, self._replayed = False, None
            if m.untold:
                m.publish()

    # -- evaluations and steps -------------------------------------------------------------------------

    def begin_evaluation(self) -> Directive:
        m = self._machine
        with m.lock:
            if self._replayed is not None:  # what was recorded of it has ended, so this is where the job is
                self._move_to(self._replayed)
                self._replayed = None
            directive = m.directive()
            if directive is Directive.GO:
                m.in_flight.begin()
            return directive

    def end_evaluation(self, outcome: Outcome) -> tuple[bool, float]:
        """Whether the answer is void, as it was interrupted here to pause or to abort; seconds it took."""
        m = self._machine
        with m.lock:
            void, seconds = m.in_flight.end(outcome)
            if void or outcome is not Outcome.ANSWERED:
                m.entries.append(Wasted(m.view.node_id or "", seconds, INTERRUPTED))
            return void, seconds

    def not_a_number(self, seconds: float) -> None:
        """The answer that took so long is void."""
        m = self._machine
        with m.lock:
            m.entries.append(Wasted(m.view.node_id or "", seconds, NOT_A_NUMBER))

    @property
    def evaluation_s(self) -> float | None:
        """Seconds that an evaluation takes, by the running average."""
        return self._machine.in_flight.mean_s

    def tell_exactness(self, exactness: Exactness) -> None:
        """What a resume will be like; of an earlier call than the job has come to, nothing is told."""
        if self._replayed is None:
            self._machine.tell_exactness(exactness)

    def tell_checked(self, checked: Checked) -> None:
        """A recorded evaluation was asked once more; of a job from a bundle, the first time counts."""
        m = self._machine
        with m.lock:
            imported = m.view.imported
            if imported is not None and imported.wants_check:
                m.set(imported=replace(imported, checked=checked))
            m.note("verified", {name: told for name, told in asdict(checked).items() if told is not None})

    def recorded(self, evaluations: int, sigma: float, live: bool, seconds: float = 0.0) -> None:
        """So many evaluations of this call have been answered; the newest was at noise level `sigma`.

        A replay on its way to where the job stopped does not count backwards. seconds: that a live one took
        """
        m = self._machine
        with m.lock:
            m.at_work.trial = m.at_work.trial and not live
            m.outlook.disturbances += not live
            m.stopwatch.evaluated(seconds)
            self._enter(evaluations, live, seconds)
            if live and self._replayed is None and m.view.take is not None:
                m.note("take_dropped", {"node_id": m.view.take.moment.node_id}, take=None)
            if self._replayed is not None:
                self._replayed = replace(self._replayed, evaluations=evaluations, sigma=sigma)
            elif live or evaluations > m.view.evaluations:
                m.set(evaluations=evaluations, sigma=sigma)

    def hit(self, kind: BreakpointKind, error: JobError | None = None) -> bool:
        """That happened in an evaluation. Whether it is to be void, and the job paused before it."""
        m = self._machine
        with m.lock:
            told = {"error": error.to_json()} if error else {}
            reason = PauseReason.NAN if kind is BreakpointKind.NAN else PauseReason.BREAKPOINT
            stops = meet(m, m.enabled(kind, m.view.node), told, reason)
            if stops:
                m.set(error=error)
                if kind is BreakpointKind.NAN:
                    m.in_flight.interrupt()  # what follows from it is void, too
            return stops

    def stepped(self, seen: Observation, live: bool, pause_at: int) -> Marked:
        """The sampler finished a step. Only a live one can pause the job. What is to be recorded with it."""
        m = self._machine
        with m.lock:
            if not live or self._replayed is not None:
                self._step_again(seen.step)
                return Marked()
            measured = self._measured(seen)
            total = _total(m.view.total_steps, seen.step)
            m.set(step=seen.step, total_steps=total, telemetry=measured)
            m.untold = True
            self._pause_after(seen, pause_at)
            if m.untold and m.state is not State.RUNNING:
                m.publish()  # no model is about to work
            return Marked(measured, {one.id: one.hits for one in m.view.breakpoints if one.hits})

    def may_stop_at(self, pause_at: int) -> bool:
        """Whether it may depend on the newest step if another evaluation begins. pause_at: as in `stepped`"""
        m = self._machine
        if pause_at or m.run.steps_left is not None or m.state is not State.RUNNING:
            return True
        return any(one.kind in AT_STEPS and one.enabled for one in m.view.breakpoints)

    def tell(self) -> None:
        """Of steps that nobody was told of yet, unless it is too soon after the last time."""
        with self._machine.lock:
            self._machine.publish_steps()

    # -- under the lock --------------------------------------------------------------------------------

    def _enter(self, number: int, live: bool, seconds: float) -> None:
        """For the ledger."""
        m, at = self._machine, self._replayed or self._machine.view
        call = at.node_id or "", at.call
        m.entries.append(Answered(*call, number, seconds) if live else Replayed(*call, number))

    def _move_to(self, at: Moment) -> None:
        self._machine.stopwatch.moved()
        self._machine.set(**asdict(at), telemetry=None)

    def _step_again(self, step: int) -> None:
        """A step of a replay."""
        m, at = self._machine, self._replayed
        if at is not None:
            self._replayed = replace(at, step=step, total_steps=_total(at.total_steps, step))
        elif step > m.view.step:
            m.set(step=step, total_steps=_total(m.view.total_steps, step))

    def _measured(self, seen: Observation) -> Telemetry:
        m = self._machine
        seconds, node = m.stopwatch.stepped(), m.view.node or itself("")
        measured = seen.sigma, seen.change, seen.norm, seconds, seen.memory
        of_step = Telemetry(node.node_id, seen.step, *measured, node.display_id, node.iteration)
        m.unsaved.append(of_step)
        return of_step

    def _pause_after(self, seen: Observation, pause_at: int) -> None:
        """Where the steps that were asked for are done, or a breakpoint is met."""
        m, run = self._machine, self._machine.run
        if run.steps_left is not None:
            run.steps_left -= 1
        if m.state is State.RUNNING and run.steps_left == 0:
            m.fire(Event.PAUSE, pause_reason=PauseReason.STEP)
        elif m.state is State.RUNNING and seen.step == pause_at:
            m.fire(Event.PAUSE, pause_reason=PauseReason.BREAKPOINT)
        which = [one for one in m.view.breakpoints if met(one, m.view.node, seen)]
        meet(m, which, {"sigma": seen.sigma, "change": seen.change}, PauseReason.BREAKPOINT)
