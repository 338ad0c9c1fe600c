"""What it takes to say that a workflow resumes bit-identically: run it stock, run it interrupted, compare."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file

import graphs
from harness import Comfy

Make = Callable[[bool, str, str, str], graphs.Graph]  # (watched, key, gates, queue_policy)


def latent(comfy: Comfy, prompt_id: str, node_id: str = "save") -> torch.Tensor:
    return load_file(comfy.output(prompt_id, node_id))["latent_tensor"]


def interruption_points(evaluations: int) -> list[int]:
    """Within which evaluations; a third of the way, too, with MIDRUN_FULL=1."""
    third = {max(1, evaluations // 3)} if os.environ.get("MIDRUN_FULL") else set()
    return sorted({1, max(1, evaluations // 2), evaluations} | third)


def run_stock(comfy: Comfy, graph: graphs.Graph, key: str) -> tuple[torch.Tensor, int]:
    """The uninterrupted latent without Midrun, and how many evaluations it took."""
    prompt_id = comfy.queue(graph)
    return latent(comfy, prompt_id), comfy.probe(key)["done"]


def run_interrupted(
    comfy: Comfy, graph: graphs.Graph, key: str, points: list[int], released: bool = True
) -> tuple[torch.Tensor, Any]:
    """The latent of a job that was paused inside each of these evaluations, and the job at its end.

    released: whether its memory is to be free while it is paused
    """
    job_id = comfy.queue(graph)
    for point in points:
        comfy.wait_at_gate(key, point)
        status, job = comfy.verb(job_id, "pause", query="?wait=30")
        assert (status, job["state"]) == (200, "paused"), job
        assert job["gpu_released"] is released and comfy.probe()["loaded_models"] == 0
        status, job = comfy.verb(job_id, "resume")
        assert status == 202, job
    job = comfy.wait_for(job_id, "completed")
    return latent(comfy, job["prompt_id"]), job


def check(
    comfy: Comfy, key: str, make: Make, policies: tuple[str, ...] = ("hold", "park"), released: bool = True
) -> str | None:
    """What is wrong with holding and with parking, or None."""
    expected, evaluations = run_stock(comfy, make(False, key, "", "auto"), key)
    points = interruption_points(evaluations)
    gates = ",".join(str(point) for point in points)
    for policy in policies:
        run = f"{key}-{policy}"
        got, job = run_interrupted(comfy, make(True, run, gates, policy), run, points, released)
        if not torch.equal(got, expected):
            return f"{policy}: another latent, off by {(got - expected).abs().max():.3g}"
        if comfy.probe(run)["done"] != evaluations:
            return f"{policy}: {comfy.probe(run)['done']} live evaluations instead of {evaluations}"
        runs = 1 if policy == "hold" else len(points) + 1
        if len(job["prompt_ids"]) != runs:
            return f"{policy}: {len(job['prompt_ids'])} runs instead of {runs}"
    return None
