"""On the device that ComfyUI computes on, every way of going on leads to the same latent, bit for bit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from graphs import Graph
from harness import Comfy
from resuming import check, latent, run_stock
from rig import Rig, architectures, device_here
from test_samplers import VARIATIONS, all_samplers

KINDS = {"sd15": "SD15", "sdxl": "SDXL", "flux": "Flux", "wan": "WAN21_T2V"}
RUNS = itertools.count()  # no two have a key in common
FEW = ("euler", "dpmpp_sde_gpu", "euler_ancestral_cfg_pp", "uni_pc")


def faults_of(rig: Rig, names: list[str], make: Any, policies: tuple[str, ...]) -> dict[str, str]:
    """What is wrong, by the name of the sampler."""
    told = {
        name: check(rig.comfy, f"{next(RUNS)}-{name}", partial(make, sampler=name), policies)
        for name in names
    }
    return {name: fault for name, fault in told.items() if fault}


def plain(watched: bool, key: str, gates: str, policy: str, **options: Any) -> Graph:
    return graphs.base(watched=watched, key=key, gates=gates, queue_policy=policy, **options)


def test_a_sampler_that_draws_on_the_device_resumes_bit_identically(rig: Rig) -> None:
    make = partial(plain, probe={"hollow": True})
    assert faults_of(rig, ["dpmpp_sde_gpu"], make, ("park",)) == {}


@pytest.mark.needs("--gpu")
def test_comfyui_takes_the_models_of_real_size_for_what_they_are(rig: Rig) -> None:
    found = rig.comfy.get("/midrun_test/detected")
    assert {name: kind for name, (kind, _) in found.items()} == KINDS
    assert [round(count / 1e8) for _, count in found.values()] == [9, 26, 119, 14], "weights, in 1e8"


@pytest.mark.needs("--gpu")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("policy", ["hold", "park"])
def test_every_sampler_resumes_bit_identically(rig: Rig, policy: str, quarter: int) -> None:
    assert faults_of(rig, all_samplers(rig.comfy)[quarter::4], plain, (policy,)) == {}


@pytest.mark.needs("--gpu")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("variation", VARIATIONS)
def test_every_kind_of_sampling_resumes_bit_identically(rig: Rig, variation: str) -> None:
    assert faults_of(rig, ["euler"], VARIATIONS[variation], ("hold", "park")) == {}


@pytest.mark.needs("--gpu")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("architecture", architectures("sd15", "sdxl", "flux", "wan"))
def test_each_architecture_resumes_after_a_pause_inside_its_network(rig: Rig, architecture: str) -> None:
    make = partial(rig.graph, architecture=architecture, scheduler="simple", inside=True)
    assert check(rig.comfy, f"inside-{architecture}", make, ("hold", "park")) is None


def test_a_rewound_job_draws_from_the_device_what_it_drew(rig: Rig) -> None:
    """The model draws random numbers from the device's generator, and the sampler from one of its own."""
    options: dict[str, Any] = {"sampler": "euler_ancestral", "queue_policy": "park"}
    options["probe"] = {"draws": True, "on_device": True, "hollow": True}
    expected, _ = run_stock(rig.comfy, graphs.base(watched=False, key="drawn", **options), "drawn")
    job_id = rig.comfy.queue(graphs.base(key="rewound", gates="5", **options))
    rig.comfy.wait_at_gate("rewound", 5)
    assert rig.comfy.verb(job_id, "pause", query="?wait=30")[1]["state"] == "paused"
    other = {"latent": graphs.node("TestLatent", **graphs.latent_inputs())}
    other["disturb"] = graphs.node("TestDisturb", samples=["latent", 0], seed=7)
    other["save"] = graphs.node("SaveLatent", samples=["disturb", 0], filename_prefix="latents/other")
    rig.comfy.wait_ended(rig.comfy.queue(other))
    assert rig.comfy.verb(job_id, "rewind", {"step": 2})[0] in (200, 202)
    assert rig.comfy.verb(job_id, "resume")[0] == 202
    job = rig.comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(rig.comfy, job["prompt_id"]), expected)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Comfy]:
    server = Comfy(tmp_path, device=device_here()).start()
    yield server
    server.stop()


@pytest.mark.needs("--gpu")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sampler", FEW)
def test_a_job_of_a_server_that_was_killed_goes_on_to_the_same_latent(mortal: Comfy, sampler: str) -> None:
    expected, _ = run_stock(mortal, graphs.base(sampler, watched=False, key="whole"), "whole")
    job_id = mortal.queue(graphs.base(sampler, key="killed", gates="4"))
    mortal.wait_at_gate("killed", 4)
    mortal.until(lambda: mortal.job(job_id)["evaluations"] >= 3, "three evaluations on record")
    mortal.kill()
    mortal.start()
    mortal.open_gate("killed", 4)
    assert mortal.verb(job_id, "resume")[0] == 202
    job = mortal.wait_for(job_id, "completed")
    assert torch.equal(latent(mortal, job["prompt_id"]), expected)
