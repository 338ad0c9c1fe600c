"""ComfyUI's prompt queue: who is in it, and queueing a job once more. The only user of PromptServer's queue.

Called from the event loop, `waiting` also from the worker thread. Every look and every change happens
under the queue's own mutex.
"""

from __future__ import annotations

import copy
import heapq
import time
import uuid
from typing import Any

import execution
from comfy_execution.progress import NodeState, get_progress_state
from comfy_execution.utils import get_executing_context

from ...state.asker import asker
from ...state.errors import RunRefused
from ...state.job.request import Request
from ...state.job.transitions import Event
from ...state.job.view import JobError
from ...state.node import Node
from ...state.services.control import PreparedRun, Presence, Where
from ...state.services.queue_order import Item, ResumedRuns
from ...state.workflow.verdicts import ancestors
from .audience import told_to
from .comfy_nodes import comfy_nodes
from .executing import node_that_runs

SECRET_KEYS: tuple[str, ...] = tuple(getattr(execution, "SENSITIVE_EXTRA_DATA_KEYS", ()))
NOTES = ("is_changed", "_loop_body", "_loop_end")  # that ComfyUI writes into a prompt, and would trust


class ComfyQueue:
    """The queue of one PromptServer."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._queue = server.prompt_queue
        self._resumed = ResumedRuns()
        self._forgotten: dict[str, str] = {}  # superseded runs whose history entry has yet to appear -> heir
        self._inherited: dict[str, list[dict[str, Any]]] = {}  # runs -> what superseded ones showed

    def presence(self, prompt_ids: list[str]) -> dict[str, Presence]:
        with self._queue.mutex:
            running, waiting = self._queue.get_current_queue_volatile()
            places = {item[1]: Presence(Where.WAITING) for item in waiting}
            places |= {item[1]: Presence(Where.RUNNING) for item in running}
            history = self._queue.history
            for prompt_id in [gone for gone in self._forgotten if gone in history]:
                self._forget(prompt_id, self._forgotten[prompt_id])
            for prompt_id in [heir for heir in self._inherited if heir in history]:
                _show(history[prompt_id], self._inherited.pop(prompt_id))
            return {
                prompt_id: places.get(prompt_id) or _ended(history.get(prompt_id)) for prompt_id in prompt_ids
            }

    def waiting(self) -> list[str]:
        """The ids of the prompts that wait."""
        return [item[1] for item in self._queue.get_current_queue_volatile()[1]]

    def executing(self) -> tuple[str, Node] | None:
        """(prompt_id, node) of what runs on this thread, or None outside every prompt.

        A node that samples on a thread of its own has no context there; then it is what the queue runs.
        """
        context = get_executing_context()
        if context is not None:
            return context.prompt_id, node_that_runs(context.prompt_id, context.node_id)
        progress = get_progress_state()
        with self._queue.mutex:
            running, _ = self._queue.get_current_queue_volatile()
        if not any(item[1] == progress.prompt_id for item in running):
            return None
        started = [
            node_id for node_id, state in progress.nodes.items() if state["state"] is NodeState.Running
        ]
        return (progress.prompt_id, node_that_runs(progress.prompt_id, started[-1])) if started else None

    def queued_request(self, prompt_id: str) -> Request | None:
        """A queued or running prompt, as ComfyUI accepted it."""
        with self._queue.mutex:
            running, waiting = self._queue.get_current_queue_volatile()
            for item in (*running, *waiting):
                if item[1] == prompt_id:
                    prompt, extra, outputs = copy.deepcopy(item[2:5])
                    secrets = {key: extra.pop(key) for key in SECRET_KEYS if key in extra}
                    secrets |= dict(item[5]) if len(item) > 5 else {}
                    return Request(prompt, extra, tuple(outputs), secrets)
        return None

    async def prepare(self, job_id: str, request: Request, sampler: str | None) -> PreparedRun:
        """Validate another run of that request, as POST /prompt does. Raises RunRefused.

        sampler: a node of the graph that has to run
        """
        prompt_id = str(uuid.uuid4())
        prompt = copy.deepcopy(request.prompt)
        for node in prompt.values():
            for note in NOTES:
                node.pop(note, None)
        targets = None if request.outputs is None else list(request.outputs)
        try:
            valid, error, outputs, node_errors = await execution.validate_prompt(prompt_id, prompt, targets)
        except Exception as raised:
            raise RunRefused(job_id, f"validation failed with {raised!r}.", []) from raised
        without = bool(sampler) and not any(sampler in ancestors(prompt, output) for output in outputs)
        if not valid or without:  # ComfyUI would run what is left
            because = f"the nodes that depend on node {sampler} cannot run." if valid else _sentence(error)
            raise RunRefused(job_id, because, _rejected(node_errors))
        extra = copy.deepcopy(request.extra_data) | {"create_time": int(time.time() * 1000)}
        left = [output for output in outputs if output not in request.kept.done]
        return PreparedRun(prompt_id, Request(prompt, extra, tuple(left or outputs), request.secrets))

    def put(self, run: PreparedRun, forget: tuple[str, ...]) -> None:
        """Queue the run, ahead of what waits unless it is to be behind; its job's earlier runs, but for one
        that was completed, leave ComfyUI's history.
        """
        request = run.request
        with self._queue.mutex:
            for prompt_id in forget:
                if prompt_id not in self._queue.history:
                    self._forgotten[prompt_id] = run.prompt_id
                elif _ended(self._queue.history[prompt_id]).event is not Event.COMPLETE:
                    self._forget(prompt_id, run.prompt_id)
            number = self._next_number() if run.behind else self._number(run)
            extra = told_to(self._server, request, asker.get())
            item = (number, run.prompt_id, request.prompt, extra, list(request.outputs or ()))
            self._queue.put((*item, dict(request.secrets or {})))

    def cancel(self, prompt_id: str) -> None:
        """Take the prompt out of the queue, or interrupt it if it is the one that runs."""
        with self._queue.mutex:  # while it is held no other prompt can start, and a start clears the flag
            running, _ = self._queue.get_current_queue_volatile()
            if any(item[1] == prompt_id for item in running):
                comfy_nodes.interrupt_processing()
            else:
                self._queue.delete_queue_item(lambda item: item[1] == prompt_id)

    def drop(self, prompt_id: str) -> None:
        """Take what ended out of ComfyUI's history."""
        with self._queue.mutex:
            self._queue.delete_history_item(prompt_id)

    def _forget(self, prompt_id: str, heir: str) -> None:
        """An entry leaves the history, but not what its outputs showed: `heir` does not make it again."""
        shown = [*self._inherited.pop(prompt_id, ()), self._queue.history[prompt_id]]
        self._inherited.setdefault(heir, []).extend(shown)
        self._queue.delete_history_item(prompt_id)
        self._forgotten.pop(prompt_id, None)

    def _number(self, run: PreparedRun) -> float:
        """Of the run, once what waits was moved for it."""
        running, waiting = self._queue.get_current_queue_volatile()
        done = [item[0] for item in running] + [one["prompt"][0] for one in self._queue.history.values()]
        items = [Item(item[0], item[1]) for item in waiting]
        numbers = self._resumed.numbers(run.prompt_id, run.since, items, done, self._next_number)
        number = numbers.pop(run.prompt_id)
        if numbers:
            heap = self._queue.queue
            heap[:] = [(numbers.get(item[1], item[0]), *item[1:]) for item in heap]
            heapq.heapify(heap)
        return number

    def _next_number(self) -> float:
        number = self._server.number
        self._server.number += 1
        return number


