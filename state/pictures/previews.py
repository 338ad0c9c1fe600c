"""What a preview is, and how previews are made: frozen values, safe to hand to any thread, and their JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote

LABEL = "Intermediate Preview"


class Method(str, Enum):
    """How `denoised` becomes a picture."""

    AUTO = "auto"  # taesd where its decoder is at hand, else latent2rgb
    TAESD = "taesd"  # a tiny decoder, TAEHV for video
    LATENT2RGB = "latent2rgb"  # one pixel a latent pixel
    NONE = "none"


class PreviewKind(str, Enum):
    STEP = "step"
    SOURCE = "source"  # what the job began from


class Quality(str, Enum):
    FAST = "fast"
    FULL = "full"  # the workflow's own VAE


@dataclass(frozen=True)
class PreviewOptions:
    """What the user set on the Midrun node. every: steps, 0 is automatic; max_size: of the longer side"""

    method: Method = Method.AUTO
    every: int = 0
    max_size: int = 512


SETTINGS = {
    "preview_method": "Midrun.PreviewMethod",
    "preview_every": "Midrun.PreviewEvery",
    "preview_max_size": "Midrun.PreviewMaxSize",
}


def options_from(inputs: dict[str, Any]) -> PreviewOptions:
    """From a graph or from settings, which may come from anybody: what makes no sense is the default."""
    default = PreviewOptions()
    method = inputs.get("preview_method")
    known = method if isinstance(method, str) and method in {one.value for one in Method} else default.method
    every, size = inputs.get("preview_every"), inputs.get("preview_max_size")
    every = every if isinstance(every, int) and 0 <= every <= 10000 else default.every
    size = size if isinstance(size, int) and 64 <= size <= 4096 else default.max_size
    return PreviewOptions(Method(known), every, size)


def settled(options: PreviewOptions, settings: dict[str, Any]) -> PreviewOptions:
    """What a node leaves at its default is as the user's settings say."""
    default = PreviewOptions()
    wished = options_from({name: settings.get(key) for name, key in SETTINGS.items()})
    return PreviewOptions(
        wished.method if options.method is default.method else options.method,
        wished.every if options.every == default.every else options.every,
        wished.max_size if options.max_size == default.max_size else options.max_size,
    )


@dataclass(frozen=True)
class InForce:
    """What previews are made with at present.

    live: while the job samples; exact: at a pause and on demand; every: steps between two, 0 is automatic
    interval_s: what automatic amounts to now, None otherwise; reason: why it is no better method, a sentence
    """

    live: Method
    exact: Method
    every: int
    interval_s: float | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        told = {"method": self.live.value, "pause_method": self.exact.value, "every": self.every}
        interval_s = None if self.interval_s is None else round(self.interval_s, 3)
        return told | {"interval_s": interval_s, "reason": self.reason}


@dataclass(frozen=True)
class Wanted:
    """What a client asks for. node_id, step: None is the newest; version: the digest of the very picture

    node_id: any name of the node; iteration: of the loop that it is in, None is the newest
    """

    node_id: str | None = None
    step: int | None = None
    kind: PreviewKind = PreviewKind.STEP
    quality: Quality = Quality.FAST
    still: bool = False
    version: str | None = None
    iteration: int | None = None


@dataclass(frozen=True)
class Shown:
    """A picture that is given out. content: WebP; step: None for the source"""

    content: bytes
    digest: str
    step: int | None


@dataclass(frozen=True)
class Preview:
    """A picture of one step, or of the source. width, height: pixels; frames: 1 unless it is a video.

    ordinal: which sampling call of the node; digest: of the file's content; reason: why it is no better
    picture, a sentence; display_node_id, iteration: of the node, as in Node
    """

    node_id: str
    ordinal: int
    kind: PreviewKind
    step: int
    sigma: float | None
    width: int
    height: int
    frames: int
    method: str
    digest: str
    created_at: str
    reason: str | None = None
    display_node_id: str = ""
    iteration: int | None = None

    def to_json(self, job_id: str) -> dict[str, Any]:
        """The Preview of the REST API."""
        told = {"job_id": job_id, "node_id": self.node_id, "display_node_id": self.display_node_id}
        told |= {"iteration": self.iteration, "step": self.step, "sigma": self.sigma}
        told |= {"kind": self.kind.value, "url": self.url(job_id), "still_url": None}
        if self.frames > 1:
            told["still_url"] = self.url(job_id) + "&still=true"
        told |= {name: getattr(self, name) for name in ("width", "height", "frames", "method", "reason")}
        return told | {"label": LABEL, "created_at": self.created_at}

    def url(self, job_id: str) -> str:
        """Of this very picture: `v` changes when another takes its place."""
        chosen = "kind=source" if self.kind is PreviewKind.SOURCE else f"step={self.step}"
        return f"{preview_url(job_id, self.node_id)}&{chosen}&v={self.digest}"

    def to_row(self) -> dict[str, Any]:
        return asdict(self) | {"kind": self.kind.value}


def preview_of(row: dict[str, Any]) -> Preview:
    """Raises KeyError, TypeError or ValueError for what `to_row` did not make."""
    fields: dict[str, Any] = row | {"kind": PreviewKind(row["kind"])}
    return Preview(**fields)


def newest_step(previews: Iterable[Preview]) -> Preview | None:
    """Of one node: the picture of its last step, whenever it was made."""
    steps = [preview for preview in previews if preview.kind is PreviewKind.STEP]
    return max(steps, key=lambda preview: preview.step, default=None)


def preview_url(job_id: str, node_id: str) -> str:
    return f"/midrun/jobs/{_quoted(job_id)}/preview?node_id={_quoted(node_id)}"


def step_url(job_id: str, node_id: str | None, step: int) -> str | None:
    """Of a step that can be shown, whether it was or not; before the first there is none."""
    return f"{preview_url(job_id, node_id)}&step={step}" if node_id is not None and step else None


def source_url(job_id: str, node_id: str) -> str:
    return f"{preview_url(job_id, node_id)}&kind=source"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")
