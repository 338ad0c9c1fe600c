"""The evaluations of one sampling call, in order, and what that call was given: the types.

Written and read by ComfyUI's worker thread; dropped from any thread. The recordings are the only users of
torch in `state`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import torch

from ..node import Loops, Node
from ..server_directory import directory_name
from ..telemetry import Telemetry


class Damaged(Exception):
    """A part of a recording cannot be read back; the message says which and why."""


@dataclass(frozen=True)
class RngState:
    """The global generators: `cpu` and, where the model runs on another device, that device's. uint8."""

    cpu: torch.Tensor
    device: torch.Tensor | None = None


@dataclass(frozen=True)
class Inputs:
    """What a sampling call was given, on the host, in its own dtypes.

    noise, latent_image: [B, C, H, W] or [B, C, T, H, W], or [B, 1, N] where several latents are packed
    sigmas: [steps + 1]; denoise_mask: broadcastable to the latent, or None
    latent_format: plain JSON that tells how a latent of the model becomes one of a workflow
    fingerprints: name -> digest, of inputs that are not recorded themselves
    begun: when the call began, seconds since the epoch
    seed: of the sampler's own noise; None where the call had none
    node_id, display_id, loops: of the node that made the call, as in Node
    """

    noise: torch.Tensor
    latent_image: torch.Tensor
    sigmas: torch.Tensor
    denoise_mask: torch.Tensor | None
    rng: RngState
    latent_format: dict[str, Any] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    begun: float = 0.0
    seed: int | None = None
    node_id: str = ""
    display_id: str = ""
    loops: Loops = ()

    @property
    def node(self) -> Node:
        return Node(self.node_id, self.display_id, self.loops)


@dataclass(frozen=True)
class Origin:
    """Where a sampling call is from, without what it was given. begun: seconds since the epoch"""

    node: Node
    begun: float


@dataclass(frozen=True)
class Evaluation:
    """One answer of the guider.

    answer: the guider's `denoised`, after CFG, as the sampler got it
    taps: what the sampler's own post-CFG functions were given, a dict a call; empty for most samplers
    rng: the global generators afterwards; None leaves them as they are
    """

    answer: torch.Tensor
    taps: tuple[dict[str, torch.Tensor], ...] = ()
    rng: RngState | None = None


@dataclass(frozen=True)
class Step:
    """A step that the sampler finished.

    number: from 1; evaluations: how many of the call had been answered by then
    denoised: what the sampler gave to its callback, or None where that is the newest answer
    measured: of this step; hits: of each of the job's breakpoints by its id, after this step
    """

    number: int
    evaluations: int
    sigma: float
    denoised: torch.Tensor | None = None
    measured: Telemetry | None = None
    hits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Approach:
    """Where the sampler was when it asked for the evaluation after so many others: x at noise level sigma."""

    evaluations: int
    sigma: float
    x: torch.Tensor


@dataclass(frozen=True)
class Segment:
    """A stretch of a sampling call with a sampler and a schedule of its own.

    first: evaluations before it; step: steps before it
    origin: where the stretch before it had come to; x: where this one starts, at noise level sigmas[0]
    sigmas: its own; given: those of the sampling call it was made from; sampler: a digest
    """

    first: int
    step: int
    origin: Approach
    x: torch.Tensor
    sigmas: torch.Tensor
    given: torch.Tensor
    sampler: str
    rng: RngState


@dataclass(frozen=True)
class Conditions:
    """What was in force from that evaluation on. fingerprints: as in `Inputs`"""

    first: int
    fingerprints: dict[str, str]


@dataclass(frozen=True)
class Remembered:
    """What the model's patches remembered after so many evaluations; after 0, what they began with.

    told: plain JSON, see nodes/remembering
    tensors: on the host, those that no earlier one has
    """

    evaluations: int
    told: dict[str, Any]
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Rewound:
    """A recording ends, for now, after that step and so many evaluations."""

    step: int
    evaluations: int


@dataclass
class Begun:
    """What a call began with and computed nothing from yet. In memory: whoever goes on begins with it again.

    Only with an evaluation, or with the end of the call, does it take the place of what an undo, or a rewind
    taken back, may want again.
    """

    inputs: Inputs | None = None
    segment: Segment | None = None
    approach: Approach | None = None
    conditions: Conditions | None = None


