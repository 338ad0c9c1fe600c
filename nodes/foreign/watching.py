"""Is told by ComfyUI when nodes start and end, and puts the seam in place for those that are watched.

On ComfyUI's worker thread. ComfyUI tells of no end where a node raises: the seam is taken back with what the
end of the run, and at the latest before another node or another prompt starts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import comfy.model_patcher
from comfy_execution.progress import ProgressHandler, get_progress_state

from ...state.job.job import Job
from ...state.job.transitions import Directive
from ...state.job.view import Change, JobError, JobView
from ...state.workflow.graph import link
from ..comfyui.executing import node_that_runs
from ..engine import hooks, runtime
from ..engine.hold import end_prompt
from ..engine.runtime import Options
from .loop import Loop
from .wires import attach_of, is_models, sources_of

log = logging.getLogger(__name__)
NAME = "midrun-loops"
ENDS = ("fail", "abort", "complete", "stopped", "run_ended")  # with which a run may have left ComfyUI
MakeOptions = Callable[..., Options]  # of the inputs of a Midrun Attach


class LoopWatch(ProgressHandler):
    """Of one prompt."""

    def __init__(self, make_options: MakeOptions) -> None:
        super().__init__(NAME)
        self._make_options = make_options
        self._loop: Loop | None = None
        self._ended: Loop | None = None  # that came to its end last

    def start_handler(self, node_id: str, state: Any, prompt_id: str) -> None:
        if self._loop is not None and self._loop.node.node_id == node_id:
            return  # ComfyUI comes to a node more than once that waits for something
        self._end(done=False)
        self._pause_before(node_id, prompt_id)
        graph = get_progress_state().dynprompt
        given = attach_of(graph, node_id)
        midrun = runtime.current if given is not None else None
        job = midrun.find_job(prompt_id) if midrun is not None else None
        if given is None or midrun is None or job is None:
            return
        told = {name: value for name, value in given.items() if name != "model" and link(value) is None}
        options = self._make_options(**told)
        node, sources = node_that_runs(prompt_id, node_id), sources_of(graph, node_id)
        self._loop = Loop(midrun, job, prompt_id, node, options, sources)

    def update_handler(
        self, node_id: str, value: float, max_value: float, state: Any, prompt_id: str, image: Any = None
    ) -> None:
        if self._loop is not None and self._loop.node.node_id == node_id:
            self._loop.moved(value, max_value)

    def finish_handler(self, node_id: str, state: Any, prompt_id: str) -> None:
        if self._loop is not None and self._loop.node.node_id == node_id:
            self._ended = self._loop
            self._end(done=True)

    def _pause_before(self, node_id: str, prompt_id: str) -> None:
        """A pause that was asked for when a loop asked nothing any more takes effect before the next node."""
        ended, self._ended = self._ended, None
        if ended is None or ended.job.worker.directive() is not Directive.PAUSE:
            return
        if ended.job.worker.before_node(prompt_id, node_that_runs(prompt_id, node_id), always=False):
            directive = ended.runtime.holding.wait_while_paused(ended.job)
            if directive in (Directive.STOP, Directive.PARK):
                end_prompt()

    def reset(self) -> None:
        self._end(done=False)

    def left(self, job: Job) -> None:
        """The run of that job ended without a word of the node, which raised. Under the job's lock."""
        if self._loop is not None and self._loop.job is job:
            self._loop.runtime.later(partial(_end, self._loop, False))

    def _end(self, done: bool) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            _end(loop, done)


def _end(loop: Loop, done: bool) -> None:
    try:
        loop.end(done)
    except Exception as error:  # it would end ComfyUI's worker thread
        log.exception("Midrun could not record the end of node %s", loop.node.display_id)
        loop.job.worker.fail(JobError(type(error).__qualname__, str(error), loop.node.display_id))


def on_change(job: Job, view: JobView, change: Change | None) -> None:
    """Of a job, told under its lock."""
    if change is None or change.kind not in ENDS or job.runs.active:
        return
    watching = get_progress_state().handlers.get(NAME)
    if isinstance(watching, LoopWatch):
        watching.left(job)


def watch_loops(make_options: MakeOptions) -> None:
    """Follow the prompt that runs from here on."""
    registry = get_progress_state()
    if not isinstance(registry.handlers.get(NAME), LoopWatch):
        registry.register_handler(LoopWatch(make_options))


def attach(value: Any, node_id: str, options: Options) -> Any:
    """What the Midrun Attach with that id gives on: a model of ComfyUI watched, anything else as it is."""
    of_comfyui = is_models(get_progress_state().dynprompt, node_id)
    if of_comfyui is None:
        of_comfyui = isinstance(value, comfy.model_patcher.ModelPatcher)
    return hooks.attach(value, options) if of_comfyui else value
