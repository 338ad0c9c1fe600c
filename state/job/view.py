"""What others may see of a job: frozen values, safe to hand to any thread. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..breakpoints.breakpoints import DRAFT, Breakpoints
from ..checks import Check
from ..choice import Choice
from ..exactness import Exactness
from ..node import Loops, Node
from ..pictures.previews import InForce
from ..retried import Retried
from ..states import AbortMode, PauseReason, QueuePolicy, State
from ..surroundings import Imported
from ..telemetry import Telemetry
from ..wire import Wires
from ..workflow.edits import History, modified
from ..workflow.kept import Kept
from .fork_grid import Cell, variant

BRIEF_S = 60  # in which a job that waits for an answer keeps its place


@dataclass(frozen=True)
class JobError:
    """Why a job failed. `type` is the exception's qualified name."""

    type: str
    message: str
    node_id: str | None

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "message": self.message, "node_id": self.node_id}


@dataclass(frozen=True)
class Timing:
    """Seconds. `mean_step_s` and `eta_s` are None while unknown; paused time is never active.

    eta_s: that what is left will take, nodes included; eta_rough: something of it was never timed
    """

    active_s: float = 0.0
    paused_s: float = 0.0
    mean_step_s: float | None = None
    eta_s: float | None = None
    eta_rough: bool = False

    def to_json(self) -> dict[str, Any]:
        names = ("active_s", "paused_s", "mean_step_s", "eta_s")
        known = ((name, getattr(self, name)) for name in names)
        seconds = {name: None if value is None else round(value, 3) for name, value in known}
        return seconds | {"eta_rough": self.eta_rough}


# What of a view tells where its job stands.
WHERE = ("node_id", "display_node_id", "iteration", "call", "step", "total_steps")
WHERE += ("evaluations", "sigma", "paused_at_step")


@dataclass(frozen=True)
class Moment:
    """A place in a job: after that step of a sampling call. call: which one of the node, from 0."""

    node_id: str | None
    step: int
    evaluations: int
    total_steps: int | None
    sigma: float | None
    call: int = 0
    display_node_id: str | None = None
    loops: Loops = ()

    @property
    def node(self) -> Node | None:
        if self.node_id is None:
            return None
        return Node(self.node_id, self.display_node_id or self.node_id, self.loops)


@dataclass(frozen=True)
class Take:
    """What a rewind left behind: where the job had come to, its edits, its graph and what was kept then."""

    moment: Moment
    edits: History
    prompt: dict[str, Any]
    kept: Kept = Kept()

    def to_json(self) -> dict[str, Any]:
        at, node = self.moment, self.moment.node
        told = {"node_id": at.node_id, "display_node_id": at.display_node_id}
        return told | {"iteration": None if node is None else node.iteration, "step": at.step}


@dataclass(frozen=True)
class Question:
    """What a breakpoint asked of somebody else, who may take `timeout_s` seconds. id: no other has it"""

    id: str
    breakpoint_id: str
    timeout_s: float

    @property
    def is_brief(self) -> bool:
        return self.timeout_s <= BRIEF_S


@dataclass(frozen=True)
class AutoResume:
    """A job that was paused by what is so around the server, and goes on by itself when that is over.

    ids: of its breakpoints; steps: that it was to do yet, None is all
    question: where it waits for an answer instead
    """

    because: str
    ids: tuple[str, ...]
    steps: int | None = None
    question: Question | None = None


