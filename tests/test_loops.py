"""Loops of ComfyUI itself, where it has them: the body runs under ids of its own in each iteration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_editing import put

import graphs
from harness import Comfy

STEPS = 6  # of each iteration


@pytest.fixture(autouse=True)
def loops(comfy: Comfy) -> None:
    if comfy.call("GET", "/object_info/StartLoop")[1] == {}:
        pytest.skip("this ComfyUI has no loops")


def workflow(key: str, gates: str = "", policy: str = "auto", **options: Any) -> graphs.Graph:
    return graphs.looped(graphs.base(key=key, gates=gates, queue_policy=policy, **options), name=key)


def latents(comfy: Comfy, prompt_id: str) -> list[torch.Tensor]:
    """Of all iterations, as they were saved after the loop."""
    saved = next(iter(comfy.wait_ended(prompt_id)["outputs"]["save"].values()))
    files = [comfy.base / "output" / one["subfolder"] / one["filename"] for one in saved]
    return [load_file(file)["latent_tensor"] for file in files]


def oracle(comfy: Comfy, name: str, cfg: float | None = None, at: int = 1) -> list[torch.Tensor]:
    """Without Midrun; with that cfg from evaluation `at` on."""
    graph = graphs.looped(graphs.base(watched=False), name=f"oracle-{name}")
    if cfg is not None:
        links = {"model": ["model", 0], "other": ["model", 0], "positive": ["positive", 0]}
        graph["switch"] = graphs.node("TestSwitch", **links, cfg=cfg, at=at, key=f"oracle-{name}")
        graph["sampler"]["inputs"]["model"] = ["switch", 0]
    return latents(comfy, comfy.queue(graph))


def equal(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return len(some) == len(others) == 3 and all(map(torch.equal, some, others))


def pictures(comfy: Comfy, key: str) -> list[Path]:
    return sorted((comfy.base / "output" / "images").glob(f"{key}_*.png"))


def pause(comfy: Comfy, job_id: str, key: str, gate: int) -> dict[str, Any]:
    comfy.wait_at_gate(key, gate)
    assert comfy.verb(job_id, "pause", query="?wait=30")[0] == 200
    return comfy.wait_for(job_id, "paused")


@pytest.mark.parametrize("policy", ["hold", "park"])
def test_a_job_edited_in_its_second_iteration_goes_on_exactly_and_saves_once(
    comfy: Comfy, policy: str
) -> None:
    key = f"loop-{policy}"
    job_id = comfy.queue(workflow(key, "9", policy))
    job = pause(comfy, job_id, key, 9)
    assert (job["display_node_id"], job["iteration"], job["step"]) == ("sampler", 2, 2)
    assert len(pictures(comfy, key)) == 1
    assert put(comfy, job_id, ("sampler", "cfg", 1.5))[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == 3 * STEPS, "the first iteration was replayed"
    assert equal(latents(comfy, job["prompt_id"]), oracle(comfy, key, 1.5, 9))
    assert len(pictures(comfy, key)) == 3, "each was saved once"
    assert job["modified_params"]["sampler"]["cfg"]["from_step"] == 2
