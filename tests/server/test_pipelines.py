"""diffusers' own pipelines and schedulers, in a node of another pack: stopped, and gone on with."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load

import graphs
from harness import Comfy
from resuming import interruption_points, latent
from test_loops_of_others import seam_is_torchs

DIFFUSERS = os.environ.get("MIDRUN_DIFFUSERS")
pytestmark = pytest.mark.skipif(DIFFUSERS is None, reason="`python dev.py test` fetches diffusers")
STEPS = 6
SD15_SCALE = 0.18215  # of the latents of the pipeline's VAE
SCHEDULERS = ("unipc", "dpm++", "dpm++ sde", "euler a", "heun", "pndm", "lcm")
CASES = [("unet", name) for name in SCHEDULERS] + [
    ("dit", "unipc"),
    ("dit", "euler a"),
    ("compiled", "unipc"),
]


@pytest.fixture(scope="module")
def pipes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server with diffusers."""
    server = Comfy(tmp_path_factory.mktemp("pipes"), environ={"PYTHONPATH": str(DIFFUSERS)}).start()
    yield server
    server.stop()


def graph(
    kind: str, scheduler: str, key: str, watched: bool = True, gates: str = "", **more: float
) -> graphs.Graph:
    compiled = kind == "compiled"
    kind = "unet" if compiled else kind
    load = graphs.node("TestPipeline", kind=kind, key=key, gates=gates, compiled=compiled)
    sample = {"scheduler": scheduler, "words": 1.0, "seed": 3, "steps": STEPS}
    sample |= {"guidance_scale": 3.0, "rescale": 0.0} | more
    attach = {"attach": graphs.node("MidrunAttach", model=["load", 0])} if watched else {}
    source = "attach" if watched else "load"
    return {
        "load": load,
        **attach,
        "sampler": graphs.node("TestPipelineSampler", pipeline=[source, 0], **sample),
        "save": graphs.node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/pipe"),
    }


@pytest.mark.parametrize(("kind", "scheduler"), CASES)
def test_a_pipeline_ends_bit_identically_wherever_it_is_stopped(
    pipes: Comfy, kind: str, scheduler: str
) -> None:
    key = f"{kind}-{scheduler}"
    stock = pipes.queue(graph(kind, scheduler, f"{key}-stock", watched=False))
    expected, calls = latent(pipes, stock), pipes.probe(f"{key}-stock")["done"]
    compiled = kind == "compiled"  # what torch.compile made is not stopped inside: its answer is kept
    points = [point for point in interruption_points(calls) if not compiled or point < calls]
    job_id = pipes.queue(graph(kind, scheduler, key, gates=",".join(str(point) for point in points)))
    for point in points:
        pipes.wait_at_gate(key, point)
        status, job = pipes.verb(job_id, "pause", query="?wait=30")
        assert (status, job["state"], job["evaluations"]) == (200, "paused", point - 1 + compiled), job
        assert seam_is_torchs(pipes)
        pipes.verb(job_id, "resume")
    job = pipes.wait_for(job_id, "completed")
    assert torch.equal(latent(pipes, job["prompt_id"]), expected)
    assert pipes.probe(key)["done"] == calls


@pytest.mark.parametrize("scheduler", ["unipc", "ddim v", "unipc flow"])
def test_its_steps_are_shown_as_far_as_its_scheduler_tells(pipes: Comfy, scheduler: str) -> None:
    """It shows none. What a solver comes to is the `denoised` of its last step, guided."""
    key = f"shown-{scheduler}"
    job_id = pipes.queue(graph("unet", scheduler, key, gates="3"))
    pipes.wait_at_gate(key, 3)
    pipes.verb(job_id, "pause", query="?wait=30")
    pipes.verb(job_id, "resume")
    job = pipes.wait_for(job_id, "completed")
    assert job["warnings"] == [] and job["step"] == STEPS
    for step in range(1, STEPS + 1):
        assert pipes.fetch(f"/midrun/jobs/{job_id}/preview?step={step}")[0] == 200
    shown = pipes.get(f"/midrun/jobs/{job_id}/previews")["previews"]
    assert {one["step"]: one["method"] for one in shown} == dict.fromkeys(range(1, STEPS + 1), "latent2rgb")
    latents = [latent_of_step(pipes, job_id, step) for step in range(1, STEPS + 1)]
    norms = [float(one.norm()) for one in latents]
    assert len(set(norms)) == STEPS
    samples = latent(pipes, job["prompt_id"]) / SD15_SCALE
    assert torch.allclose(latents[-1], samples, rtol=1e-3, atol=1e-3 * float(samples.abs().max()))


def test_what_is_not_known_of_its_steps_is_said(pipes: Comfy) -> None:
    """The cfg comes from another node; a network counts the time the other way."""
    linked = graph("unet", "unipc", "shown-linked")
    linked["number"] = graphs.node("PrimitiveFloat", value=3.0)
    linked["sampler"]["inputs"]["guidance_scale"] = ["number", 0]
    job_id = pipes.queue(linked)
    job = pipes.wait_for(job_id, "completed")
    assert [one["code"] for one in job["warnings"]] == ["steps_shown_unguided"]
    assert latent_of_step(pipes, job_id, STEPS).isfinite().all()
    job_id = pipes.queue(graph("dit", "unipc", "shown-dit"))
    assert pipes.wait_for(job_id, "completed")["warnings"] == []
    samples = latent(pipes, job_id)
    assert torch.allclose(latent_of_step(pipes, job_id, STEPS), samples, rtol=1e-3, atol=1e-3)
    job_id = pipes.queue(graph("dit", "backwards", "shown-backwards"))
    job = pipes.wait_for(job_id, "completed")
    assert [one["code"] for one in job["warnings"]] == ["steps_not_shown"]
    assert pipes.fetch(f"/midrun/jobs/{job_id}/latent?step={STEPS}")[0] == 404


