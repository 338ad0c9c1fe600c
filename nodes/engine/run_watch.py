"""What ComfyUI's executor did and answered in the run of a job: which outputs are made, what nodes gave.

On ComfyUI's worker thread, from the first time that a run meets Midrun.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import comfy.model_management as mm
import execution
import folder_paths
from comfy_execution.progress import NodeState, ProgressHandler, get_progress_state

from ...state.job.job import Job
from ...state.job.node_times import Task
from ...state.workflow.graph import class_type, inputs, link
from ...state.workflow.kept import Answer, Kept, plain
from ...state.workflow.verdicts import Progress, Sampled, VerdictKind, verdict
from ..comfyui.comfy_nodes import node_class

NAME = "midrun"
OF_COMFYUI = ("nodes", "comfy_extras.")  # where the nodes are that answer what they are asked
LASTING = (
    VerdictKind.LIVE,
    VerdictKind.CAUTION,
    VerdictKind.DOWNSTREAM,
)  # what is used of a later answer, not of the recorded one
Keep = Callable[[Job, Kept], None]


class RunWatch(ProgressHandler):
    """Is told by ComfyUI when a node starts and ends."""

    def __init__(self, job: Job, keep: Keep) -> None:
        super().__init__(NAME)
        self._job = job
        self._keep = keep

    def start_handler(self, node_id: str, state: Any, prompt_id: str) -> None:
        """A node may have caught the interrupt that was to end the run: it ends before the next one."""
        if self._job.worker.must_leave(prompt_id):
            mm.interrupt_current_processing(True)
            return
        graph = get_progress_state().dynprompt
        self._job.worker.node_begins(prompt_id, _task(graph, node_id), _left(graph, node_id))

    def finish_handler(self, node_id: str, state: Any, prompt_id: str) -> None:
        self._job.worker.node_ends(prompt_id, node_id)
        if self._job.worker.must_leave(prompt_id):
            self._job.travelled = True  # what it answered is in ComfyUI's cache now, and is not the job's
        else:
            self.made([node_id])

    def made(self, node_ids: Iterable[str]) -> None:
        """Those outputs are made, side effects included."""
        prompt = self._job.request.prompt
        kept = self._job.request.kept
        done = [node_id for node_id in node_ids if _is_output(class_type(prompt, node_id))]
        if not set(done) <= set(kept.done):
            self._keep(self._job, kept.with_done(done))


def watch(job: Job, prompt_id: str, keep: Keep) -> RunWatch | None:
    """Be told of the nodes of that run from here on; None where another one executes."""
    registry = get_progress_state()
    if registry.prompt_id != prompt_id:
        return None
    if not isinstance(registry.handlers.get(NAME), RunWatch):
        registry.register_handler(RunWatch(job, keep))
    watching: Any = registry.handlers[NAME]
    return watching


def follow(job: Job, prompt_id: str, sampler: str | None, keep: Keep) -> None:
    """Follow the run from here on, and keep what it has done by now. sampler: as a person knows it."""
    watching = watch(job, prompt_id, keep)
    if watching is None:
        return
    registry = get_progress_state()
    watching.made([one for one, state in registry.nodes.items() if state["state"] is NodeState.Finished])
    kept, fickle = _answered(job, sampler)
    if kept.answers.keys() - job.request.kept.answers.keys():
        keep(job, kept)
    job.worker.fickle(fickle)


def _task(graph: Any, node_id: str) -> Task:
    return Task(node_id, graph.get_display_node_id(node_id), graph.get_node(node_id)["class_type"])


def _left(graph: Any, node_id: str) -> tuple[Task, ...] | None:
    """The nodes that ComfyUI will run after that one, as far as it knows by now."""
    frame = _executing()
    waiting = frame.f_locals["execution_list"] if frame is not None else None
    pending, is_cached = getattr(waiting, "pendingNodes", None), getattr(waiting, "is_cached", None)
    if not isinstance(pending, dict) or not callable(is_cached):
        return None
    return tuple(_task(graph, one) for one in pending if one != node_id and not is_cached(one))


def _answered(job: Job, sampler: str | None) -> tuple[Kept, dict[str, str]]:
    """With what nodes gave that may answer otherwise next time, and those of which it cannot be kept."""
    prompt, known = job.request.prompt, job.request.kept.answers
    unsteady = [node_id for node_id in prompt if not _is_steady(prompt, node_id)]
    if any(_copies_the_graph(class_type(prompt, node_id)) for node_id in prompt):
        return job.request.kept, {}  # as a loop does: what its beginning gives is another in each iteration
    given = outputs_of(node_id for node_id in unsteady if node_id not in known)
    answers = {
        node_id: answer
        for node_id, outputs in given.items()
        if (answer := _without_temporary(plain(outputs))) is not None
    }
    kept = job.request.kept.with_answers(answers)
    fickle = {
        node_id: class_type(prompt, node_id) or ""
        for node_id in unsteady
        if _is_fickle(node_id) and _is_used(prompt, node_id, kept.answers.get(node_id), sampler)
    }
    return kept, fickle


def _is_used(prompt: dict[str, Any], node_id: str, answer: Answer | None, sampler: str | None) -> bool:
    """Whether anything that is not kept of it matters once the sampling has begun."""
    slots = {
        value[1] for other in prompt for value in inputs(prompt, other).values() if link(value) == node_id
    }
    kept = {slot for slot, values in enumerate(answer or ()) if values is not None}
    at_work = () if sampler is None else (Sampled(sampler, Progress.GOING),)
    found = verdict(prompt, node_id, "", at_work, lambda kind, name: None)
    return bool(slots - kept) and found.kind in LASTING


def _is_output(kind: str | None) -> bool:
    return bool(getattr(node_class(kind), "OUTPUT_NODE", False))


def _is_steady(prompt: dict[str, Any], node_id: str) -> bool:
    """Whether it answers the same when it is asked the same: a node of ComfyUI that never says otherwise."""
    node = node_class(class_type(prompt, node_id))
    module = str(getattr(node, "RELATIVE_PYTHON_MODULE", ""))
    return module.startswith(OF_COMFYUI) and not _tells_changes(node)


def _copies_the_graph(kind: str | None) -> bool:
    """Whether a node of that class asks for the graph that executes, as those do that put copies into it."""
    node = node_class(kind)
    try:
        hidden = node.INPUT_TYPES().get("hidden") if node is not None else None
    except Exception:  # noqa: BLE001  another pack's code
        hidden = None
    return "dynprompt" in str(hidden).lower()


def _tells_changes(node: Any) -> bool:
    if issubclass(node, execution._ComfyNodeInternal):
        return execution.first_real_override(node, "fingerprint_inputs") is not None
    return hasattr(node, "IS_CHANGED")


def _is_fickle(node_id: str) -> bool:
    """Whether ComfyUI was told that it answers anew in every run: by a NaN, which equals nothing."""
    executed = get_progress_state().dynprompt.get_original_prompt()
    told = executed.get(node_id, {}).get("is_changed")
    return any(isinstance(one, float) and one != one for one in (told if isinstance(told, list) else [told]))


def _without_temporary(answer: Answer | None) -> Answer | None:
    """A path into ComfyUI's temporary directory leads nowhere after a restart."""
    if answer is None:
        return None
    temporary = folder_paths.get_temp_directory()
    return [None if values is None or _mentions(temporary, values) else values for values in answer]


