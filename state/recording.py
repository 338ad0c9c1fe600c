"""The evaluations of one sampling call, in order, and what that call was given. Host memory only.

Appended and read by ComfyUI's worker thread; dropped from any thread. The only user of torch in `state`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class RngState:
    """The global generators: `cpu` and, where the model runs on another device, that device's. uint8."""

    cpu: torch.Tensor
    device: torch.Tensor | None = None

    def same(self, other: RngState) -> bool:
        if not torch.equal(self.cpu, other.cpu):
            return False
        if self.device is None or other.device is None:
            return self.device is other.device
        return torch.equal(self.device, other.device)


@dataclass(frozen=True)
class Inputs:
    """What a sampling call was given, on the host, in its own dtypes.

    noise, latent_image: [B, C, H, W] or [B, C, T, H, W], or [B, 1, N] where several latents are packed
    sigmas: [steps + 1]; denoise_mask: broadcastable to the latent, or None
    """

    noise: torch.Tensor
    latent_image: torch.Tensor
    sigmas: torch.Tensor
    denoise_mask: torch.Tensor | None
    rng: RngState


@dataclass(frozen=True)
class Evaluation:
    """One answer of the guider.

    answer: the guider's `denoised`, after CFG, as the sampler got it
    taps: what the sampler's own post-CFG functions were given, a dict a call; empty for most samplers
    rng: the global generators afterwards, or None where the evaluation drew nothing
    """

    answer: torch.Tensor
    taps: tuple[dict[str, torch.Tensor], ...] = ()
    rng: RngState | None = None


class Recording(Protocol):
    """Append-only, but for `truncate`."""

    inputs: Inputs | None

    def __len__(self) -> int: ...
    def append(self, evaluation: Evaluation) -> None: ...
    def read(self, index: int) -> Evaluation: ...
    def truncate(self, length: int) -> None: ...


class Recordings(Protocol):
    """All recordings, keyed by (job_id, node_id, ordinal)."""

    def open(self, job_id: str, node_id: str, ordinal: int) -> Recording: ...
    def drop(self, job_id: str) -> None: ...


class MemoryRecording:
    """Evaluations in a list."""

    def __init__(self) -> None:
        self.inputs: Inputs | None = None
        self._evaluations: list[Evaluation] = []

    def __len__(self) -> int:
        return len(self._evaluations)

    def append(self, evaluation: Evaluation) -> None:
        self._evaluations.append(evaluation)

    def read(self, index: int) -> Evaluation:
        return self._evaluations[index]

    def truncate(self, length: int) -> None:
        del self._evaluations[length:]


class MemoryRecordings:
    """Recordings that live as long as their job and the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[tuple[str, int], MemoryRecording]] = {}

    def open(self, job_id: str, node_id: str, ordinal: int) -> MemoryRecording:
        with self._lock:
            return self._jobs.setdefault(job_id, {}).setdefault((node_id, ordinal), MemoryRecording())

    def drop(self, job_id: str) -> None:
        with self._lock:
            self._jobs.pop(job_id, None)
