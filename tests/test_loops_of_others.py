"""Nodes with sampling loops of their own: stopped anywhere, and gone on with, as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from resuming import latent
from test_control import pause_at
from test_surviving import warnings

import graphs
from harness import Comfy

STEPS, CALLS = 4, 8  # two calls a step


def loop(
    key: str,
    *,
    watched: bool = True,
    gates: str = "",
    fail_at: int = 0,
    answers: str = "tensor",
    draws: bool = False,
    between: bool = False,
    **inputs: Any,
) -> graphs.Graph:
    """A loop with a network of its own; `between`: with a node on the way that passes on the model."""
    model = graphs.node(
        "TestLoopModel", seed=1, key=key, gates=gates, fail_at=fail_at, answers=answers, draws=draws
    )
    attach = graphs.node("MidrunAttach", model=["model", 0])
    source = "attach" if watched else "model"
    more = {"scale": graphs.node("TestLoopScale", model=[source, 0])} if between else {}
    given = {"words": 0.1, "seed": 3, "steps": STEPS, "cfg": 2.0, "how": "plain", "key": key} | inputs
    return {
        "model": model,
        **({"attach": attach} if watched else {}),
        **more,
        "sampler": graphs.node("TestLoop", loop_model=["scale" if between else source, 0], **given),
        "save": graphs.node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/loop"),
    }


def disturbed(comfy: Comfy, seed: int) -> None:
    """The global generators are elsewhere, as after any other prompt."""
    graph = graphs.base(watched=False, steps=1, seed=seed)
    comfy.wait_ended(comfy.queue(graph))


def expected(comfy: Comfy, key: str, **given: Any) -> torch.Tensor:
    """What a watched run comes to that is not stopped: the loop draws from global generators."""
    job_id = comfy.queue(loop(key, **given))
    comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS
    return latent(comfy, job_id)


def seam_is_torchs(comfy: Comfy) -> bool:
    return comfy.get("/midrun_test/seam")["torchs"]


@pytest.mark.parametrize("answers", ["tensor", "dataclass", "nested"])
def test_it_ends_as_it_would_have_wherever_it_is_stopped(comfy: Comfy, answers: str) -> None:
    key = f"loop-{answers}"
    job_id = comfy.queue(loop(key, gates="1,3,4,8", answers=answers, draws=answers == "nested"))
    for number in (1, 3, 4, 8):
        comfy.wait_at_gate(key, number)
        status, job = comfy.verb(job_id, "pause", query="?wait=30")
        assert (status, job["state"], job["held"]) == (200, "paused", False), job
        assert (job["evaluations"], job["step"]) == (number - 1, (number - 1) // 2)
        assert seam_is_torchs(comfy)
        disturbed(comfy, number)
        assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS, "only what was missing was asked"
    assert (job["step"], job["total_steps"], job["evaluations"]) == (STEPS, STEPS, CALLS)
    again = comfy.verb(job_id, "rewind", {"step": 0})
    assert again[0] == 200, again
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == 2 * CALLS
    first, second = (latent(comfy, prompt_id) for prompt_id in job["prompt_ids"][-2:])
    assert torch.equal(first, second) and seam_is_torchs(comfy)
