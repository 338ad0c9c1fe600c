"""What a fleet is told and tells: plain values that any process can hold."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

Prompt = dict[str, Any]
SEEDS = ("seed", "noise_seed")
LARGEST_SEED = 2**64


class FleetError(Exception):
    """Something that a person can act on; the message is a sentence."""


@dataclass(frozen=True)
class Setup:
    """How each worker runs ComfyUI.

    comfyui: the directory with main.py; python: with which it runs; store: a URL, as for MIDRUN_STORE
    base: where workers keep their files, each in a directory of its own, also over restarts
    arguments: more for main.py; gpus, cpus: reserved for each worker; drain_s: see MIDRUN_DRAIN_S
    """

    comfyui: str
    python: str
    store: str
    base: str
    arguments: tuple[str, ...] = ()
    gpus: float = 1.0
    cpus: float = 1.0
    drain_s: float = 20.0


@dataclass(frozen=True)
class Job:
    """id: the prompt_id in ComfyUI and the job_id in Midrun, wherever it runs; name: for people"""

    id: str
    name: str
    prompt: Prompt


class End(str, Enum):
    """Why a worker has nothing left to do with a job for now."""

    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"
    PAUSED = "paused"  # by a person or a breakpoint; it goes on where it is
    LET_GO = "let go"  # the worker is drained; another one may go on at once
    ELSEWHERE = "elsewhere"  # another server has it and lives


FINAL = (End.COMPLETED, End.FAILED, End.ABORTED)


@dataclass(frozen=True)
class Result:
    """files: names of what was saved, below results/<job>/ in the store; runs: passages through a queue"""

    end: End
    files: tuple[str, ...] = ()
    error: str | None = None
    worker: str | None = None
    evaluations: int = 0
    runs: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, content: bytes) -> Result:
        """Raises ValueError, KeyError or TypeError for anything else."""
        told = json.loads(content)
        return cls(**{**told, "end": End(told["end"]), "files": tuple(told["files"])})


def read_prompt(path: Path) -> Prompt:
    """A workflow in API format. Raises FleetError."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FleetError(f"Cannot read {path}: {error}") from error
    if isinstance(told, dict) and "nodes" in told and "links" in told:
        raise FleetError(f"{path} is a workflow of the editor. Export it with ComfyUI's Export (API).")
    nodes = told.values() if isinstance(told, dict) else ()
    if not nodes or not all(isinstance(one, dict) and "class_type" in one for one in nodes):
        raise FleetError(f"{path} is not a workflow in API format.")
    return told


def variants(prompt: Prompt, name: str, count: int) -> Iterator[Job]:
    """So many jobs, each with its own seeds: those of the workflow, plus 0, 1, 2, ... Raises FleetError."""
    places = [
        (node_id, key)
        for node_id, node in prompt.items()
        for key in SEEDS
        if type(node.get("inputs", {}).get(key)) is int
    ]
    if count > 1 and not places:
        raise FleetError(f"{name} has no seed to vary, so all {count} jobs would be the same.")
    for number in range(count):
        varied = copy.deepcopy(prompt)
        for node_id, key in places:
            varied[node_id]["inputs"][key] = (prompt[node_id]["inputs"][key] + number) % LARGEST_SEED
        yield Job(str(uuid.uuid4()), f"{name} {number + 1}/{count}", varied)
