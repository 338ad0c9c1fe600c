"""What the hooks need of the rest of Midrun, what the user set on a node, and which node of a job runs now.

On ComfyUI's worker thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...state.job.job import Job
from ...state.node import Node
from ...state.pictures.previews import PreviewOptions, settled
from ...state.recording.recording import Recordings
from ...state.services.running_beside import RunningBeside
from ...state.states import QueuePolicy
from ...state.worker import Work
from ...state.workflow.graph import Prompt
from ..comfyui.queue import ComfyQueue
from ..previews.choice_pictures import ChoicePictures
from ..previews.previews import Previews
from ..previews.wire_values import WireValues
from ..remembering.session import Wishes, wishes_of
from .brownian import Draws
from .hold import Holding
from .run_watch import Keep


@dataclass(frozen=True)
class Options:
    """What the user set on the Midrun node. pause_at_step: pause once that many steps are done; 0 is off."""

    pause_at_step: int = 0
    queue_policy: QueuePolicy = QueuePolicy.AUTO
    previews: PreviewOptions = PreviewOptions()
    wishes: Wishes = Wishes()

    def settled(self, settings: dict[str, Any]) -> Options:
        """What the node leaves at its default is as the user's settings say."""
        policy, wished = self.queue_policy, settings.get("Midrun.QueuePolicy")
        if policy is QueuePolicy.AUTO and wished in ("hold", "park"):
            policy = QueuePolicy(wished)
        previews = settled(self.previews, settings)
        return replace(self, queue_policy=policy, previews=previews, wishes=wishes_of(settings))


@dataclass(frozen=True)
class Runtime:
    """What the hooks need of the rest of Midrun."""

    find_job: Callable[[str], Job | None]  # by prompt_id
    recordings: Recordings
    queue: ComfyQueue
    previews: Previews
    holding: Holding
    choices: ChoicePictures
    wires: WireValues
    draws: Draws
    settings: Callable[[], dict[str, Any]]  # of ComfyUI, by id
    keep: Keep
    later: Callable[[Work], object]  # on a thread beside the sampling thread, in order
    around: Callable[[str, Prompt], dict[str, str]]  # what a run's graph is computed with; may read files
    find_beside: Callable[[str], RunningBeside | None]  # by prompt_id


@dataclass(frozen=True)
class Here:
    """The node that executes now, in a run of a job."""

    runtime: Runtime
    job: Job
    prompt_id: str
    node: Node


current: Runtime | None = None  # set once, when ComfyUI loads the pack; None leaves every model unwatched


def beside_here() -> tuple[RunningBeside, Node] | None:
    """What runs now beside a job, and the node that does."""
    executing = current.queue.executing() if current is not None else None
    if current is None or executing is None:
        return None
    beside = current.find_beside(executing[0])
    return None if beside is None else (beside, executing[1])


def here() -> Here | None:
    """None outside every prompt that is a job."""
    executing = current.queue.executing() if current is not None else None
    if current is None or executing is None:
        return None
    prompt_id, node = executing
    job = current.find_job(prompt_id)
    return None if job is None else Here(current, job, prompt_id, node)
