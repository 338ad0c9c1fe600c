"""What becomes of a job that meets breakpoints. Under the job's lock, on any thread."""

from __future__ import annotations

import uuid
from typing import Any

from ..breakpoints.actions import ENDS, Action
from ..breakpoints.breakpoints import Breakpoint, hit, strongest
from ..errors import IllegalTransition
from ..node import told_of
from ..states import AbortMode, PauseReason, State
from .machine import Machine
from .transitions import Event
from .view import AutoResume, Question
from .warnings import NOT_FINISHED

ASKED = "Somebody else is asked what to do, for at most {:g} s. Without an answer the job goes on by itself."


def meet(m: Machine, which: list[Breakpoint], told: dict[str, Any], reason: PauseReason) -> bool:
    """Note that those breakpoints were met, and do what the strongest says; whether the job stops there."""
    if not which:
        return False
    m.set(breakpoints=hit(m.view.breakpoints, which))
    told = {"breakpoints": [one.to_json() for one in which], **told_of(m.view.loops), **told}
    chief, fields = strongest(which), {}
    action = chief.action
    if action in ENDS and m.state in (State.RUNNING, State.PAUSING):
        refused = end(m, chief, told)
        if refused is None:
            return True
        code, sentence = NOT_FINISHED
        fields = {"warnings": m.view.warnings | {code: sentence.format(refused)}}
        action, told = Action.PAUSE, told | {"not_finished": refused}
    if action is Action.ASK:
        _ask(m, chief, told)
    elif action is not Action.LOG and m.state is State.RUNNING:
        m.fire(Event.PAUSE, told, pause_reason=reason, **fields)
    else:
        m.note("breakpoint", told, **fields)
    return action is not Action.LOG


def end(m: Machine, chief: Breakpoint, told: dict[str, Any]) -> str | None:
    """Abort or finish the job, as a client may. Why it cannot be finished, else None."""
    mode = AbortMode.FINISH if chief.action is Action.FINISH else AbortMode.STOP
    try:
        if mode is AbortMode.FINISH:
            m.require_denoised()
    except IllegalTransition as refused:
        return str(refused)
    m.abort(mode, chief.reason, told)
    return None


def _ask(m: Machine, chief: Breakpoint, told: dict[str, Any]) -> None:
    """Pause until somebody else decides. Where a person paused it already, that person does."""
    waits, running = m.view.auto_resume, m.state is State.RUNNING
    if not running and (m.state is not State.PAUSING or waits is None or waits.question is not None):
        m.note("breakpoint", told)
        return
    steps = m.run.steps_left if waits is None else waits.steps
    question = Question(uuid.uuid4().hex, chief.id, chief.timeout_s)
    asked = AutoResume(ASKED.format(chief.timeout_s), (chief.id,), steps, question)
    fields = {"pause_reason": PauseReason.ASKED, "auto_resume": asked}
    if running:
        m.fire(Event.PAUSE, told, **fields)
    else:
        m.note("breakpoint", told, **fields)
