"""What a recording is made of: frozen values, with tensors on the host. Any thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from ..node import Loops, Node
from ..telemetry import Telemetry
from .tree import Tree


class Damaged(Exception):
    """A part of a recording cannot be read back; the message says which and why."""


@dataclass(frozen=True)
class RngState:
    """The global generators: `cpu` and, where the model runs on another device, that device's. uint8.

    others: of python and numpy, by name, where a loop that is not ComfyUI's may draw from them
    """

    cpu: torch.Tensor
    device: torch.Tensor | None = None
    others: dict[str, torch.Tensor] = field(default_factory=dict)


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
    own_loop: the node has a sampling loop of its own; then noise, latent_image and sigmas are empty
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
    own_loop: bool = False

    @property
    def node(self) -> Node:
        return Node(self.node_id, self.display_id, self.loops)


@dataclass(frozen=True)
class Origin:
    """Where a sampling call is from, without what it was given. begun: seconds since the epoch"""

    node: Node
    begun: float
    own_loop: bool = False


@dataclass(frozen=True)
class Evaluation:
    """One answer of the guider, or of a network that a loop of its own asked.

    answer: the guider's `denoised`, after CFG, as the sampler got it; or the network's, whatever it is of
    taps: what the sampler's own post-CFG functions were given, a dict a call; empty for most samplers
    rng: the global generators afterwards; None leaves them as they are
    question: a digest of what a network was asked; empty for a guider
    """

    answer: torch.Tensor | Tree
    taps: tuple[dict[str, torch.Tensor], ...] = ()
    rng: RngState | None = None
    question: str = ""

    @property
    def main(self) -> torch.Tensor:
        """What is measured of it."""
        return self.answer.main if isinstance(self.answer, Tree) else self.answer


@dataclass(frozen=True)
class Step:
    """A step that the sampler finished.

    number: from 1; evaluations: how many of the call had been answered by then
    denoised: what the sampler gave to its callback, or None where that is the newest answer. A loop of its
        own may give nothing of the kind
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
    """What was in force from that evaluation on. fingerprints: as in `Inputs`

    surroundings: what it was computed with, as state/surroundings.py makes it flat
    """

    first: int
    fingerprints: dict[str, str]
    surroundings: dict[str, str] = field(default_factory=dict)


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


def visible(number: int, rewound: Rewound | None) -> bool:
    """Whether a step is not of the take that a rewind left behind."""
    return rewound is None or number <= rewound.step
