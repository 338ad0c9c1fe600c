"""Every sampler of the running ComfyUI, interrupted at its first evaluation, at a third, at half and at its
last, resumes bit-identically: once holding the queue worker, once parked and queued again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import graphs
from harness import Comfy


def latent(comfy: Comfy, prompt_id: str) -> torch.Tensor:
    return load_file(comfy.output(prompt_id))["latent_tensor"]


def interruption_points(evaluations: int) -> list[int]:
    return sorted({1, max(1, evaluations // 3), max(1, evaluations // 2), evaluations})


def run_stock(comfy: Comfy, graph: graphs.Graph, key: str) -> tuple[torch.Tensor, int]:
    """The uninterrupted latent without Midrun, and how many evaluations it took."""
    prompt_id = comfy.queue(graph)
    return latent(comfy, prompt_id), comfy.probe(key)["done"]


def run_interrupted(comfy: Comfy, graph: graphs.Graph, key: str, points: list[int]) -> tuple[torch.Tensor, Any]:
    """The latent of a job that was paused inside each of these evaluations, and the job at its end."""
    job_id = comfy.queue(graph)
    for point in points:
        comfy.wait_at_gate(key, point)
        status, job = comfy.verb(job_id, "pause", query="?wait=30")
        assert (status, job["state"]) == (200, "paused"), job
        assert job["evaluations"] == point - 1
        assert job["gpu_released"] and comfy.probe()["loaded_models"] == 0
        status, job = comfy.verb(job_id, "resume")
        assert status == 202, job
    job = comfy.wait_for(job_id, "completed")
    return latent(comfy, job["prompt_id"]), job


def check(comfy: Comfy, key: str, make: Any) -> str | None:
    """What is wrong with hold and park for the graphs that `make(watched, key, gates, policy)` gives."""
    expected, evaluations = run_stock(comfy, make(False, key, "", "auto"), key)
    points = interruption_points(evaluations)
    gates = ",".join(str(point) for point in points)
    for policy in ("hold", "park"):
        run = f"{key}-{policy}"
        got, job = run_interrupted(comfy, make(True, run, gates, policy), run, points)
        if not torch.equal(got, expected):
            return f"{policy}: another latent, off by {(got - expected).abs().max():.3g}"
        if comfy.probe(run)["done"] != evaluations:
            return f"{policy}: {comfy.probe(run)['done']} live evaluations instead of {evaluations}"
        runs = 1 if policy == "hold" else len(points) + 1
        if len(job["prompt_ids"]) != runs:
            return f"{policy}: {len(job['prompt_ids'])} runs instead of {runs}"
    return None


def all_samplers(comfy: Comfy) -> list[str]:
    options = comfy.get("/object_info/KSampler")["KSampler"]["input"]["required"]["sampler_name"]
    names = options[0] if isinstance(options[0], list) else options[1]["options"]
    return [name for name in names if name != "ar_video"]  # samples only autoregressive video models


@pytest.mark.timeout(900)
def test_every_sampler_resumes_bit_identically(comfy: Comfy) -> None:
    wrong = {}
    names = all_samplers(comfy)
    assert len(names) >= 42
    for name in names:

        def make(watched: bool, key: str, gates: str, policy: str, name: str = name) -> graphs.Graph:
            return graphs.base(name, watched=watched, key=key, gates=gates, queue_policy=policy)

        fault = check(comfy, f"all-{name}", make)
        if fault:
            wrong[name] = fault
    print(f"{len(names) - len(wrong)} of {len(names)} samplers resume bit-identically")
    assert wrong == {}
