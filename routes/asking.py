"""Asks the webhook of the settings what is to become of a job, and does it. On ComfyUI's event loop.

Each question is a task of its own. Whatever comes of it, the job goes on where nobody says otherwise in time;
what a person does with the job meanwhile stands.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..state.errors import IllegalTransition, MidrunError
from ..state.job.job import Job
from ..state.job.transitions import Event
from ..state.job.view import AutoResume, Change, JobView, Question
from ..state.job.warnings import NOT_FINISHED
from ..state.services.control import Control
from ..state.services.gate import Gate
from ..state.services.settings import Settings, Webhook
from ..state.states import AbortMode, State
from .parsing import storable
from .ports import Pictures
from .posting import AWAY, Refused, content_of, post, why_away

log = logging.getLogger(__name__)
REASON = 500  # characters that are kept
ANSWERS = ("go", "pause", "abort", "finish")
BY_WHOM = "the webhook"


@dataclass(frozen=True)
class Answer:
    """action: one of ANSWERS; reason: who answered said so; trouble: why there is no answer"""

    action: str
    reason: str | None = None
    trouble: str | None = None

    def told(self) -> dict[str, Any]:
        """For the audit trail."""
        more = {"reason": self.reason, "because": self.trouble}
        return {"action": self.action} | {name: text for name, text in more.items() if text is not None}


class Asking:
    """soon: calls on the event loop"""

    def __init__(
        self,
        control: Control,
        gate: Gate,
        settings: Settings,
        pictures: Pictures,
        soon: Callable[[Callable[[], object]], object],
    ) -> None:
        self._control = control
        self._gate = gate
        self._settings = settings
        self._pictures = pictures
        self._soon = soon
        self._asked: set[asyncio.Task[None]] = set()

    def on_change(self, job: Job, view: JobView, change: Change | None) -> None:
        """A listener of the registry."""
        stopped = change is not None and change.kind == Event.STOPPED.value and view.state is State.PAUSED
        if stopped and view.question is not None:
            self._soon(lambda: self._begin(job, view))

    def _begin(self, job: Job, view: JobView) -> None:
        task = asyncio.get_running_loop().create_task(self._see_to(job, view))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _see_to(self, job: Job, view: JobView) -> None:
        due, question = view.auto_resume, view.question
        if due is None or question is None:
            return
        answer = await self._answer(job, view, question)
        if answer.action == "go" and self._gate.closed:
            answer = Answer("pause", answer.reason, "the whole queue is paused")
        stays = answer.action == "pause"
        if job.waiting.answered(due, answer.told(), stays) and not stays:
            try:
                await self._do(job, due, answer)
            except MidrunError as refused:
                self._let_be(job, due, answer, refused)

    async def _answer(self, job: Job, view: JobView, question: Question) -> Answer:
        """Within the seconds that the question gives."""
        try:
            webhook = await asyncio.to_thread(self._settings.webhook)
            if webhook is None:
                return Answer("go", trouble="the settings name no webhook")
            return await asyncio.wait_for(self._ask(webhook, job, view, question), question.timeout_s)
        except asyncio.TimeoutError:
            return Answer("go", trouble=f"no answer within {question.timeout_s:g} s")
        except (Refused, *AWAY) as error:
            return Answer("go", trouble=why_away(error))
        except Exception as error:  # noqa: BLE001  whatever it is, the job must not wait for ever
            log.exception("Midrun could not ask what to do with job %s", view.job_id)
            return Answer("go", trouble=type(error).__name__)

    async def _ask(self, webhook: Webhook, job: Job, view: JobView, question: Question) -> Answer:
        content = await content_of("ask", job, view, self._pictures if webhook.picture else None)
        chief = next((one for one in view.breakpoints if one.id == question.breakpoint_id), None)
        content["breakpoint"] = None if chief is None else chief.to_json()
        return answer_of(await post(webhook, content, question.timeout_s, reads=True))

    async def _do(self, job: Job, due: AutoResume, answer: Answer) -> None:
        """Raises MidrunError."""
        keeps = await asyncio.to_thread(self._settings.keeps_history)
        if answer.action == "go":
            await self._control.resume(job.job_id, due.steps, keeps, due=due)
            return
        mode = AbortMode.FINISH if answer.action == "finish" else AbortMode.STOP
        reason = BY_WHOM if answer.reason is None else f"{BY_WHOM}: {answer.reason}"
        await self._control.abort(job.job_id, mode, reason, keeps, due=due)

    def _let_be(self, job: Job, due: AutoResume, answer: Answer, refused: MidrunError) -> None:
        """The job stays paused, unless somebody did something with it meanwhile."""
        if job.view().auto_resume != due:
            return
        job.waiting.cancel()
        job.note("not_resumed" if answer.action == "go" else "not_ended", {"error": str(refused)})
        if answer.action == "finish" and isinstance(refused, IllegalTransition):
            job.warn(NOT_FINISHED, refused)


def answer_of(body: bytes) -> Answer:
    """What a webhook answered; where that says nothing, the job goes on."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return Answer("go", trouble="its answer is no JSON")
    action = told.get("action") if isinstance(told, dict) else None
    if not isinstance(action, str) or action not in ANSWERS:
        names = ", ".join(ANSWERS)
        return Answer("go", trouble=f"the action of its answer is none of {names}")
    reason = told.get("reason")
    return Answer(action, storable(reason[:REASON]) if isinstance(reason, str) and reason else None)
