"""Looking into a paused job: what a word of its prompt, or a LoRA, does at a step."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load

import graphs
from graphs import Graph, node
from harness import Comfy
from resuming import latent, run_stock
from test_checks import files
from test_control import expected, pause_at, start
from test_demo_model import workflow
from test_editing import put
from test_loops_of_others import loop

TEXT = "a (red:1.2) circle on a blue background"
PATH = "/midrun/jobs/{}/lens"
OF_THE_SEED = {"node_id": "positive", "input": "seed", "value": 99}


def looked(comfy: Comfy, job_id: str, **asked: Any) -> dict[str, Any]:
    status, told = comfy.verb(job_id, "lens", asked)
    assert status == 202 and told["state"] == "queued" and told["picture"] is None, told
    return over(comfy, job_id)


def over(comfy: Comfy, job_id: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        lens = comfy.get(PATH.format(job_id))
        return None if lens["state"] in ("queued", "running") else lens

    return comfy.until(ended, "the lens to end")


def refusal(comfy: Comfy, job_id: str, **asked: Any) -> tuple[int, str]:
    status, told = comfy.verb(job_id, "lens", asked)
    return status, told["error"]["message"]


def painted(text: str, watched: bool = True) -> Graph:
    """The demo model with its LoRA, up to the latent."""
    options = {"pause_at_step": 3} if watched else {}
    graph = workflow(text, 7, strength=1.0, watched=watched, **options)
    graph["sampler"]["inputs"]["steps"] = 5
    save = node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/lens")
    return {**{name: graph[name] for name in graph if name != "decode"}, "save": save}


def denoised(comfy: Comfy, job_id: str, step: int) -> torch.Tensor:
    return load(comfy.fetch(f"/midrun/jobs/{job_id}/latent?step={step}")[2])["latent_tensor"]


def test_a_word_that_matters_makes_a_map_and_the_job_stays_what_it_was(comfy: Comfy) -> None:
    job_id = comfy.queue(painted(TEXT))
    comfy.wait_for(job_id, "paused")
    other = comfy.queue(painted("a circle on a blue background"))
    comfy.wait_for(other, "paused")
    comfy.until(lambda: "step=3" in (comfy.job(job_id)["preview_url"] or ""), "the picture of its step")
    before, was = comfy.job(job_id), files(comfy, job_id)
    assert comfy.call("GET", PATH.format(job_id))[1]["error"]["code"] == "no_lens"

    lens = looked(comfy, job_id, node_id="positive", input="text", without="Red")
    assert (lens["state"], lens["step"], lens["sampler_id"]) == ("done", 3, "sampler"), lens
    assert lens["maximum"] > lens["mean"] > 0 and "“Red”" in lens["message"]
    status, headers, content = comfy.fetch(lens["picture"])
    assert (status, headers["Content-Type"]) == (200, "image/webp")
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.width >= 256 and picture.height > picture.width

    # The first step of both jobs asked about the same noise, so the lens has to find how they are apart.
    first = looked(comfy, job_id, node_id="positive", input="text", without="red", step=1)
    apart = (denoised(comfy, job_id, 1) - denoised(comfy, other, 1)).abs().sum(dim=1)
    assert first["maximum"] / first["mean"] == pytest.approx(float(apart.max() / apart.mean()), rel=1e-3)

    off = looked(comfy, job_id, node_id="lora", input="strength_model", value=0.0)
    assert off["state"] == "done" and off["maximum"] > 0 and off["value"] == 0.0
    assert off["prompt_id"] not in comfy.get("/history")
    after = comfy.job(job_id)
    assert {key for key in before if before[key] != after[key]} <= {"timing", "updated_at"}
    assert files(comfy, job_id) == was and was
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    stock = comfy.queue(painted(TEXT, watched=False))
    comfy.wait_ended(stock)
    assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, stock))


def test_one_evaluation_is_asked_and_an_earlier_sampler_only_replayed(comfy: Comfy) -> None:
    graph = graphs.in_series(graphs.base(key="lens-series", gates="9"))
    job_id = comfy.queue(graph)
    job = pause_at(comfy, job_id, "lens-series", 9)
    assert (job["display_node_id"], job["step"]) == ("second", 2)
    done = comfy.probe("lens-series")["done"]
    lens = looked(comfy, job_id, **OF_THE_SEED)
    assert lens["state"] == "done" and lens["maximum"] > 0, lens
    assert (lens["sampler_id"], lens["step"]) == ("second", 2)
    assert comfy.probe("lens-series")["done"] == done + 1
    again = looked(comfy, job_id, **OF_THE_SEED)
    assert again["maximum"] == lens["maximum"] and comfy.probe("lens-series")["done"] == done + 2
    comfy.open_gate("lens-series", 9)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    stock, _ = run_stock(comfy, graphs.in_series(graphs.base(watched=False)), "")
    assert torch.equal(latent(comfy, job["prompt_id"]), stock)


def test_what_changes_no_answer_at_that_step_is_refused(comfy: Comfy) -> None:
    job_id = start(comfy, "lens-refused", "4")
    comfy.wait_at_gate("lens-refused", 4)
    status, told = refusal(comfy, job_id, **OF_THE_SEED)
    assert status == 409 and "Pause it first" in told
    pause_at(comfy, job_id, "lens-refused", 4)

    def because(node_id: str, name: str, **asked: Any) -> str:
        status, told = refusal(comfy, job_id, node_id=node_id, input=name, **asked)
        assert status == 422, told
        return told

    assert "do not depend on it" in because("save", "filename_prefix", value="x")
    assert "do not depend on it" in because("save", "filename_prefix", without="latents")
    assert "there is no “zebra” in it" in because("save", "filename_prefix", without="zebra")
    assert "used up" in because("sampler", "seed", value=6)
    assert "schedule" in because("sampler", "steps", value=9)
    assert "that value already" in because("sampler", "cfg", value=4.0)
    assert "connected to node probe" in because("sampler", "model", value=1)
    assert "it is no text" in because("sampler", "cfg", without="4")
    assert "no such node" in because("nowhere", "text", value="x")
    assert refusal(comfy, job_id, **OF_THE_SEED, step=4)[0] == 404
    for asked in (
        {},
        {"without": ""},
        {"without": 3},
        {"without": "x", "value": 1},
        {"value": None},
        {"value": 1, "more": 1},
    ):
        assert refusal(comfy, job_id, node_id="positive", input="seed", **asked)[0] == 400
    assert refusal(comfy, job_id, node_id=3, input="seed", value=1)[0] == 400
    assert refusal(comfy, job_id, **OF_THE_SEED, step=0)[0] == 400

    assert put(comfy, job_id, ("sampler", "cfg", 6.0))[0] == 200  # from the next evaluation
    comfy.open_gate("lens-refused", 4)
    comfy.verb(job_id, "step", {"count": 1})
    assert comfy.wait_for(job_id, "paused")["step"] == 4
    status, told = refusal(comfy, job_id, **OF_THE_SEED, step=3)
    assert status == 409 and "before the newest edit" in told
    assert looked(comfy, job_id, node_id="sampler", input="cfg", value=1.0)["maximum"] > 0

    own_loop = comfy.queue(loop("lens-loop"))
    comfy.wait_for(own_loop, "completed")
    assert refusal(comfy, own_loop, **OF_THE_SEED)[0] == 409


def test_a_lens_is_cancelled_and_errors_are_told(comfy: Comfy) -> None:
    job_id = start(comfy, "lens-cancel", pause_at_step=3)
    comfy.wait_for(job_id, "paused")
    blocking = start(comfy, "lens-blocks", "1")
    comfy.wait_at_gate("lens-blocks", 1)
    assert comfy.verb(job_id, "lens", OF_THE_SEED)[1]["state"] == "queued"
    assert refusal(comfy, job_id, **OF_THE_SEED)[0] == 409
    assert comfy.verb(job_id, "check")[0] == 409
    assert comfy.fetch(f"{PATH.format(job_id)}/picture")[0] == 404
    assert comfy.call("DELETE", PATH.format(job_id))[0] == 202
    assert over(comfy, job_id)["state"] == "cancelled"
    assert comfy.fetch(f"{PATH.format(job_id)}/picture")[0] == 404
    comfy.open_gate("lens-blocks", 1)
    comfy.wait_for(blocking, "completed")
    assert comfy.job(job_id)["state"] == "paused"
    failed = looked(comfy, job_id, node_id="probe", input="fail_at", value=4)
    assert failed["state"] == "failed" and "simulated failure" in failed["error"], failed
    assert comfy.job(job_id)["state"] == "paused"
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_what_comfyui_has_in_its_cache_is_asked_all_the_same(comfy: Comfy) -> None:
    job_id = start(comfy, "lens-cached", "4")
    pause_at(comfy, job_id, "lens-cached", 4)
    done = start(comfy, "lens-cached", "4", cfg=1.0)  # the very graph that the lens asks
    comfy.wait_for(done, "completed")
    lens = looked(comfy, job_id, node_id="sampler", input="cfg", value=1.0)
    assert lens["state"] == "done" and lens["maximum"] > 0, lens