@dataclass(frozen=True)
class Origin:
    """The workflow that a job was queued from, and its nodes that sample under Midrun by themselves."""

    workflow_id: str | None = None
    workflow_name: str | None = None
    sampler_nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobView:
    """A job at one moment: how far it has come, wherever a replay on the way there is.

    step, evaluations: of the newest sampling call; call: which one of `node_id` that is, from 0
    unreadable: columns of its row that this version cannot read; they stay until they change
    """

    job_id: str
    prompt_ids: tuple[str, ...]
    state: State
    created_at: str
    updated_at: str
    held: bool = False
    pause_reason: PauseReason | None = None
    node_id: str | None = None
    call: int = 0
    display_node_id: str | None = None  # as a person knows that node
    loops: Loops = ()  # that it is in
    step: int = 0
    total_steps: int | None = None
    evaluations: int = 0
    sigma: float | None = None
    paused_at_step: int | None = None
    edits: History = field(default_factory=dict)
    abort_reason: str | None = None
    abort_mode: AbortMode | None = None
    error: JobError | None = None
    gpu_released: bool = False
    gpu_free: int | None = None  # bytes on the device, while it holds its place; None: unknown. Not stored
    queue_policy: QueuePolicy = QueuePolicy.AUTO
    timing: Timing = Timing()
    telemetry: Telemetry | None = None  # of `step`
    warnings: dict[str, str] = field(default_factory=dict)  # code -> sentence
    origin: Origin = Origin()
    take: Take | None = None  # until the next live evaluation
    parent_id: str | None = None  # of the job that it was forked from, after `parent_step`
    parent_step: int | None = None
    parent_node_id: str | None = None  # whose steps that counts
    cell: Cell | None = None  # of the grid of forks or drafts that it was made with
    breakpoints: Breakpoints = ()
    paused_before: Node | None = None  # the node that is to run next, where it is paused before one
    choice: Choice | None = None  # that it waits for
    wires: Wires | None = None  # what stands there, where it is paused before a node
    exactness: Exactness = Exactness()  # of a resume
    imported: Imported | None = None  # where it came in a bundle
    check: Check | None = None  # the newest: whether the model answers still what is on record
    retried: Retried | None = None  # where it went on from what a dead server had computed of the same prompt
    auto_resume: AutoResume | None = None  # until it goes on or somebody does something with it; not stored
    previews: InForce | None = None  # of the present sampling call
    preview_url: str | None = None  # of the newest
    source_url: str | None = None
    unreadable: dict[str, Any] = field(default_factory=dict)  # column -> what is shown in its place

    @property
    def moment(self) -> Moment:
        where = self.node_id, self.step, self.evaluations, self.total_steps, self.sigma
        return Moment(*where, self.call, self.display_node_id, self.loops)

    @property
    def node(self) -> Node | None:
        return self.moment.node

    @property
    def is_draft(self) -> bool:
        """One of several that were queued to be chosen from."""
        return self.cell is not None and self.parent_id is None

    @property
    def question(self) -> Question | None:
        """To which the job waits for an answer."""
        return None if self.auto_resume is None else self.auto_resume.question

    @property
    def waits_to_be_chosen(self) -> bool:
        """It waits at a choice, or it is a draft that paused where drafts do."""
        if self.choice is not None:
            return True
        marks = [one.value for one in self.breakpoints if one.id == DRAFT and one.enabled]
        stands = self.state is State.PAUSED and self.pause_reason is PauseReason.BREAKPOINT
        return self.is_draft and stands and self.auto_resume is None and self.step in marks

    @property
    def iteration(self) -> int | None:
        """Of the loop in which the job stands."""
        node = self.paused_before or self.node
        return None if node is None else node.iteration

    def parent_json(self) -> dict[str, Any] | None:
        if self.parent_id is None:
            return None
        return {"job_id": self.parent_id, "step": self.parent_step, "node_id": self.parent_node_id}

    def to_json(self) -> dict[str, Any]:
        """The Job of the REST API and of the `midrun.job` event: plain JSON, no NaN."""
        return {
            "job_id": self.job_id,
            "prompt_id": self.prompt_ids[-1],
            "prompt_ids": list(self.prompt_ids),
            "workflow": {"id": self.origin.workflow_id, "name": self.origin.workflow_name},
            "sampler_nodes": list(self.origin.sampler_nodes),
            "state": self.state.value,
            "held": self.held,
            "pause_reason": self.pause_reason.value if self.pause_reason else None,
            **{name: getattr(self, name) for name in WHERE},
            **modified(self.edits),
            "abort_reason": self.abort_reason,
            "error": self.error.to_json() if self.error else None,
            "gpu_released": self.gpu_released,
            "gpu_free": self.gpu_free,
            "queue_policy": self.queue_policy.value,
            "timing": self.timing.to_json(),
            "telemetry": self.telemetry.of_job() if self.telemetry else None,
            "warnings": [{"code": code, "message": told} for code, told in self.warnings.items()],
            "take": self.take.to_json() if self.take else None,
            "parent": self.parent_json(),
            "grid": self.cell.grid if self.cell else None,
            "varied": variant(self.cell) if self.cell else None,
            "paused_before": self.paused_before.display_id if self.paused_before else None,
            "paused_because": self.auto_resume.because if self.auto_resume else None,
            "choice": self.choice.to_json() if self.choice else None,
            "wires": self.wires.to_json() if self.wires else None,
            "exactness": self.exactness.to_json(),
            "imported": self.imported.to_json() if self.imported else None,
            "check": self.check.summary() if self.check else None,
            "retry_of": self.retried.to_json() if self.retried else None,
            "breakpoints": [breakpoint.to_json() for breakpoint in self.breakpoints],
            "previews": self.previews.to_json() if self.previews else None,
            "source_url": self.source_url,
            "preview_url": self.preview_url,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def altered(view: JobView, fields: dict[str, Any]) -> JobView:
    """Another view with those fields, as dataclasses.replace makes it, in an eighth of the time.

    A job's view changes several times an evaluation. Raises TypeError for a field that there is not.
    """
    if not fields.keys() <= view.__dict__.keys():
        raise TypeError(f"a JobView has no {', '.join(sorted(fields.keys() - view.__dict__.keys()))}")
    other = object.__new__(JobView)
    other.__dict__.update(view.__dict__)
    other.__dict__.update(fields)
    return other


@dataclass(frozen=True)
class Change:
    """One line of a job's audit trail. `state_from` equals `state_to` for what is not a transition.

    node_id: whose sampling call the job had come to, which `step` is of; None before the first
    """

    kind: str
    state_from: State
    state_to: State
    step: int
    at: str
    detail: dict[str, Any] = field(default_factory=dict)
    node_id: str | None = None
