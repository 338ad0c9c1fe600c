"""Bit-identical also where patches of the model remember something from one evaluation to the next.

With MIDRUN_FULL=1 every case with every sampler, in every way to stop and to go on; else a selection.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from graphs import Graph
from harness import Comfy
from resuming import check, interruption_points, latent

FULL = bool(os.environ.get("MIDRUN_FULL"))
SAMPLERS = ("euler", "dpmpp_2m_sde", "heun", "uni_pc")
STEPS = 8
OF_COMFYUI = ("EasyCache", "LazyCache", "APG")  # not every ComfyUI has them
CASES: dict[str, Callable[[Graph], Graph]] = {
    name: partial(graphs.remembering, patch=name) for name in (*OF_COMFYUI, "closure", "attribute", "holder")
}
CASES |= {
    f"{count} keyframes, {guaranteed} guaranteed": partial(
        graphs.keyframed, count=count, guarantee_steps=guaranteed
    )
    for count in (1, 2, 3, 5)
    for guaranteed in (0, 1, 3)
}
CASES["ControlNet in a range"] = partial(graphs.controlled, end=0.5)
CHOSEN = ("EasyCache", "closure", "attribute", "holder", "3 keyframes, 1 guaranteed")
Case = tuple[str, str]  # (name, sampler)


def made(watched: bool, key: str, gates: str, policy: str, *, case: str, sampler: str) -> Graph:
    graph = graphs.base(sampler, steps=STEPS, watched=watched, key=key, gates=gates, queue_policy=policy)
    return CASES[case](graph)


def is_there(comfy: Comfy, case: str) -> bool:
    return case not in OF_COMFYUI or bool(comfy.get(f"/object_info/{case}"))


def skip_what_is_not_there(comfy: Comfy, case: str) -> None:
    if not is_there(comfy, case):
        pytest.skip(f"this ComfyUI has no {case}")


def rewind(comfy: Comfy, job_id: str, step: int) -> None:
    """Its last run may be about to leave ComfyUI."""
    comfy.until(lambda: comfy.verb(job_id, "rewind", {"step": step})[0] == 200, "the run to leave")


def samplers(number: int) -> tuple[str, ...]:
    return SAMPLERS if FULL else (SAMPLERS[number % len(SAMPLERS)],)


def policies(number: int) -> tuple[str, ...]:
    return ("hold", "park") if FULL else ("hold", "park")[number // 4 % 2 :][:1]


@pytest.mark.timeout(1200 if FULL else 300)
@pytest.mark.parametrize("case", CASES)
def test_what_patches_remember_is_there_after_a_pause(comfy: Comfy, case: str) -> None:
    skip_what_is_not_there(comfy, case)
    number = list(CASES).index(case)
    faults = {
        sampler: check(
            comfy, f"{case}-{sampler}", partial(made, case=case, sampler=sampler), policies(number)
        )
        for sampler in samplers(number)
    }
    assert {name: fault for name, fault in faults.items() if fault} == {}


@pytest.mark.timeout(1200 if FULL else 300)
@pytest.mark.parametrize("case", CASES if FULL else CHOSEN)
def test_what_patches_remember_is_there_after_a_rewind_and_in_a_fork(comfy: Comfy, case: str) -> None:
    skip_what_is_not_there(comfy, case)
    for sampler in samplers(list(CASES).index(case)):
        key = f"back-{case}-{sampler}"
        expected = latent(comfy, comfy.queue(made(False, key, "", "auto", case=case, sampler=sampler)))
        job_id = comfy.queue(made(True, key, "", "auto", case=case, sampler=sampler))
        comfy.wait_for(job_id, "completed")
        for step in interruption_points(STEPS):
            rewind(comfy, job_id, step)
            assert comfy.job(job_id)["exactness"]["kind"] == "exact"
            status, told = comfy.verb(job_id, "fork", {"step": step})
            assert status == 202, told
            assert comfy.verb(job_id, "resume")[0] == 202
            for one in (job_id, told["jobs"][0]["job_id"]):
                job = comfy.wait_for(one, "completed")
                assert torch.equal(latent(comfy, job["prompt_id"]), expected), (case, sampler, step, one)
                assert job["warnings"] == [] and job["exactness"]["kind"] == "exact"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Comfy]:
    """A server to be killed."""
    server = Comfy(tmp_path).start()
    yield server
    server.stop()


@pytest.mark.timeout(1200 if FULL else 300)
@pytest.mark.parametrize("only", SAMPLERS if FULL else ("a selection",))
def test_what_patches_remember_survives_kill_9(own: Comfy, only: str) -> None:
    cases = [case for case in (CASES if FULL else CHOSEN) if is_there(own, case)]
    jobs: list[tuple[str, str, int, str]] = []
    expected: dict[str, torch.Tensor] = {}
    for number, case in enumerate(cases):
        for sampler in (only,) if FULL else samplers(number):
            name = f"{case}-{sampler}"
            prompt_id = own.queue(made(False, name, "", "auto", case=case, sampler=sampler))
            expected[name] = latent(own, prompt_id)
            for point in interruption_points(own.probe(name)["done"])[:: 1 if FULL else 2]:
                key = f"{name}-{point}"
                job_id = own.queue(made(True, key, str(point), "park", case=case, sampler=sampler))
                own.wait_at_gate(key, point)
                assert own.verb(job_id, "pause", query="?wait=30")[1]["state"] == "paused"
                jobs.append((job_id, key, point, name))
    expected["running"] = latent(own, own.queue(made(False, "", "", "auto", case=cases[-1], sampler="euler")))
    running = own.queue(made(True, "running", "5", "park", case=cases[-1], sampler="euler"))
    own.wait_at_gate("running", 5)
    jobs.append((running, "running", 5, "running"))
    own.kill()
    own.start()
    for job_id, key, point, name in jobs:
        own.open_gate(key, point)
        assert own.verb(job_id, "resume")[0] == 202
        job = own.wait_for(job_id, "completed")
        assert torch.equal(latent(own, job["prompt_id"]), expected[name]), key
        assert job["warnings"] == []


def opaque(watched: bool, key: str, gates: str, policy: str, patch: str = "opaque") -> Graph:
    graph = graphs.base(steps=STEPS, watched=watched, key=key, gates=gates, queue_policy=policy)
    return graphs.remembering(graph, patch)


def codes(job: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in job["warnings"]}


@pytest.mark.parametrize("policy", ["hold", "park"])
def test_what_cannot_be_stored_is_said_beforehand_and_recomputed(comfy: Comfy, policy: str) -> None:
    key = f"opaque-{policy}"
    expected = latent(comfy, comfy.queue(opaque(False, key, "", "auto")))
    before = comfy.probe(key)["done"]
    job_id = comfy.queue(opaque(True, key, f"{before + 5}", policy))
    comfy.wait_at_gate(key, before + 5)
    paused = comfy.verb(job_id, "pause", query="?wait=30")[1]
    told = paused["exactness"]
    assert (told["kind"], told["evaluations"]) == ("recomputes", 4) and told["seconds"] > 0
    assert "recomputes" in codes(paused)
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected)
    assert comfy.probe(key)["done"] == before + 4 + STEPS  # those on record once more
    events = [event["kind"] for event in comfy.get(f"/midrun/jobs/{job_id}/events")["events"]]
    assert "recomputes" in events and "inexact" not in codes(job)


def test_what_can_be_neither_stored_nor_made_anew_is_never_silently_inexact(comfy: Comfy) -> None:
    job_id = comfy.queue(opaque(True, "worn", "5", "hold", "worn"))
    comfy.wait_at_gate("worn", 5)
    assert "recomputes" in codes(comfy.verb(job_id, "pause", query="?wait=30")[1])
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert {"inexact", "not_as_recorded"} <= codes(job)


def with_settings(comfy: Comfy, **settings: Any) -> None:
    for name, value in settings.items():
        comfy.post(f"/settings/Midrun.{name}", value)


def test_the_quick_way_is_inexact_and_says_so(comfy: Comfy) -> None:
    with_settings(comfy, QuickResume=True)
    try:
        job_id = comfy.queue(opaque(True, "quick", "5", "park"))
        comfy.wait_at_gate("quick", 5)
        paused = comfy.verb(job_id, "pause", query="?wait=30")[1]
        assert paused["exactness"]["kind"] == "inexact" and paused["exactness"]["because"]
        assert comfy.verb(job_id, "resume")[0] == 202
        comfy.wait_for(job_id, "completed")
        assert comfy.probe("quick")["done"] == STEPS
    finally:
        with_settings(comfy, QuickResume=False)


def test_only_the_newest_is_kept_beyond_the_limit_and_an_older_one_is_recomputed(comfy: Comfy) -> None:
    with_settings(comfy, MemorySize=0)
    try:
        graph = partial(made, case="holder", sampler="euler")
        fault = check(comfy, "limit", graph)
        assert fault is None
        expected = latent(comfy, comfy.queue(graph(False, "limit", "", "auto")))
        job_id = comfy.queue(graph(True, "limited", "", "auto"))
        comfy.wait_for(job_id, "completed")
        rewind(comfy, job_id, 3)
        assert comfy.job(job_id)["exactness"]["kind"] == "recomputes"
        assert comfy.job(job_id)["exactness"]["evaluations"] == 3
        assert comfy.verb(job_id, "resume")[0] == 202
        job = comfy.wait_for(job_id, "completed")
        assert torch.equal(latent(comfy, job["prompt_id"]), expected)
    finally:
        with_settings(comfy, MemorySize=2)


def test_the_samplers_of_a_job_share_the_limit(comfy: Comfy) -> None:
    first, second = kept_by_two(comfy, "shared-before")
    assert len(first) == len(second) == STEPS + 1
    with_settings(comfy, MemorySize=1.2 * sum(first) / 1000**3)
    try:
        first, second = kept_by_two(comfy, "shared")
        assert (len(first), len(second)) == (STEPS + 1, 3), "the second has the beginning and the newest two"
    finally:
        with_settings(comfy, MemorySize=2)


def kept_by_two(comfy: Comfy, key: str) -> list[list[int]]:
    """Bytes of each memory of two samplers of one job, one behind the other."""
    graph = made(True, key, "", "auto", case="holder", sampler="euler")
    given = {**graph["sampler"]["inputs"], "latent_image": ["sampler", 0]}
    graph["then"] = graphs.node("MidrunKSampler", **given)
    graph["save"] = graphs.node("SaveLatent", samples=["then", 0], filename_prefix="latents/test")
    job_id = comfy.queue(graph)
    comfy.wait_for(job_id, "completed")
    recording = comfy.base / "user" / "__midrun" / "recordings" / job_id
    newest = f"*/{STEPS - 1:06}.safetensors"  # written after what was remembered then
    comfy.until(lambda: len([*recording.glob(newest)]) == 2, "all of it to be written")
    places = sorted(recording.glob("*"), key=lambda place: place.stat().st_mtime)
    return [[file.stat().st_size for file in place.glob("memory-*")] for place in places]


@pytest.mark.parametrize("case", ["holder", "3 keyframes, 1 guaranteed"])
def test_a_resume_is_verified_where_the_user_wants_that(comfy: Comfy, case: str) -> None:
    with_settings(comfy, VerifyResumes=True)
    try:
        key = f"verify-{case}"
        make = partial(made, case=case, sampler="euler")
        expected = latent(comfy, comfy.queue(make(False, "", "", "auto")))
        job_id = comfy.queue(make(True, key, "5", "park"))
        comfy.wait_at_gate(key, 5)
        assert comfy.verb(job_id, "pause", query="?wait=30")[1]["state"] == "paused"
        assert comfy.verb(job_id, "resume")[0] == 202
        job = comfy.wait_for(job_id, "completed")
        assert torch.equal(latent(comfy, job["prompt_id"]), expected)
        events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
        (verified,) = [event["detail"] for event in events if event["kind"] == "verified"]
        assert (verified["evaluation"], verified["difference"]) == (4, 0.0) and verified["largest"] > 0
        assert comfy.probe(key)["done"] == STEPS + 1
    finally:
        with_settings(comfy, VerifyResumes=False)


def test_a_model_without_a_patch_is_not_looked_at(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="plain"))
    job = comfy.wait_for(job_id, "completed")
    assert job["exactness"] == {"kind": "exact", "evaluations": 0, "seconds": None, "because": None}
    kept = [file.name for file in comfy.base.glob(f"user/__midrun/recordings/{job_id}/*/memory-*")]
    assert kept == []
