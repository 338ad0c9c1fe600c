"""Real servers with a shared store: killed, drained, sent the same prompt, taken over from."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from test_control import expected, pause_at, start

Make = Callable[..., Comfy]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Make]:
    made: list[Comfy] = []

    def make(name: str, **environ: str) -> Comfy:
        store = {"MIDRUN_STORE": f"file://{(tmp_path / 'store').as_posix()}"}
        made.append(Comfy(tmp_path / name, environ=store | environ).start())
        return made[-1]

    yield make
    for one in made:
        one.stop()


def in_store(tmp_path: Path, comfy: Comfy, evaluations: int) -> None:
    """So many evaluations of the one job there are sent."""

    def sent() -> bool:
        files = list((tmp_path / "store" / "jobs").glob("*/claims/000001.json"))
        return bool(files) and f"{evaluations - 1:06}.safetensors" in files[0].read_text()

    comfy.until(sent, f"{evaluations} evaluations in the store")


def test_the_same_prompt_goes_on_on_another_server(servers: Make, tmp_path: Path) -> None:
    one, other = servers("one"), servers("other")
    graph = graphs.base(key="fleet", gates="10", steps=20, sampler="dpmpp_2m_sde")
    dead = one.queue(graph)
    one.wait_at_gate("fleet", 10)
    in_store(tmp_path, one, 9)
    one.kill()
    other.open_gate("fleet", 10)
    job = other.wait_for(other.queue(graph), "completed")
    assert job["retry_of"]["job_id"] == dead and job["retry_of"]["evaluations"] == 9
    assert other.probe("fleet")["done"] == 11 and job["warnings"] == []
    assert torch.equal(latent(other, job["job_id"]), expected(other, steps=20, sampler="dpmpp_2m_sde"))
    folder = tmp_path / "store" / "open"  # in which the kill may have left half of an object
    left = lambda: [entry for entry in folder.iterdir() if "~" not in entry.name]  # noqa: E731
    other.until(lambda: not left(), "nothing to be left to do", 60)


def test_a_job_is_taken_over_from_a_dead_server_and_not_from_one_that_lives(
    servers: Make, tmp_path: Path
) -> None:
    one, other = servers("one"), servers("other")
    job_id = start(one, "over", "4,5", steps=8)
    pause_at(one, job_id, "over", 4)
    in_store(tmp_path, one, 3)
    status, told = other.call("POST", f"/midrun/store/{job_id}/take", {}, timeout=90)
    assert (status, told["error"]["code"]) == (409, "taken")
    told_there = lambda: [  # noqa: E731
        (one["job_id"], one["state"], one["step"]) for one in other.get("/midrun/store")["jobs"]
    ]
    other.until(lambda: told_there() == [(job_id, "paused", 3)], "the pause to be told in the store", 60)
    one.kill()
    assert told_there() == [(job_id, "paused", 3)]
    status, told = other.call("POST", f"/midrun/store/{job_id}/take", {}, timeout=90)
    assert (status, told["state"], told["evaluations"]) == (201, "paused", 3), told
    for gate in (4, 5):
        other.open_gate("over", gate)
    assert other.verb(job_id, "resume")[0] == 202
    job = other.wait_for(job_id, "completed")
    assert other.probe("over")["done"] == 5
    assert torch.equal(latent(other, job["prompt_id"]), expected(other, steps=8))


def test_a_drain_frees_jobs_at_once_and_so_does_a_sigterm(servers: Make, tmp_path: Path) -> None:
    one, other = servers("one", MIDRUN_DRAIN_S="15"), servers("other")
    job_id = start(one, "drain", "4", steps=8)
    one.wait_at_gate("drain", 4)
    in_store(tmp_path, one, 3)
    os.kill(one.pid, signal.SIGTERM)
    other.until(lambda: _claims(other, job_id), "the job to be free", 60)
    other.open_gate("drain", 4)
    assert other.verb(job_id, "resume")[0] == 202
    job = other.wait_for(job_id, "completed")
    assert other.probe("drain")["done"] == 5 and job["evaluations"] == 8
    assert torch.equal(latent(other, job["prompt_id"]), expected(other, steps=8))

    running = start(other, "asked", "4", steps=8)
    other.wait_at_gate("asked", 4)
    told = other.post("/midrun/drain", {"within": 20})
    assert told["paused"] == [running] and told["mirrored"] is True
    assert other.job(running)["pause_reason"] == "drain"
    assert other.verb(running, "resume")[0] == 409


def _claims(other: Comfy, job_id: str) -> Any:
    listed = other.get("/midrun/store")["jobs"]
    if not any(one["job_id"] == job_id and one["alive"] is False for one in listed):
        return False
    return other.call("POST", f"/midrun/store/{job_id}/take", {}, timeout=90)[0] == 201