def latent_of_step(comfy: Comfy, job_id: str, step: int) -> torch.Tensor:
    status, _, content = comfy.fetch(f"/midrun/jobs/{job_id}/latent?step={step}")
    assert status == 200
    return load(content)["latent_tensor"]


def test_one_whose_solver_seeds_itself_goes_on_as_it_began(pipes: Comfy) -> None:
    """DPMSolverSDE draws its seed from the global generator, so two plain runs differ."""
    pytest.importorskip("torchsde")
    key = "self-seeded"
    job_id = pipes.queue(graph("unet", "dpm sde", key))
    job = pipes.wait_for(job_id, "completed")
    whole, calls = latent(pipes, job_id), pipes.probe(key)["done"]
    for step in (1, job["step"] // 2):
        assert pipes.verb(job_id, "rewind", {"step": step})[0] == 200
        pipes.verb(job_id, "resume")
        job = pipes.wait_for(job_id, "completed")
        assert torch.equal(latent(pipes, job["prompt_id"]), whole)
    assert calls < pipes.probe(key)["done"] < 3 * calls


def test_cancel_works_in_a_pipeline_that_never_looks_for_it(pipes: Comfy) -> None:
    key = "pipe-cancelled"
    job_id = pipes.queue(graph("unet", "unipc", key, gates="2"))
    pipes.wait_at_gate(key, 2)
    pipes.post("/interrupt")
    pipes.wait_for(job_id, "aborted")
    pipes.wait_ended(job_id)
    assert pipes.probe(key)["done"] == 1 and seam_is_torchs(pipes)


def test_words_that_are_edited_hold_from_the_next_evaluation_on(pipes: Comfy) -> None:
    key = "pipe-words"
    job_id = pipes.queue(graph("unet", "unipc", key, gates="4"))
    pipes.wait_at_gate(key, 4)
    pipes.verb(job_id, "pause", query="?wait=30")
    status, told = pipes.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"words": -2.0}})
    assert status == 200, told
    pipes.verb(job_id, "resume")
    job = pipes.wait_for(job_id, "completed")
    first = latent(pipes, job["prompt_id"])
    stock = pipes.queue(graph("unet", "unipc", key + "-stock", watched=False))
    assert not torch.equal(first, latent(pipes, stock)) and pipes.probe(key)["done"] == STEPS
    params = pipes.get(f"/midrun/jobs/{job_id}/params")["nodes"]["sampler"]["inputs"]
    assert {name: params[name]["verdict"] for name in ("words", "seed", "steps", "scheduler")} == {
        "words": "consumed",
        "seed": "consumed",
        "steps": "consumed",
        "scheduler": "consumed",
    }, "it is done"


def test_a_guidance_scale_that_is_edited_holds_from_the_next_step_on(pipes: Comfy) -> None:
    """The pipeline asks for uncond and cond at once: a done step is replayed as what it was guided to."""
    key, edits = "pipe-scale", ((3, 7.0), (5, 1.5))
    for scheduler in ("unipc", "euler a", "dpm++ sde"):
        oracle = graph("unet", scheduler, f"{key}-oracle", False, other_scale=7.0, from_step=2)
        expected = latent(pipes, pipes.queue(oracle))
        name = f"{key}-{scheduler}"
        job_id = pipes.queue(graph("unet", scheduler, name, gates="3"))
        edited(pipes, job_id, name, 3, 7.0)
        job = pipes.wait_for(job_id, "completed")
        assert torch.equal(latent(pipes, job["prompt_id"]), expected)
        assert pipes.probe(name)["done"] == STEPS
    job_id = pipes.queue(graph("unet", "unipc", key, gates="3,5"))
    for call, scale in edits:
        edited(pipes, job_id, key, call, scale)
    pipes.wait_for(job_id, "completed")
    assert pipes.probe(key)["done"] == STEPS


def test_one_that_guides_in_a_way_of_its_own_refuses_another_scale(pipes: Comfy) -> None:
    key = "pipe-rescaled"
    job_id = pipes.queue(graph("unet", "unipc", key, gates="4", rescale=0.7))
    edited(pipes, job_id, key, 4, 7.0)
    job = pipes.until(lambda: (found := pipes.job(job_id))["error"] and found, "the job to be set back")
    assert (job["state"], job["evaluations"]) == ("paused", 3) and "otherwise" in job["error"]["message"]


def edited(comfy: Comfy, job_id: str, key: str, call: int, scale: float) -> None:
    """While that call is being answered."""
    comfy.wait_at_gate(key, call)
    comfy.verb(job_id, "pause", query="?wait=30")
    status, told = comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"guidance_scale": scale}})
    assert status == 200, told
    comfy.verb(job_id, "resume")