class Recording(Protocol):
    """Append-only, but for `truncate`. Reading raises Damaged.

    A rewound one ends at an earlier step; what comes after it, the take, is kept until something is appended.
    """

    def forget_begun(self) -> None:
        """Another call begins."""
        ...

    @property
    def origin(self) -> Origin | None:
        """Of the inputs, without reading them all; None where there are none that can be read."""
        ...

    @property
    def inputs(self) -> Inputs | None: ...
    @inputs.setter
    def inputs(self, inputs: Inputs) -> None: ...
    def __len__(self) -> int: ...
    def append(self, evaluation: Evaluation) -> None: ...
    def read(self, index: int) -> Evaluation: ...
    def truncate(self, length: int) -> None:
        """Forget the evaluations from that index on, and the steps that needed them."""
        ...

    def clear(self) -> None:
        """As if the call had never begun."""
        ...

    def mark(self, step: Step) -> None:
        """A step was finished; one that is known already is left as it is."""
        ...

    def approach(self, evaluations: int) -> Approach | None:
        """To the evaluation after so many."""
        ...

    def approached(self, approach: Approach) -> None: ...
    def begin(self, segment: Segment) -> None:
        """One that begins where another does takes its place."""
        ...

    def settle(self) -> None:
        """The call ends with the segment that was begun, although nothing was evaluated in it."""
        ...

    def segment(self, length: int | None = None) -> Segment | None:
        """The newest, or the newest that begins within so many evaluations."""
        ...

    def condition(self, conditions: Conditions) -> None:
        """What the evaluations from here on are asked under."""
        ...

    def conditions(self) -> Conditions | None:
        """Of the newest evaluation; None where they are those of the inputs."""
        ...

    def remember(self, remembered: Remembered) -> None:
        """Before the evaluation after which it was so; another of that number takes its place."""
        ...

    def remembered(self, evaluations: int) -> Remembered:
        """Raises KeyError where there is none of that number."""
        ...

    def forget(self, evaluations: int) -> None:
        """What was remembered then; nothing, where it is not known."""
        ...

    def memories(self) -> list[int]:
        """The numbers of evaluations of which it is known, in order, as far as the recording goes."""
        ...

    def rewind(self, step: int) -> None:
        """End after that step from now on; 0 is before the first. Raises KeyError for an unknown one."""
        ...

    def restore(self) -> None:
        """Take a rewind back, if its take is still there."""
        ...

    @property
    def rewound(self) -> bool: ...
    def save(self) -> None:
        """Write what there is. Not at each part, so that the sampler shares the interpreter with the writer
        when it waits for the model, and not between two evaluations."""
        ...

    def steps(self) -> list[int]: ...
    def step(self, number: int) -> Step:
        """With its `denoised`. Raises KeyError where there is no such step."""
        ...

    def mark_of(self, number: int) -> Step:
        """As it was marked. Raises KeyError where there is no such step."""
        ...


R = TypeVar("R", bound=Recording)
Call = tuple[str, int]  # (a node's directory_name, ordinal): one sampling call of a job


class Recordings(Protocol):
    """All recordings, keyed by (job_id, node_id, ordinal)."""

    def calls(self, job_id: str) -> dict[Call, Recording]:
        """All there are of the job. May read the disk."""
        ...

    def share(self, job_id: str, with_id: str, calls: dict[Call, Rewound | None]) -> None:
        """Give a new job these calls of another, whole or up to there. Raises OSError. Takes its time."""
        ...

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything put so far is where it survives a crash, or until it takes too long."""
        ...

    def open(self, job_id: str, node_id: str, ordinal: int) -> Recording: ...
    def find(self, job_id: str, name: str, iteration: int | None = None) -> Recording | None:
        """The newest call's of the node with that name, in that iteration of the loop it is in, if any."""
        ...

    def exists(self, job_id: str) -> bool: ...
    def close(self, job_id: str) -> None:
        """The job ended: nothing of it needs to stay in memory."""
        ...

    def drop(self, job_id: str, then: Callable[[], None] = ...) -> None:
        """Delete all of the job's, and call `then`."""
        ...

    def set_aside(self, job_id: str) -> None:
        """A new job has that id: what is there of it belongs to another."""
        ...


def is_begun(recording: Recording) -> bool:
    """Whether its call began, and no rewind took that back."""
    return len(recording) > 0 or (not recording.rewound and recording.origin is not None)


def visible(number: int, rewound: Rewound | None) -> bool:
    """Whether a step is not of the take that a rewind left behind."""
    return rewound is None or number <= rewound.step


def newest_of(calls: Mapping[Call, R], name: str, iteration: int | None = None) -> tuple[Call, R] | None:
    """The call that began last of the node with that name; one that a rewind left nothing of comes last."""
    of_its_own = {call: found for call, found in calls.items() if call[0] == directory_name(name)}
    found = list((of_its_own if iteration is None and of_its_own else calls).items())
    known = [(call, recording, recording.origin) for call, recording in found]
    mine = [
        (len(recording) > 0, 0.0 if origin is None else origin.begun, call[1], call)
        for call, recording, origin in known
        if _is_of(call, origin, name, iteration)
    ]
    call = max(mine)[-1] if mine else None
    return None if call is None else (call, calls[call])


def _is_of(call: Call, origin: Origin | None, name: str, iteration: int | None) -> bool:
    if iteration is not None and (origin is None or origin.node.iteration != iteration):
        return False
    return call[0] == directory_name(name) or (origin is not None and origin.node.is_called(name))


def with_denoised(step: Step, recording: Recording) -> Step:
    """The step with its `denoised`, which most often is an answer's."""
    if step.denoised is not None or step.evaluations == 0:
        return step
    return replace(step, denoised=recording.read(step.evaluations - 1).answer)
