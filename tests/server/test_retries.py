"""A prompt that is sent again goes on from what a server computed of it before it died."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from test_control import expected, kinds, pause_at
from test_surviving import written


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Comfy]:
    server = Comfy(tmp_path).start()
    yield server
    server.stop()


def killed_at(comfy: Comfy, graph: graphs.Graph, key: str, gate: int) -> str:
    """The job of a server that dies while it asks for that evaluation, and starts again."""
    job_id = comfy.queue(graph)
    comfy.wait_at_gate(key, gate)
    written(comfy, job_id, gate - 1)
    comfy.kill()
    comfy.start()
    return job_id


def sent_again(comfy: Comfy, graph: graphs.Graph, key: str, gate: int = 0) -> tuple[dict[str, Any], int]:
    """The job at its end, and how many evaluations that took."""
    if gate:
        comfy.open_gate(key, gate)
    job = comfy.wait_for(comfy.queue(graph), "completed")
    return job, comfy.probe(key)["done"]


def test_the_same_prompt_computes_what_is_missing_and_no_other_does(mortal: Comfy) -> None:
    graph = graphs.base(key="retry", gates="10", steps=20, sampler="dpmpp_2m_sde")
    dead = killed_at(mortal, graph, "retry", 10)
    other = graphs.base(key="retry", gates="10", steps=20, sampler="dpmpp_2m_sde", cfg=4.1)
    mortal.open_gate("retry", 10)
    job, done = sent_again(mortal, other, "retry")
    assert job["retry_of"] is None and done == 20
    named = {**graph, "save": graphs.node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/x")}
    job, done = sent_again(mortal, named, "retry")  # what comes after the sampler may be otherwise
    assert job["retry_of"] == {"job_id": dead, "evaluations": 9, "server": None} and done == 20 + 11
    assert (job["step"], job["evaluations"], job["warnings"]) == (20, 20, [])
    assert "retry" in kinds(mortal, job["job_id"]) and "inputs_differ" not in kinds(mortal, job["job_id"])
    want = expected(mortal, steps=20, sampler="dpmpp_2m_sde")
    assert torch.equal(latent(mortal, job["job_id"]), want)
    left = mortal.until(lambda: (one := mortal.job(dead))["state"] == "aborted" and one, "the orphan to end")
    assert job["job_id"] in left["abort_reason"] and left["evaluations"] == 9


def test_what_a_person_paused_or_edited_is_left_alone(mortal: Comfy) -> None:
    graph = graphs.base(key="paused", gates="4", queue_policy="park")
    job_id = mortal.queue(graph)
    pause_at(mortal, job_id, "paused", 4)
    mortal.open_gate("paused", 4)
    job, done = sent_again(mortal, graph, "paused")  # on the same server: it is no orphan
    assert job["retry_of"] is None and mortal.job(job_id)["state"] == "paused"
    written(mortal, job_id, 3)
    mortal.kill()
    mortal.start()
    mortal.open_gate("paused", 4)
    job, done = sent_again(mortal, graph, "paused")
    assert (job["retry_of"], done, mortal.job(job_id)["state"]) == (None, 6, "paused")

    graph = graphs.base(key="edited", gates="4")
    dead = killed_at(mortal, graph, "edited", 4)
    wanted = {"sampler": {"cfg": 7.0}}
    assert mortal.call("PUT", f"/midrun/jobs/{dead}/params", wanted)[0] == 200
    job, done = sent_again(mortal, graph, "edited", 4)
    assert (job["retry_of"], done, mortal.job(dead)["step"]) == (None, 6, 3)


def test_two_at_once_both_end_right_and_the_setting_turns_it_off(mortal: Comfy) -> None:
    graph = graphs.base(key="twice", gates="4")
    killed_at(mortal, graph, "twice", 4)
    mortal.open_gate("twice", 4)
    other = {**graph, "save": graphs.node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/y")}
    first, second = mortal.queue(graph), mortal.queue(other)
    results = [latent(mortal, mortal.wait_for(one, "completed")["job_id"]) for one in (first, second)]
    want = expected(mortal)
    assert all(torch.equal(one, want) for one in results)
    assert mortal.probe("twice")["done"] == 3  # the second has its latent from ComfyUI's cache

    graph = graphs.base(key="off", gates="4")
    killed_at(mortal, graph, "off", 4)
    file = mortal.base / "user" / "default" / "comfy.settings.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"Midrun.RetryResumes": False}))
    job, done = sent_again(mortal, graph, "off", 4)
    assert job["retry_of"] is None and done == 6


def test_what_changed_without_a_word_in_the_prompt_begins_afresh(mortal: Comfy) -> None:
    """A node before the sampler answers otherwise: the prompt that is sent now is the truth."""
    graph = graphs.varying(graphs.base(key="new", gates="4"), "new")
    killed_at(mortal, graph, "new", 4)
    for gate in (4, "nudged"):
        mortal.open_gate("new", gate)
    job, done = sent_again(mortal, graph, "new")
    assert job["retry_of"] is None and done == 6 and job["evaluations"] == 6
    assert {"retry", "retry_dropped"} <= set(kinds(mortal, job["job_id"]))


def test_two_samplers_in_series_go_on_in_the_second(mortal: Comfy) -> None:
    graph = graphs.in_series(graphs.base(key="series", gates="9"))
    job_id = mortal.queue(graph)
    mortal.wait_at_gate("series", 9)
    mortal.until(lambda: mortal.job(job_id)["evaluations"] == 2, "the row")
    written(mortal, job_id, 2)
    mortal.kill()
    mortal.start()
    job, done = sent_again(mortal, graph, "series", 9)
    assert job["retry_of"]["evaluations"] >= 7 and job["node_id"] == "second"
    stock = graphs.in_series(graphs.base(watched=False))
    assert torch.equal(latent(mortal, job["job_id"]), latent(mortal, mortal.queue(stock)))
