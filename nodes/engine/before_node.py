"""Nodes that are about to run: breakpoints on them, loops that came past them, results that are in the cache.

On ComfyUI's worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ...state.choice import Choice
from ...state.job.transitions import Directive
from ...state.node import is_past
from ...state.recording.recording import is_begun
from ...state.workflow.verdicts import ancestors
from ..comfyui.executing import loop_ends, prompt_that_runs
from .hold import end_prompt
from .run_watch import follow, outputs_of, watch
from .runtime import Here, here
from .standing import stands_before


def present_take() -> str:
    """What makes ComfyUI sample again where it has the result in its cache: another take of the same job."""
    now = here()
    if now is None:
        return ""
    watch(now.job, now.prompt_id, now.runtime.keep)  # ComfyUI asks for this before the first node runs
    return now.prompt_id if now.job.travelled else ""


def before_node(before: str | None, value: Sequence[Any]) -> None:
    """The node `before`, or this one, is about to run: its job pauses there if it has a breakpoint.

    At this one, which is a breakpoint by itself, always. Raises InterruptProcessingException where the prompt
    is to end.
    value: the list that comes to this one
    """
    now = here()
    if now is None:
        return
    job, worker = now.job, now.job.worker
    node = now.node if before is None else now.node.beside(before)
    if worker.must_leave(now.prompt_id):
        end_prompt()
    follow(job, now.prompt_id, job.view().display_node_id, now.runtime.keep)
    if iteration_is_over():
        return
    if not worker.before_node(now.prompt_id, node, always=before is None):
        if worker.must_leave(now.prompt_id):  # its breakpoint ended the job
            end_prompt()
        return
    now.runtime.wires.look(job, now.prompt_id, node, stands_before(node, now.node, value))
    _wait(now)


def at_choice(offer: Callable[[Here], Choice]) -> None:
    """This node is about to pass on what somebody is to choose: its job pauses here until that is done.

    It then runs again, with what was chosen among its inputs. Returns where nobody will: outside a job, and
    where the rest of the workflow is finished without an answer. Raises InterruptProcessingException else.
    offer: makes the pictures to choose from
    """
    now = here()
    if now is None:
        return
    job, worker = now.job, now.job.worker
    if worker.must_leave(now.prompt_id):
        end_prompt()
    follow(job, now.prompt_id, job.view().display_node_id, now.runtime.keep)
    if iteration_is_over():
        return
    choice = offer(now)
    while worker.at_choice(now.prompt_id, now.node, choice):
        _wait(now)


def _wait(now: Here) -> None:
    """Until the job goes on. Raises InterruptProcessingException where the prompt is to end."""
    directive = now.runtime.holding.wait_while_paused(now.job)
    if directive in (Directive.STOP, Directive.PARK):
        end_prompt()
    if directive is Directive.FINISH:  # what comes after this node is about the newest `denoised`
        name = now.job.view().node_id
        now.job.worker.finished(sampled=name is not None and bool(outputs_of([name])))


def iteration_is_over() -> bool:
    """Whether the job came past the iteration of a loop that this node is in, in whichever of its runs."""
    now = here()
    if now is None or not now.node.loops:
        return False
    calls = now.runtime.recordings.calls(now.job.job_id).values()
    origins = [recording.origin for recording in calls if is_begun(recording)]
    reached = [*now.job.worker.came_to, *(origin.node for origin in origins if origin is not None)]
    ends, needs = loop_ends(now.node.loops), partial(ancestors, prompt_that_runs())
    return any(is_past(other, now.node, ends, needs) for other in reached)
