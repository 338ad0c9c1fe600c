"""A schedule that is edited to end where the job stands: the node returns what there is. On a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

import graphs
from harness import Comfy
from resuming import latent
from test_control import pause_at
from test_editing import put
from test_segments import assert_same, resumed
from test_timetravel import rewind

STEPS, HERE = 8, 3
OVER = {"end_at_step": HERE, "return_with_leftover_noise": "enable"}


def advanced(sampler: str = "euler", kind: str = "EPS", **inputs: Any) -> graphs.Graph:
    given = graphs.base(sampler, watched=False, steps=STEPS, kind=kind)
    return graphs.advanced(given, **inputs)


def in_series(first: dict[str, Any]) -> graphs.Graph:
    """The second goes on where the first handed over, as ComfyUI's own examples do it."""
    graph = advanced(**first)
    rest = {"add_noise": "disable", "start_at_step": HERE, "latent_image": ["sampler", 0], "cfg": 2.0}
    graph["second"] = graphs.node("KSamplerAdvanced", **graph["sampler"]["inputs"] | rest)
    graph["second"]["inputs"] |= {"end_at_step": 10000, "return_with_leftover_noise": "disable"}
    graph["save"]["inputs"]["samples"] = ["second", 0]
    return graph


def watched(graph: graphs.Graph, key: str, gates: str) -> graphs.Graph:
    graph["probe"]["inputs"] |= {"key": key, "gates": gates}
    graph = graphs.behind_attach(graph)
    if "second" in graph:
        graph["second"]["inputs"]["model"] = ["attach", 0]
    return graph


def stopped(comfy: Comfy, graph: graphs.Graph, key: str, done: int = HERE) -> str:
    """A job of that graph that was paused after so many evaluations."""
    job_id = comfy.queue(watched(graph, key, str(done + 1)))
    pause_at(comfy, job_id, key, done + 1)
    return job_id


def end_here(comfy: Comfy, job_id: str, **inputs: Any) -> None:
    status, told = comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": OVER | inputs})
    assert status == 200, told


@pytest.mark.parametrize(
    ("sampler", "kind", "done"),
    [
        ("euler", "EPS", HERE),
        ("euler", "FLOW", HERE),
        ("dpmpp_2m", "V_PREDICTION", HERE),
        ("euler_ancestral", "EPS", HERE),
        ("heun", "EPS", 2 * HERE),
    ],
)
def test_a_sampling_ends_where_it_stands_with_the_noise_that_is_left(
    comfy: Comfy, sampler: str, kind: str, done: int
) -> None:
    key = f"over-{sampler}-{kind}"
    job_id = stopped(comfy, advanced(sampler, kind), key, done)
    end_here(comfy, job_id)
    job, got = resumed(comfy, job_id)
    assert torch.equal(got, latent(comfy, comfy.queue(advanced(sampler, kind, **OVER))))
    assert (job["step"], job["total_steps"]) == (HERE, HERE)
    assert comfy.probe(key)["done"] == done, "nothing more was asked of the model"


def test_a_sampling_ends_where_it_stands_without_noise(comfy: Comfy) -> None:
    job_id = stopped(comfy, advanced(), "over-clean")
    end_here(comfy, job_id, return_with_leftover_noise="disable")
    job, got = resumed(comfy, job_id)
    assert_same(got, latent(comfy, comfy.queue(advanced(end_at_step=HERE))))
    assert (job["step"], comfy.probe("over-clean")["done"]) == (HERE, HERE)


def handed_over(server: Comfy, key: str, crash: bool) -> torch.Tensor:
    """The second is paused, perhaps killed, and goes on from what the first handed over."""
    graph = watched(in_series({}), key, f"{HERE + 1},{HERE + 3}")
    job_id = server.queue(graph)
    pause_at(server, job_id, key, HERE + 1)
    end_here(server, job_id)
    assert server.verb(job_id, "resume")[0] == 202
    job = pause_at(server, job_id, key, HERE + 3)
    assert job["node_id"] == "second" and job["step"] > 0
    status, told = put(server, job_id, ("sampler", "end_at_step", 6))
    assert status == 422 and told["error"]["rejected"][0]["rewind"] == {"node_id": "sampler", "step": 0}
    if crash:
        server.kill()
        server.start()
    job, got = resumed(server, job_id)
    assert server.probe(key)["done"] <= STEPS
    return got


def test_what_was_handed_over_survives_a_crash(comfy: Comfy, tmp_path: Path) -> None:
    want = latent(comfy, comfy.queue(in_series(OVER)))
    assert torch.equal(handed_over(comfy, "handed", crash=False), want)
    server = Comfy(tmp_path).start()
    try:
        assert torch.equal(handed_over(server, "handed", crash=True), want)
    finally:
        server.stop()


def test_an_end_is_rewound_and_taken_back(comfy: Comfy) -> None:
    whole = latent(comfy, comfy.queue(advanced("dpmpp_2m")))
    over = latent(comfy, comfy.queue(advanced("dpmpp_2m", **OVER)))
    job_id = stopped(comfy, advanced("dpmpp_2m"), "over-back")
    end_here(comfy, job_id)
    assert torch.equal(resumed(comfy, job_id)[1], over)
    job = rewind(comfy, job_id, HERE)  # there it is in force, and its end is on record
    assert (job["step"], job["total_steps"]) == (HERE, HERE)
    assert torch.equal(resumed(comfy, job_id)[1], over)
    job = rewind(comfy, job_id, HERE - 1)  # before it, it is not
    assert (job["step"], job["total_steps"], job["modified_params"]) == (HERE - 1, STEPS, {})
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}/rewind")[0] == 200
    assert torch.equal(resumed(comfy, job_id)[1], over)
    rewind(comfy, job_id, HERE - 1)
    assert torch.equal(resumed(comfy, job_id)[1], whole)
    assert comfy.probe("over-back")["done"] == HERE + STEPS - HERE + 1


def test_a_sampling_that_was_ended_goes_on_with_another_schedule(comfy: Comfy) -> None:
    job_id = stopped(comfy, advanced(), "over-on")
    end_here(comfy, job_id)
    resumed(comfy, job_id)
    rewind(comfy, job_id, HERE)
    assert put(comfy, job_id, ("sampler", "cfg", 1.5))[0] == 422
    for name in ("end_at_step", "return_with_leftover_noise"):
        assert comfy.call("DELETE", f"/midrun/jobs/{job_id}/params/sampler/{name}")[0] == 200
    job, got = resumed(comfy, job_id)
    assert_same(got, latent(comfy, comfy.queue(advanced())))
    assert (job["step"], job["total_steps"], comfy.probe("over-on")["done"]) == (STEPS, STEPS, STEPS)


def test_a_denoise_with_which_no_step_is_left_ends_the_sampling(comfy: Comfy) -> None:
    graph = graphs.base(watched=False, steps=STEPS, key="over-denoise", gates=str(HERE + 1))
    job_id = comfy.queue(graphs.behind_attach(graphs.custom(graph)))
    pause_at(comfy, job_id, "over-denoise", HERE + 1)
    edits = {"schedule": {"steps": HERE, "denoise": 0.9}}
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", edits)[0] == 200
    _, _, denoised = comfy.fetch(f"/midrun/jobs/{job_id}/latent?step={HERE}")
    job, got = resumed(comfy, job_id)
    assert_same(got, load(denoised)["latent_tensor"])
    assert (job["step"], job["total_steps"], comfy.probe("over-denoise")["done"]) == (HERE, HERE, HERE)
