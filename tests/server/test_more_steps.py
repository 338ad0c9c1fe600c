"""More steps for a completed job: a fork from its end, on a real server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from midrun.state.recording import tensor_file
from resuming import latent
from test_control import expected, kinds
from test_editing import put
from test_loops_of_others import loop
from test_timetravel import completed, resume, rewind

MASKED = {"empty": False, "seed": 4, "masked": True}


def more(comfy: Comfy, job_id: str, steps: int) -> dict[str, Any]:
    status, job = comfy.verb(job_id, "more", {"steps": steps})
    assert status == 202, job
    return job


def refused(comfy: Comfy, job_id: str, told: str, steps: Any = 4, status: int = 409) -> None:
    got, answer = comfy.verb(job_id, "more", {"steps": steps})
    assert got == status and told in answer["error"]["message"], answer


def file_of(comfy: Comfy, job_id: str, name: str) -> tuple[tensor_file.Tensors, dict[str, Any]]:
    place = next((comfy.base / "user" / "__midrun" / "recordings" / job_id).iterdir())
    return tensor_file.read(place / f"{name}.safetensors")


def test_more_steps_are_the_last_of_a_longer_schedule_from_the_picture_that_was_there(comfy: Comfy) -> None:
    job_id = completed(comfy, "more", steps=6)
    picture = latent(comfy, job_id)
    fork = more(comfy, job_id, 4)
    assert fork["parent"] == {"job_id": job_id, "step": 6, "node_id": "sampler"}
    job = comfy.wait_for(fork["job_id"], "completed")
    assert (job["step"], job["total_steps"], job["evaluations"]) == (10, 10, 10)
    assert job["modified_params"] == {"sampler": {"steps": {"from": 6, "to": 10, "from_step": 6}}}
    assert comfy.probe("more")["done"] == 6 + 4, "what was done is not done again"
    assert job["warnings"] == [] and {"forked", "edit", "segment"} <= set(kinds(comfy, fork["job_id"]))
    begun, _ = file_of(comfy, fork["job_id"], "segment-000006")
    denoised = file_of(comfy, job_id, "000005")[0]["answer"]
    noise = torch.randn(denoised.shape, generator=torch.Generator().manual_seed(5 + 6), dtype=torch.float64)
    level = begun["sigmas"][0].double()
    assert torch.equal(begun["x"], (level * noise + denoised.double()).float())
    assert torch.equal(begun["sigmas"], begun["given"][-5:]) and float(begun["sigmas"][-1]) == 0
    assert not torch.equal(latent(comfy, job["prompt_id"]), expected(comfy, steps=10))
    before = comfy.job(job_id)
    assert (before["state"], before["step"], before["take"]) == ("completed", 6, None)
    assert torch.equal(latent(comfy, job_id), picture)


def test_more_steps_are_repeated_taken_back_and_added_to(comfy: Comfy) -> None:
    job_id = completed(comfy, "more-again", steps=5, sampler="dpmpp_2m_sde", latent=MASKED, denoise=0.7)
    first = comfy.wait_for(more(comfy, job_id, 3)["job_id"], "completed")
    again = comfy.wait_for(more(comfy, job_id, 3)["job_id"], "completed")
    got = latent(comfy, first["prompt_id"])
    assert torch.equal(latent(comfy, again["prompt_id"]), got) and torch.isfinite(got).all()
    further = comfy.wait_for(more(comfy, first["job_id"], 2)["job_id"], "completed")
    assert (further["step"], further["total_steps"]) == (10, 10)
    rewind(comfy, first["job_id"], 4)  # before its end, where the longer schedule is not yet
    assert comfy.job(first["job_id"])["modified_params"] == {}
    back = resume(comfy, first["job_id"])
    assert (back["step"], back["total_steps"]) == (5, 5)
    assert torch.equal(latent(comfy, back["prompt_id"]), latent(comfy, job_id))
    rewind(comfy, again["job_id"], 5)
    assert torch.equal(latent(comfy, resume(comfy, again["job_id"])["prompt_id"]), got)


def test_more_steps_are_edited_and_undone_where_they_begin(comfy: Comfy) -> None:
    job_id = completed(comfy, "more-edited", steps=5)
    fork = comfy.wait_for(more(comfy, job_id, 3)["job_id"], "completed")
    rewind(comfy, fork["job_id"], 5)
    put(comfy, fork["job_id"], ("sampler", "sampler_name", "ddim"))  # euler by another name
    edited = resume(comfy, fork["job_id"])
    assert (edited["step"], edited["total_steps"]) == (8, 8)
    got, want = latent(comfy, edited["prompt_id"]), latent(comfy, fork["prompt_id"])
    assert torch.allclose(got, want, rtol=1e-6, atol=1e-6 * want.abs().max().item())
    rewind(comfy, fork["job_id"], 5)
    assert comfy.call("DELETE", f"/midrun/jobs/{fork['job_id']}/params/sampler/steps")[0] == 200
    undone = resume(comfy, fork["job_id"])
    assert undone["step"] == 5 and comfy.probe("more-edited")["done"] == 5 + 3 + 3
    got, want = latent(comfy, undone["prompt_id"]), latent(comfy, job_id)
    assert torch.allclose(got, want, rtol=1e-6, atol=1e-6 * want.abs().max().item())


def test_the_schedule_of_nodes_apart_is_made_longer_by_theirs(comfy: Comfy) -> None:
    graph = graphs.custom_advanced(graphs.base(watched=False, key="more-apart", kind="FLOW"))
    job_id = comfy.queue(graphs.behind_attach(graph))
    comfy.wait_for(job_id, "completed")
    job = comfy.wait_for(more(comfy, job_id, 3)["job_id"], "completed")
    assert job["modified_params"]["schedule"]["steps"]["to"] == 9 and job["step"] == 9


@pytest.mark.parametrize("sampler", ["dpm_fast", "dpm_adaptive", "uni_pc"])
def test_samplers_that_count_otherwise_take_more_steps_too(comfy: Comfy, sampler: str) -> None:
    job_id = completed(comfy, f"more-{sampler}", sampler=sampler, steps=5)
    job = comfy.wait_for(more(comfy, job_id, 4)["job_id"], "completed")
    assert job["evaluations"] > comfy.job(job_id)["evaluations"] and job["warnings"] == []
    assert not torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, job_id))


def killed(comfy: Comfy, key: str, kill: bool) -> torch.Tensor:
    """Of four more steps, paused after two, in another server if it is killed there."""
    job_id = completed(comfy, key, sampler="euler_ancestral", gates="9")
    fork = more(comfy, job_id, 4)["job_id"]
    comfy.wait_at_gate(key, 9)
    if kill:
        place = comfy.base / "user" / "__midrun" / "recordings" / fork
        comfy.until(lambda: list(place.glob("*/step-000008*")), "two of them to be on record")
        comfy.kill()
        comfy.start()
        assert comfy.job(fork)["step"] == 8
        comfy.verb(fork, "resume")
    else:
        comfy.open_gate(key, 9)
    return latent(comfy, comfy.wait_for(fork, "completed")["prompt_id"])


def test_more_steps_survive_a_kill_bit_identically(comfy: Comfy, tmp_path: Path) -> None:
    want = killed(comfy, "more-killed", kill=False)
    server = Comfy(tmp_path).start()
    try:
        assert torch.equal(killed(server, "more-killed", kill=True), want)
    finally:
        server.stop()


def test_of_two_requests_at_once_one_makes_more_steps(comfy: Comfy) -> None:
    job_id = completed(comfy, "more-twice", gates="7")
    with ThreadPoolExecutor() as pool:
        told = list(pool.map(lambda _: comfy.verb(job_id, "more", {"steps": 2})[0], range(4)))
    assert sorted(told) == [202, 409, 409, 409]
    comfy.wait_at_gate("more-twice", 7)
    comfy.open_gate("more-twice", 7)


def test_more_steps_are_refused_where_they_make_no_sense(comfy: Comfy) -> None:
    job_id = completed(comfy, "more-refused", gates="7")
    for steps in (0, -1, 1.5, "4", None, 10**9):
        refused(comfy, job_id, "steps must be a whole number", steps, 400)
    cached = completed(comfy, "more-refused", gates="7")
    refused(comfy, cached, "not on record")
    refused(comfy, job_id, "above its maximum, 10000", 9999, 422)
    fork = more(comfy, job_id, 2)["job_id"]
    comfy.wait_at_gate("more-refused", 7)
    refused(comfy, job_id, "a fork from its end is at work already")
    refused(comfy, fork, "Only a completed job")
    comfy.verb(fork, "abort")
    refused(comfy, fork, "Only a completed job")
    tiles = comfy.queue(graphs.behind_attach(graphs.tiles(graphs.base(watched=False, key="more-tiles"))))
    comfy.wait_for(tiles, "completed")
    refused(comfy, tiles, "sampled several times")
    loop_of_another = comfy.queue(loop("more-loop"))
    comfy.wait_for(loop_of_another, "completed")
    refused(comfy, loop_of_another, "a sampling loop of its own")
    for more_inputs, told in (
        ({"end_at_step": 4, "return_with_leftover_noise": "enable"}, "left noise"),
        ({"end_at_step": 4}, "told to end at step 4"),
    ):
        part = comfy.queue(graphs.behind_attach(graphs.advanced(graphs.base(watched=False), **more_inputs)))
        comfy.wait_for(part, "completed")
        refused(comfy, part, told)