def _mentions(text: str, value: Any) -> bool:
    if isinstance(value, list):
        return any(_mentions(text, one) for one in value)
    return isinstance(value, str) and text in value


def outputs_of(node_ids: Iterable[str]) -> dict[str, Any]:
    """By node, what ComfyUI has at hand: for each output the list of values."""
    frame = _executing()
    if frame is None:
        return {}
    cache, waiting = frame.f_locals["caches"].outputs, frame.f_locals["execution_list"].execution_cache
    # `get` is a coroutine where caches can be asked from outside, and `get_local` is what it was.
    get = getattr(cache, "get_local", cache.get)
    found = {}
    for node_id in node_ids:
        entry = get(node_id) or next((one[node_id] for one in waiting.values() if one.get(node_id)), None)
        given = getattr(entry, "outputs", None)
        if given:
            found[node_id] = given
    return found


def _executing() -> FrameType | None:
    """The frame in which ComfyUI executes the present node: it keeps its executor to itself."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and not executes(frame):
        frame = frame.f_back
    return frame


def executes(frame: FrameType) -> bool:
    """Also where a pack put a function of its own around ComfyUI's."""
    named = frame.f_code.co_name == "execute" and frame.f_globals is vars(execution)
    return named and {"caches", "execution_list"} <= frame.f_locals.keys()  # not its PromptExecutor.execute
