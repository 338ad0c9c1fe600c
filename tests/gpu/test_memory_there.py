"""While a job is paused nothing of it is left on the device, and what ran out of memory goes on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import graphs
from resuming import latent, run_stock
from rig import GB, Rig

CARRIED = 12 * 1024**2  # bytes, of TestCarries
SLACK = {"cuda": 1024**2, "aside": 1024}  # bytes: ComfyUI's own frames hold the noise levels


def emptied(rig: Rig, key: str) -> int:
    """Bytes on the device with nothing loaded. What libraries keep for good is there by then."""
    rig.comfy.wait_ended(rig.comfy.queue(rig.graph(False, f"warm-{key}")), 300)

    def is_empty() -> bool:
        rig.unload()
        return not rig.comfy.probe()["loaded_models"] and (
            rig.device == "cuda" or not rig.told()["allocated"]
        )

    rig.comfy.until(is_empty, "ComfyUI to free what is loaded", every_s=0.2)
    return rig.told()["allocated"]


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param(True, id="inside its network"),
        pytest.param(False, id="before the model", marks=pytest.mark.needs("--gpu")),
    ],
)
def test_nothing_of_a_paused_job_is_left_there(rig: Rig, inside: bool) -> None:
    key = f"left-{inside}"
    before = emptied(rig, key)
    job_id = rig.comfy.queue(rig.graph(True, key, "3", "hold", inside=inside, scheduler="simple"))
    rig.comfy.wait_at_gate(key, 3)
    assert not rig.comfy.job(job_id)["gpu_released"] and rig.told()["allocated"] > before
    status, job = rig.comfy.verb(job_id, "pause", query="?wait=30")
    assert (status, job["state"], job["gpu_released"]) == (200, "paused", True)
    told = rig.told()
    assert told["allocated"] <= before + SLACK[rig.device], told["left_over"]
    rig.comfy.verb(job_id, "abort")


def test_what_a_wrapper_of_the_model_carries_is_moved_off_with_it(rig: Rig) -> None:
    before = emptied(rig, "carried")
    graph = rig.graph(True, "carries", "3", "hold")
    graph["carries"] = graphs.node("TestCarries", model=graph["probe"]["inputs"]["model"])
    graph["probe"]["inputs"]["model"] = ["carries", 0]
    job_id = rig.comfy.queue(graph)
    rig.comfy.wait_at_gate("carries", 3)
    assert rig.told()["allocated"] > before + CARRIED
    assert rig.comfy.verb(job_id, "pause", query="?wait=30")[1]["state"] == "paused"
    told = rig.told()
    assert told["allocated"] <= before + SLACK[rig.device], told["left_over"]
    rig.comfy.verb(job_id, "resume")
    rig.comfy.wait_for(job_id, "completed")


def test_it_is_not_said_to_be_free_where_comfyui_leaves_the_weights_on_it(rig: Rig) -> None:
    """As with --highvram."""
    before = emptied(rig, "stays")
    job_id = rig.comfy.queue(rig.graph(True, "stays", "3", "hold", stays=True))
    rig.comfy.wait_at_gate("stays", 3)
    status, job = rig.comfy.verb(job_id, "pause", query="?wait=30")
    assert (status, job["state"], job["gpu_released"]) == (200, "paused", False)
    assert rig.told()["allocated"] > before
    rig.comfy.verb(job_id, "abort")
    rig.comfy.wait_for(job_id, "aborted")


@pytest.mark.needs("--gpu")
def test_what_ran_out_of_memory_in_step_7_is_resumed_once_there_is_some(rig: Rig) -> None:
    options: dict[str, Any] = {"steps": 8, "scheduler": "simple"}
    expected, _ = run_stock(rig.comfy, rig.graph(False, "roomy", **options), "roomy")
    emptied(rig, "narrow")
    job_id = rig.comfy.queue(rig.graph(True, "narrow", "7", **options))
    rig.comfy.wait_at_gate("narrow", 7)
    assert "error" not in rig.fill(leave=1024)
    rig.comfy.open_gate("narrow", 7)
    job = rig.comfy.wait_for(job_id, "failed", "paused")
    assert "memory" in job["error"]["message"].lower() and job["step"] == 6
    rig.fill()
    assert rig.comfy.verb(job_id, "resume")[0] == 202
    job = rig.comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(rig.comfy, job["prompt_id"]), expected)


@pytest.mark.needs("a CUDA device", "--gpu", "24 GB of GPU memory")
def test_20_gb_fit_while_a_job_is_paused(rig: Rig) -> None:
    options: dict[str, Any] = {"architecture": "sdxl", "steps": 6}
    expected, _ = run_stock(rig.comfy, rig.graph(False, "alone", **options), "alone")
    job_id = rig.comfy.queue(rig.graph(True, "beside", "3", "hold", **options))
    rig.comfy.wait_at_gate("beside", 3)
    rig.comfy.verb(job_id, "pause", query="?wait=30")
    assert "error" not in rig.fill(bytes=20 * GB)
    rig.fill()
    rig.comfy.verb(job_id, "resume")
    job = rig.comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(rig.comfy, job["prompt_id"]), expected)
