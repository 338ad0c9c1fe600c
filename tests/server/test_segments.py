"""Schedule edits on a real server: a new stretch equals what stock samplers make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import graphs
from harness import Comfy
from midrun.state.recording import tensor_file
from resuming import latent
from test_control import expected, kinds, pause_at, start
from test_editing import put


def resumed(comfy: Comfy, job_id: str) -> tuple[dict[str, Any], torch.Tensor]:
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert job["error"] is None and job["warnings"] == []
    return job, latent(comfy, job["prompt_id"])


def test_splitting_a_run_where_it_stands_changes_nothing(comfy: Comfy) -> None:
    # ddim is euler by another name where nothing is masked: a new segment that computes the same.
    job_id = start(comfy, "split", "4", steps=8)
    pause_at(comfy, job_id, "split", 4)
    assert put(comfy, job_id, ("sampler", "sampler_name", "ddim"))[0] == 200
    job, got = resumed(comfy, job_id)
    want = expected(comfy, steps=8)
    assert torch.allclose(got, want, rtol=1e-6, atol=1e-6 * want.abs().max().item())
    assert (job["step"], job["total_steps"], comfy.probe("split")["done"]) == (8, 8, 8)


def test_a_masked_run_keeps_its_originals_when_it_is_split(comfy: Comfy) -> None:
    # euler_ancestral with eta 0 is euler, too.
    image = {"empty": False, "seed": 4, "masked": True}
    graph = graphs.custom(graphs.base(watched=False, key="masked-split", gates="4", steps=8, latent=image))
    job_id = comfy.queue(graphs.behind_attach(graph))
    pause_at(comfy, job_id, "masked-split", 4)
    edited = graphs.behind_attach(graph)
    edited["choice"] = graphs.node("SamplerEulerAncestral", eta=0.0, s_noise=1.0)
    status, told = comfy.verb(job_id, "resume", {"prompt": edited})
    assert status == 202, told
    job = comfy.wait_for(job_id, "completed")
    stock = graphs.custom(graphs.base(watched=False, steps=8, latent=image))
    want, got = latent(comfy, comfy.queue(stock)), latent(comfy, job["prompt_id"])
    assert torch.allclose(got, want, rtol=1e-5, atol=1e-6 * want.abs().max().item())
    events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    assert comfy.probe("masked-split")["done"] == 8 and "segment" in [event["kind"] for event in events]


KINDS: dict[str, dict[str, Any]] = {
    "eps": {},
    "v-prediction": {"kind": "V_PREDICTION"},
    "EDM": {"kind": "EDM"},
    "flow": {"kind": "FLOW", "scheduler": "simple"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_more_steps_equal_two_stock_samplers_chained_by_hand(comfy: Comfy, kind: str) -> None:
    options = KINDS[kind]
    key = f"more-{kind}"
    job_id = start(comfy, key, "6", steps=10, **options)
    pause_at(comfy, job_id, key, 6)
    assert put(comfy, job_id, ("sampler", "steps", 15))[0] == 200
    job, got = resumed(comfy, job_id)
    want = latent(comfy, comfy.queue(chained(options)))
    assert torch.allclose(got, want, rtol=1e-5, atol=2e-6 * want.abs().max().item())
    left = job["total_steps"] - 5
    assert job["step"] == job["total_steps"] and comfy.probe(key)["done"] == 5 + left > 10


def chained(options: dict[str, Any]) -> graphs.Graph:
    """Five of ten steps, then the rest of fifteen from that noise level on, in two stock nodes."""
    graph = graphs.base(watched=False, steps=10, **options)
    scheduler = graph["sampler"]["inputs"]["scheduler"]
    old = graph["sampler"]["inputs"]
    for name, steps in (("ten", 10), ("fifteen", 15)):
        given = {"scheduler": scheduler, "steps": steps, "denoise": 1.0}
        graph[name] = graphs.node("BasicScheduler", model=["probe", 0], **given)
    graph["head"] = graphs.node("SplitSigmas", sigmas=["ten", 0], step=5)
    graph["tail"] = graphs.node("TestContinued", before=["ten", 0], after=["fifteen", 0], step=5)
    graph["euler"] = graphs.node("KSamplerSelect", sampler_name="euler")
    kept = {name: old[name] for name in ("model", "positive", "negative", "cfg")}
    common = kept | {"noise_seed": old["seed"], "sampler": ["euler", 0]}
    graph["first"] = graphs.node(
        "SamplerCustom", **common, add_noise=True, sigmas=["head", 0], latent_image=["latent", 0]
    )
    graph["sampler"] = graphs.node(
        "SamplerCustom", **common, add_noise=False, sigmas=["tail", 0], latent_image=["first", 0]
    )
    return graph


def advanced(**inputs: Any) -> graphs.Graph:
    """KSamplerAdvanced on a schedule whose noise levels do not depend on the number of steps."""
    return graphs.advanced(graphs.base(watched=False, scheduler="simple"), **inputs)


def in_two(first: dict[str, Any], second: dict[str, Any]) -> graphs.Graph:
    """Two stock KSamplerAdvanced, the second going on where the first ended."""
    graph = advanced(**{"return_with_leftover_noise": "enable"} | first)
    graph["first"] = graph["sampler"]
    graph["sampler"] = advanced(add_noise="disable", **second)["sampler"]
    graph["sampler"]["inputs"]["latent_image"] = ["first", 0]
    return graph


def assert_same(got: torch.Tensor, want: torch.Tensor) -> None:
    assert torch.allclose(got, want, rtol=1e-6, atol=1e-6 * want.abs().max().item())


def test_thirty_steps_instead_of_twenty_equal_two_stock_nodes(comfy: Comfy) -> None:
    job_id = start(comfy, "thirty", "11", steps=20, scheduler="simple")
    pause_at(comfy, job_id, "thirty", 11)
    assert put(comfy, job_id, ("sampler", "steps", 30))[0] == 200
    job, got = resumed(comfy, job_id)
    want = in_two({"steps": 20, "end_at_step": 10}, {"steps": 30, "start_at_step": 15})
    assert_same(got, latent(comfy, comfy.queue(want)))
    assert (job["step"], job["total_steps"], comfy.probe("thirty")["done"]) == (25, 25, 25)


def test_the_schedule_of_ksampler_advanced_is_edited_within_its_start_and_end(comfy: Comfy) -> None:
    span = {"steps": 10, "start_at_step": 2, "end_at_step": 8, "return_with_leftover_noise": "enable"}
    graph = advanced(**span)
    graph["probe"]["inputs"] |= {"key": "span", "gates": "4"}
    job_id = comfy.queue(graphs.behind_attach(graph))
    pause_at(comfy, job_id, "span", 4)
    edits = {"sampler": {"steps": 20, "end_at_step": 16}}
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", edits)[0] == 200
    job, got = resumed(comfy, job_id)
    rest = span | {"steps": 20, "start_at_step": 10, "end_at_step": 16}
    assert_same(got, latent(comfy, comfy.queue(in_two(span | {"end_at_step": 5}, rest))))
    assert (job["step"], job["total_steps"], comfy.probe("span")["done"]) == (9, 9, 9)


def test_a_run_that_was_to_end_early_can_be_made_to_go_on(comfy: Comfy) -> None:
    span = {"steps": 10, "start_at_step": 2, "end_at_step": 6, "return_with_leftover_noise": "enable"}
    graph = advanced(**span)
    graph["probe"]["inputs"] |= {"key": "longer", "gates": "3"}
    job_id = comfy.queue(graphs.behind_attach(graph))
    pause_at(comfy, job_id, "longer", 3)
    assert put(comfy, job_id, ("sampler", "end_at_step", 10000))[0] == 200
    job, got = resumed(comfy, job_id)
    assert_same(got, latent(comfy, comfy.queue(advanced(**span | {"end_at_step": 10000}))))
    assert (job["step"], job["total_steps"], comfy.probe("longer")["done"]) == (8, 8, 8)


@pytest.mark.parametrize(("before", "after"), [(0.5, 0.8), (0.8, 0.5)])
def test_denoise_is_edited_up_and_down(comfy: Comfy, before: float, after: float) -> None:
    key = f"denoise-{before}"
    image = {"empty": False, "seed": 4}
    job_id = start(comfy, key, "4", steps=8, denoise=before, latent=image)
    pause_at(comfy, job_id, key, 4)
    assert put(comfy, job_id, ("sampler", "denoise", after))[0] == 200
    job, got = resumed(comfy, job_id)
    assert (job["step"], job["total_steps"], comfy.probe(key)["done"]) == (8, 8, 8)
    assert torch.isfinite(got).all()
    assert not torch.equal(got, expected(comfy, steps=8, denoise=before, latent=image))
    place = next((comfy.base / "user" / "__midrun" / "recordings" / job_id).iterdir())
    begun, about = read_doubles(place / "segment-000003.safetensors")
    denoised = read_doubles(place / "000002.safetensors")[0]["answer"]
    sigma, level = about["origin"]["sigma"], begun["given"][3]
    eps = (begun["origin"] - denoised) / sigma
    noise = (begun["x"] - denoised) / level
    assert np.array_equal(begun["sigmas"], begun["given"][3:]) and (level < sigma) == (after < before)
    if after < before:
        assert np.allclose(noise, eps, atol=1e-5)
    else:
        fresh = (noise - sigma / level * eps) / np.sqrt(1 - (sigma / level) ** 2)
        assert abs(fresh.mean()) < 0.15 and abs(fresh.std() - 1) < 0.15
        assert abs(np.corrcoef(fresh.ravel(), eps.ravel())[0, 1]) < 0.15


def read_doubles(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    tensors, about = tensor_file.read(file)
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}, about


def edited_thrice(server: Comfy, key: str, crash: bool) -> torch.Tensor:
    """Steps, sampler and denoise edited at three pauses, with cfg in between."""
    job_id = server.queue(graphs.base("dpmpp_2m", key=key, steps=8, pause_at_step=2, queue_policy="hold"))
    server.wait_for(job_id, "paused")
    for number, edit in enumerate(
        (("sampler", "steps", 12), ("sampler", "sampler_name", "dpmpp_2m_sde"), ("sampler", "denoise", 0.9))
    ):
        assert put(server, job_id, edit)[0] == 200
        put(server, job_id, ("sampler", "cfg", 3.0 + number))
        if crash:
            server.until(lambda: server.job(job_id)["state"] == "paused", "the pause")
            server.kill()
            server.start()
        before = server.job(job_id)["step"]
        assert server.verb(job_id, "step", {"count": 2})[0] == 202
        job = server.until(
            lambda before=before: (
                (job := server.job(job_id))["paused_at_step"] == before + 2
                and job["state"] == "paused"
                and job
            ),
            "two steps",
        )
        assert job["step"] == before + 2
        place = server.base / "user" / "__midrun" / "recordings" / job_id
        server.until(
            lambda before=before, place=place: list(place.glob(f"*/step-{before + 2:06}*")), "the recording"
        )
    return resumed(server, job_id)[1]


def test_schedule_edits_survive_crashes_and_follow_one_another(comfy: Comfy, tmp_path: Path) -> None:
    want = edited_thrice(comfy, "thrice", crash=False)
    server = Comfy(tmp_path).start()
    try:
        assert torch.equal(edited_thrice(server, "thrice", crash=True), want)
    finally:
        server.stop()


def test_undoing_a_schedule_edit_before_it_was_applied_changes_nothing(comfy: Comfy) -> None:
    job_id = start(comfy, "undo-steps", "3")
    pause_at(comfy, job_id, "undo-steps", 3)
    put(comfy, job_id, ("sampler", "steps", 9))
    comfy.call("DELETE", f"/midrun/jobs/{job_id}/params")
    assert torch.equal(resumed(comfy, job_id)[1], expected(comfy))


def test_undoing_a_schedule_edit_with_which_nothing_was_computed_changes_nothing(comfy: Comfy) -> None:
    options: dict[str, Any] = {"steps": 8, "sampler": "dpmpp_2m"}  # which remembers the step before
    job_id = start(comfy, "regretted", "4", **options)
    pause_at(comfy, job_id, "regretted", 4)
    put(comfy, job_id, ("sampler", "scheduler", "karras"))
    comfy.shut_gate("regretted", 4)
    comfy.verb(job_id, "resume")
    comfy.wait_at_gate("regretted", 4)
    assert comfy.verb(job_id, "pause", query="?wait=30")[1]["step"] == 3
    assert "segment" in kinds(comfy, job_id)
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}/params/sampler/scheduler")[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe("regretted")["done"] == 8
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy, **options))


def test_the_schedule_of_a_node_that_samples_many_times_is_edited_in_its_second_call(comfy: Comfy) -> None:
    graph = graphs.behind_attach(graphs.tiles(graphs.base(watched=False, key="tiles-steps", gates="5")))
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, "tiles-steps", 5)
    put(comfy, job_id, ("sampler", "steps", 5))
    comfy.verb(job_id, "resume")
    got = latent(comfy, comfy.wait_for(job_id, "completed")["prompt_id"])
    stock = {}
    for steps in (3, 5):
        tiles = graphs.tiles(graphs.base(watched=False))
        tiles["sampler"]["inputs"]["steps"] = steps
        stock[steps] = latent(comfy, comfy.queue(tiles))
    half = got.shape[-1] // 2
    assert torch.equal(got[..., :half, :half], stock[3][..., :half, :half]), "the call that had ended"
    assert torch.equal(got[..., half:, :], stock[5][..., half:, :]), "the calls that came after"
    assert not torch.equal(got[..., :half, half:], stock[5][..., :half, half:])


def test_a_schedule_that_ends_above_the_noise_level_pauses_the_job_again_with_its_edit(comfy: Comfy) -> None:
    graph = graphs.custom_advanced(graphs.base(watched=False, key="nothing-left", gates="5"))
    graph = graphs.behind_attach(graph)
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, "nothing-left", 5)
    edited = dict(graph)
    edited["short"] = graphs.node("SplitSigmas", sigmas=["schedule", 0], step=2)  # ends far above
    edited["sampler"] = {**graph["sampler"], "inputs": {**graph["sampler"]["inputs"], "sigmas": ["short", 0]}}
    assert comfy.verb(job_id, "resume", {"prompt": edited})[0] == 202
    job = comfy.until(lambda: (job := comfy.job(job_id))["error"] and job, "the attempt to fail")
    assert (job["state"], job["step"], job["evaluations"]) == ("paused", 4, 4)
    assert "has come down to" in job["error"]["message"] and job["modified_params"]["sampler"]["sigmas"]
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")
    assert comfy.verb(job_id, "resume", {"prompt": graph})[0] == 202  # the edit undone
    job = comfy.wait_for(job_id, "completed")
    stock = graphs.custom_advanced(graphs.base(watched=False))
    assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, comfy.queue(stock)))
