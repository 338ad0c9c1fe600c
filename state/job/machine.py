"""What a job is at any moment, and how it tells of it: the part of its state machine that knows no verbs.

Everything under one lock. Standard library only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ..errors import IllegalTransition
from ..states import State
from .stopwatch import Mode, Stopwatch
from .transitions import ENDED, TRANSITIONS, Event, H, P, R
from .view import Change, JobView, altered
from .warnings import Warning


def utc(seconds: float) -> str:
    """ISO 8601, UTC, milliseconds: sorts as text."""
    stamp = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


class Core:
    """Holds the view, carries out transitions, and calls the listener on each, in order, under the lock."""

    def __init__(
        self,
        view: JobView,
        listener: Callable[[Any, JobView, Change | None], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._view = view
        self._listener = listener
        self._clock, self._wall = clock, wall
        self._lock = threading.Condition(threading.RLock())
        self._watch = Stopwatch(clock, view.timing, Mode.PAUSED if view.state is H else Mode.IDLE)
        self._published = float("-inf")
        self._started = False  # the present run reached the front of the queue

    @property
    def job_id(self) -> str:
        return self._view.job_id

    @property
    def prompt_id(self) -> str:
        return self._view.prompt_ids[-1]

    @property
    def state(self) -> State:
        return self._view.state

    def view(self) -> JobView:
        with self._lock:
            return self._timed()

    def warn(self, warning: Warning, *told: object) -> None:
        """Tell the user of something that is not as it should be, until `unwarn`."""
        code, message = warning[0], warning[1].format(*told)
        with self._lock:
            if self._view.warnings.get(code) != message:
                self._note(code, {"warning": message}, warnings=self._view.warnings | {code: message})

    def unwarn(self, warning: Warning) -> None:
        with self._lock:
            warnings = dict(self._view.warnings)
            if warnings.pop(warning[0], None) is not None:
                self._note(f"{warning[0]}_over", warnings=warnings)

    def note(self, kind: str, detail: dict[str, Any]) -> None:
        """Add a line to the audit trail that is no transition."""
        with self._lock:
            self._note(kind, detail)

    def tell_of_call(self, node_id: str, call: int, **fields: Any) -> None:
        """Change what the view tells of that sampling call; the next that is published carries it.

        Nothing is told of an earlier call than the job has come to.
        """
        with self._lock:
            if (self._view.node_id, self._view.call) == (node_id, call):
                self._set(**fields)

    # -- under the lock --------------------------------------------------------------------------------

    def _require(self, states: tuple[State, ...], verb: str, because: str) -> None:
        if self.state not in states:
            hint = " Pause it first." if self.state is R and verb in ("resume", "step") else ""
            raise IllegalTransition(
                verb, self.job_id, self.state, f"it is {self.state.value}; {because}.{hint}"
            )

    def _timed(self, **fields: Any) -> JobView:
        view = self._view
        known = view.total_steps is not None and view.state not in ENDED
        left = max(0, (view.total_steps or 0) - view.step) if known else None
        self._set(timing=self._watch.read(left), **fields)
        return self._view

    def _set(self, **fields: Any) -> None:
        self._view = altered(self._view, fields)

    def _fire(self, event: Event, detail: dict[str, Any] | None = None, **fields: Any) -> None:
        before = self.state
        after = TRANSITIONS.get((before, event))
        if after is None:
            raise IllegalTransition(event.value, self.job_id, before, f"it is {before.value}.")
        gone_on = {} if after in (P, H) else {"paused_before": None, "standing": None}
        self._set(state=after, **gone_on, **fields)
        active = after in (R, P) and (self._started or after is R)
        self._watch.switch(Mode.ACTIVE if active else Mode.PAUSED if after is H else Mode.IDLE)
        self._announce(event.value, before, detail)
        self._lock.notify_all()

    def _note(self, kind: str, detail: dict[str, Any] | None = None, **fields: Any) -> None:
        self._set(**fields)
        self._announce(kind, self.state, detail)

    def _announce(self, kind: str, before: State, detail: dict[str, Any] | None) -> None:
        detail = dict(detail or {})
        for name in ("pause_reason", "abort_mode"):
            value = getattr(self._view, name)
            if value is not None:
                detail[name] = value.value
        if self._view.abort_reason is not None:
            detail["abort_reason"] = self._view.abort_reason
        at = utc(self._wall())
        self._publish(Change(kind, before, self.state, self._view.step, at, detail))

    def _publish(self, change: Change | None) -> None:
        self._published = self._clock()
        self._listener(self, self._timed(updated_at=utc(self._wall())), change)
