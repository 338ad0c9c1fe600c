"""The sampling thread waits for the device once an evaluation, after it gave it work; nobody reads too early.

`aside` proves the number, as it sees each operation; CUDA's is told by torch.cuda.set_sync_debug_mode and by
counting what waits for events.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

import graphs
from graphs import Graph
from resuming import latent, run_stock
from rig import Rig, architectures

IMAGE = {"empty": False, "seed": 4, "masked": True}
LONG_S = 0.3  # by which nothing is asked for ahead
HOLLOW = {"probe": {"hollow": True}}  # the model would take most of the time
CASES: dict[str, dict[str, Any]] = {
    "euler": HOLLOW,
    "heun": HOLLOW | {"sampler": "heun"},
    "a _cfg_pp sampler, which reads more than the answer": {"sampler": "euler_ancestral_cfg_pp"},
    "noise drawn on the host": HOLLOW | {"sampler": "dpmpp_2m_sde"},
    "noise drawn on the device": HOLLOW | {"sampler": "dpmpp_2m_sde_gpu"},
    "a mask, with which a step is not the answer": HOLLOW | {"latent": IMAGE},
}


def with_waits(graph: Graph, key: str) -> Graph:
    graph["waits"] = graphs.node("TestWaits", model=["model", 0], key=key)
    graph["probe"]["inputs"]["model"] = ["waits", 0]
    return graph


def waited(rig: Rig, make: Callable[..., Graph], watched: bool, key: str) -> list[int]:
    """How often the sampling thread waited from the beginning of one evaluation to that of the next."""
    key = f"{key}-{watched}"
    ended = rig.comfy.wait_ended(rig.comfy.queue(make(watched=watched, key=key)), 300)
    assert ended["status"]["status_str"] == "success", rig.comfy.tail()
    return [sum(counted.values()) for counted in rig.told(key)["waits"]]


def assert_at_most_once(watched: list[int], stock: list[int]) -> None:
    """What is done by then is not waited for at all."""
    assert {one - usual for one, usual in zip(watched, stock, strict=True)} <= {0, 1}


@pytest.mark.parametrize("case", CASES)
def test_an_evaluation_makes_the_sampling_thread_wait_once_at_most(rig: Rig, case: str) -> None:
    def make(watched: bool, key: str) -> Graph:
        return with_waits(graphs.base(watched=watched, key=key, **CASES[case]), key)

    stock, watched = (waited(rig, make, which, f"waits-{case[:12]}") for which in (False, True))
    assert len(watched) == len(stock) >= 5
    assert_at_most_once(watched, stock)


def test_a_long_evaluation_is_waited_for_at_once(rig: Rig) -> None:
    def make(watched: bool, key: str) -> Graph:
        return with_waits(
            graphs.base(watched=watched, key=key, probe={"hollow": True, "seconds": LONG_S}), key
        )

    stock, watched = (waited(rig, make, which, "waits-long") for which in (False, True))
    more = {one - usual for one, usual in zip(watched, stock, strict=True)}
    assert more <= {0, 1} if rig.device == "cuda" else more == {1}


def test_an_answer_that_is_no_number_voids_what_was_asked_after_it(rig: Rig) -> None:
    options: dict[str, Any] = {"steps": 10}
    expected, _ = run_stock(
        rig.comfy, graphs.base(watched=False, key="numbers", probe={"hollow": True}, **options), "numbers"
    )
    job_id = rig.comfy.queue(graphs.base(key="nan-ahead", probe={"nan_at": 7, "hollow": True}, **options))
    job = rig.comfy.wait_for(job_id, "paused")
    assert (job["pause_reason"], job["step"], job["evaluations"]) == ("nan", 6, 6)
    assert rig.comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"probe": {"nan_at": 0}})[0] == 200
    rig.comfy.verb(job_id, "resume")
    job = rig.comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(rig.comfy, job["prompt_id"]), expected)


def test_other_threads_wait_for_copies_only_and_not_for_the_model(rig: Rig) -> None:
    rig.told("others")  # they count from here on
    job_id = rig.comfy.queue(graphs.base(key="others", steps=4, latent=IMAGE, **HOLLOW))
    rig.comfy.wait_for(job_id, "completed")
    told = rig.told("others")["threads"].get("midrun-journal", {})
    assert told.keys() == {"an event"} or (told == {} and rig.device == "cuda")


@pytest.mark.needs("--gpu")
@pytest.mark.parametrize("architecture", architectures("sd15", "sdxl", "flux", "wan"))
def test_it_waits_once_with_each_architecture(rig: Rig, architecture: str) -> None:
    make = partial(rig.graph, architecture=architecture, scheduler="simple", steps=4)
    stock, watched = (waited(rig, make, which, f"waits-{architecture}") for which in (False, True))
    assert_at_most_once(watched, stock)