def _show(entry: dict[str, Any], earlier: list[dict[str, Any]]) -> None:
    """Also what earlier runs showed of outputs that this one did not make."""
    for part in ("outputs", "meta"):
        for one in reversed(earlier):
            known = entry.setdefault(part, {})
            known |= {node_id: shown for node_id, shown in one.get(part, {}).items() if node_id not in known}


def _ended(entry: dict[str, Any] | None) -> Presence:
    if entry is None:
        return Presence(Where.ABSENT)
    status = entry.get("status") or {}
    messages = dict(status.get("messages") or ())
    if "execution_interrupted" in messages:
        return Presence(Where.ENDED, Event.ABORT)
    if status.get("status_str") == "error":
        told = messages.get("execution_error", {})
        error = JobError(
            str(told.get("exception_type", "error")),
            str(told.get("exception_message", "The workflow failed.")).strip(),
            told.get("node_id"),
        )
        return Presence(Where.ENDED, Event.FAIL, error)
    return Presence(Where.ENDED, Event.COMPLETE)


def _sentence(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    return " ".join(str(error[part]) for part in ("message", "details") if error.get(part))


def _rejected(node_errors: Any) -> list[dict[str, Any]]:
    rejected = []
    for node_id, entry in dict(node_errors or {}).items():
        for error in entry.get("errors", ()):
            name = error.get("extra_info", {}).get("input_name")
            rejected.append({"node_id": node_id, "input": name, "reason": _sentence(error)})
    return rejected
