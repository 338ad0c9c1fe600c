"""One job as it is paused and let go on by no person: by what is so around the server, or by who is asked.

Any thread. Standard library only.
"""

from __future__ import annotations

from typing import Any

from ..breakpoints.breakpoints import Breakpoint, hit
from ..states import PauseReason, State
from .machine import Machine
from .transitions import Event
from .view import AutoResume


class WaitingSide:
    """What the guard tells of a job, and what was answered where it asked."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def wait_out(self, new: list[Breakpoint], binding: list[Breakpoint], because: str) -> None:
        """Wait out what these breakpoints are about, the `new` ones for the first time."""
        told = {"breakpoints": [one.to_json() for one in new], "because": because}
        m = self._machine
        with m.lock:
            before = m.view.auto_resume  # None where it is at work
            steps = m.run.steps_left if before is None else before.steps
            now = AutoResume(because, tuple(one.id for one in binding), steps)
            fields = {"breakpoints": hit(m.view.breakpoints, new), "auto_resume": now}
            if m.state in (State.QUEUED, State.RUNNING):
                m.fire(Event.PAUSE, told, pause_reason=PauseReason.BREAKPOINT, **fields)
                m.pause_soon()
            elif before is not None and before.question is None:
                m.note("breakpoint", told, **fields)

    def cancel(self) -> None:
        """It does not go on by itself any more."""
        with self._machine.lock:
            self._machine.cancel_auto_resume()

    def noticed(self, which: list[Breakpoint]) -> None:
        """Note that those breakpoints were met."""
        m = self._machine
        with m.lock:
            if which:
                told = {"breakpoints": [one.to_json() for one in which]}
                m.note("breakpoint", told, breakpoints=hit(m.view.breakpoints, which))

    def answered(self, due: AutoResume, told: dict[str, Any], stays: bool) -> bool:
        """That came of a question. False where somebody decided meanwhile. stays: it waits no more"""
        m = self._machine
        with m.lock:
            if m.view.auto_resume != due:
                return False
            if stays:
                m.cancel_auto_resume()
            m.note("answer", told)
            return True
