"""What a word of a prompt, a LoRA or a ControlNet does at a step: how far the model's answers with it and
without it are apart. Frozen values and their JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .checks import OPEN, Progress


@dataclass(frozen=True)
class Heat:
    """How far two answers are apart, of each place of the latent: the sum of all channels.

    width, height: of the latent; values: row by row, from 0 to 255, which is the maximum
    """

    width: int
    height: int
    values: bytes
    maximum: float
    mean: float


@dataclass(frozen=True)
class Change:
    """What is to be different: that input of the node is without a word, or has another value."""

    node_id: str
    input: str
    word: str | None = None
    value: Any = None


@dataclass(frozen=True)
class Lens:
    """step: of the node `in_node` that samples; error: why it did not come to its end"""

    job_id: str
    prompt_id: str
    at: str
    change: Change
    in_node: str
    step: int
    sigma: float
    progress: Progress = Progress.QUEUED
    heat: Heat | None = None
    error: str | None = None

    @property
    def is_open(self) -> bool:
        return self.progress in OPEN

    def to_json(self) -> dict[str, Any]:
        """The Lens of the REST API."""
        change, heat, shown = self.change, self.heat, self.progress is Progress.DONE
        told = {"value": change.value} if change.word is None else {"without": change.word}
        url = f"/midrun/jobs/{quote(self.job_id, safe='', errors='replace')}/lens/picture?v={self.prompt_id}"
        return {
            "prompt_id": self.prompt_id,
            "at": self.at,
            "state": self.progress.value,
            "node_id": change.node_id,
            "input": change.input,
            **told,
            "sampler_id": self.in_node,
            "step": self.step,
            "sigma": self.sigma,
            "maximum": None if heat is None else heat.maximum,
            "mean": None if heat is None else heat.mean,
            "message": sentence(self),
            "picture": url if shown else None,
            "error": self.error,
        }


def sentence(lens: Lens) -> str:
    """What a person is told."""
    change, heat = lens.change, lens.heat
    if lens.is_open:
        return "The model is about to be asked once more."
    if lens.progress is Progress.CANCELLED:
        return "It was cancelled."
    if lens.progress is Progress.FAILED or heat is None:
        return f"The model could not be asked: {lens.error}"
    what = f"{change.input} of node {change.node_id}"
    without = f"Without “{change.word}” in {what}" if change.word is not None else f"With another {what}"
    if heat.maximum == 0:
        return f"{without}, the model answers the same at step {lens.step}."
    told = f"by {heat.maximum:.3g} at most and {heat.mean:.3g} on average"
    return f"{without}, the model's answer at step {lens.step} differs {told}."
