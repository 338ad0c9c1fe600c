"""Nodes with sampling loops of their own: stopped anywhere, and gone on with, as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from test_control import pause_at
from test_surviving import warnings, written

STEPS, CALLS = 4, 8  # two calls a step


def loop(
    key: str,
    *,
    watched: bool = True,
    gates: str = "",
    fail_at: int = 0,
    nan_at: int = 0,
    answers: str = "tensor",
    draws: bool = False,
    keeps: str = "nothing",
    two: bool = False,
    between: bool = False,
    **inputs: Any,
) -> graphs.Graph:
    """A loop with a network of its own, or `two`; `between`: with a node on the way that passes it on."""
    of_network = {"answers": answers, "draws": draws, "keeps": keeps, "two": two}
    of_network |= {"fail_at": fail_at, "nan_at": nan_at}
    model = graphs.node("TestLoopModel", seed=1, key=key, gates=gates, **of_network)
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


def whole_again(comfy: Comfy, job_id: str, key: str) -> torch.Tensor:
    """What it comes to without a stop, from the same generators: the loop draws from the global ones."""
    done = comfy.probe(key)["done"]
    assert comfy.verb(job_id, "rewind", {"step": 0})[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == done + CALLS
    return latent(comfy, job["prompt_id"])


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
    assert torch.equal(latent(comfy, job["prompt_id"]), whole_again(comfy, job_id, key))
    assert seam_is_torchs(comfy)


def test_it_survives_a_crash(tmp_path: Path) -> None:
    key, number = "loop-crash", 4
    comfy = Comfy(tmp_path).start()
    try:
        job_id = comfy.queue(loop(key, gates=str(number)))
        comfy.wait_at_gate(key, number)
        written(comfy, job_id, number - 1)
        comfy.kill()
        comfy.start()
        job = comfy.job(job_id)
        assert (job["state"], job["evaluations"], job["step"]) == ("paused", number - 1, 1)
        comfy.verb(job_id, "resume")
        comfy.open_gate(key, number)
        job = comfy.wait_for(job_id, "completed")
        assert comfy.probe(key)["done"] == CALLS - (number - 1)
        assert torch.equal(latent(comfy, job["prompt_id"]), whole_again(comfy, job_id, key))
    finally:
        comfy.stop()


def test_a_failure_of_the_network_costs_one_evaluation(comfy: Comfy) -> None:
    key = "loop-fails"
    job_id = comfy.queue(loop(key, fail_at=6))
    job = comfy.wait_for(job_id, "failed")
    assert job["error"]["message"].startswith("simulated") and job["evaluations"] == 5
    comfy.until(lambda: seam_is_torchs(comfy), "torch's own call")
    disturbed(comfy, 6)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS
    assert torch.equal(latent(comfy, job["prompt_id"]), whole_again(comfy, job_id, key))


def test_a_failure_elsewhere_in_the_node_costs_none(comfy: Comfy) -> None:
    key = "loop-fails-later"
    job_id = comfy.queue(loop(key, how="fails later"))
    comfy.wait_for(job_id, "failed")
    comfy.until(lambda: seam_is_torchs(comfy), "torch's own call")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS
    assert torch.equal(latent(comfy, job["prompt_id"]), whole_again(comfy, job_id, key))


@pytest.mark.parametrize("nan_at", [1, 6, 8])
def test_a_nan_pauses_it_before_the_loop_goes_on_with_it(comfy: Comfy, nan_at: int) -> None:
    key = f"loop-nan-{nan_at}"
    job_id = comfy.queue(loop(key, nan_at=nan_at, how="strict", draws=True))
    job = comfy.wait_for(job_id, "paused")
    stands = job["pause_reason"], job["evaluations"], job["step"], job["error"]
    assert stands == ("nan", nan_at - 1, (nan_at - 1) // 2, None)
    comfy.until(lambda: seam_is_torchs(comfy), "torch's own call")
    disturbed(comfy, 6)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS + 1
    assert torch.equal(latent(comfy, job["prompt_id"]), whole_again(comfy, job_id, key))


def test_cancel_ends_it_inside_an_evaluation(comfy: Comfy) -> None:
    key = "loop-cancelled"
    job_id = comfy.queue(loop(key, gates="3"))
    comfy.wait_at_gate(key, 3)
    comfy.post("/interrupt")
    job = comfy.wait_for(job_id, "aborted")
    assert comfy.probe(key)["done"] == 2 and job["evaluations"] == 2
    comfy.wait_ended(job_id)
    assert seam_is_torchs(comfy)


def test_it_is_rewound_stepped_and_forked(comfy: Comfy) -> None:
    key = "loop-travels"
    job_id = comfy.queue(loop(key))
    comfy.wait_for(job_id, "completed")
    whole = latent(comfy, job_id)
    status, job = comfy.verb(job_id, "rewind", {"step": 2})
    assert (status, job["step"], job["evaluations"]) == (200, 2, 4), job
    comfy.verb(job_id, "step", {"count": 1})
    job = comfy.wait_for(job_id, "paused")
    assert (job["step"], job["evaluations"], job["pause_reason"]) == (3, 6, "step")
    assert comfy.probe(key)["done"] == CALLS + 2
    (fork,) = comfy.verb(job_id, "fork", {"step": 1, "params": {"sampler": {"words": 0.3}}})[1]["jobs"]
    other = comfy.wait_for(fork["job_id"], "completed")
    assert not torch.equal(latent(comfy, other["prompt_id"]), whole)
    assert comfy.probe(key)["done"] == CALLS + 2 + 6
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), whole)
    assert comfy.probe(key)["done"] == CALLS + 2 + 6 + 2


def test_a_node_that_passes_the_model_on_is_no_obstacle(comfy: Comfy) -> None:
    key = "loop-between"
    job_id = comfy.queue(loop(key, gates="4", between=True))
    comfy.wait_at_gate(key, 4)
    job = comfy.verb(job_id, "pause", query="?wait=30")[1]
    assert (job["state"], job["display_node_id"], job["evaluations"]) == ("paused", "sampler", 3)
    comfy.verb(job_id, "abort")


def test_a_loop_on_another_thread_is_said_to_be_unwatched(comfy: Comfy) -> None:
    key = "loop-thread"
    job_id = comfy.queue(loop(key, how="thread"))
    job = comfy.wait_for(job_id, "completed")
    assert "thread of its own" in warnings(job)["loop_on_other_thread"]
    assert comfy.probe(key)["done"] == CALLS and job["evaluations"] == 0


def test_an_answer_that_cannot_be_kept_leaves_the_node_unwatched(comfy: Comfy) -> None:
    key = "loop-unkept"
    job_id = comfy.queue(loop(key, answers="unkept"))
    job = comfy.wait_for(job_id, "completed")
    assert "Unkept" in warnings(job)["answer_not_recordable"]
    assert comfy.probe(key)["done"] == CALLS and seam_is_torchs(comfy)


def test_an_edit_of_the_words_holds_from_the_next_call_on(comfy: Comfy) -> None:
    key = "loop-words"
    oracle = loop(key + "-oracle", watched=False, how="seeded", other_words=0.5, from_call=5)
    expected = latent(comfy, comfy.queue(oracle))
    job_id = comfy.queue(loop(key, gates="5", how="seeded"))
    pause_at(comfy, job_id, key, 5)
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"words": 0.5}})[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS
    assert torch.equal(latent(comfy, job["prompt_id"]), expected)
    assert not torch.equal(whole_again(comfy, job_id, key), expected), "rewound, it has the words of then"


def test_an_edited_cfg_holds_from_the_next_step_on(comfy: Comfy) -> None:
    key = "loop-cfg"
    oracle = loop(key + "-oracle", watched=False, how="seeded", other_cfg=5.0, from_call=5)
    expected = latent(comfy, comfy.queue(oracle))
    job_id = comfy.queue(loop(key, gates="5,7", how="seeded"))
    pause_at(comfy, job_id, key, 5)
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"cfg": 5.0}})[0] == 200
    comfy.verb(job_id, "resume")
    pause_at(comfy, job_id, key, 7)  # steps of both are replayed now
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected) and comfy.probe(key)["done"] == CALLS


def test_an_edit_that_changes_what_is_done_sets_the_job_back(comfy: Comfy) -> None:
    key, name = "loop-off", "cfg"
    job_id = comfy.queue(loop(key, gates="6", how="otherwise"))
    pause_at(comfy, job_id, key, 6)
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {name: 5.0}})[0] == 200
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "queued", "running", "paused")
    job = comfy.until(lambda: (job := comfy.job(job_id))["error"] and job, "the job to be set back")
    assert (job["state"], job["error"]["type"], job["evaluations"]) == ("paused", "OffTrack", 5), job
    comfy.until(lambda: seam_is_torchs(comfy), "torch's own call")
    assert comfy.probe(key)["done"] == 5, "nothing was asked"
    status, told = comfy.call("DELETE", f"/midrun/jobs/{job_id}/params/sampler/{name}")
    assert status == 200, told
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), whole_again(comfy, job_id, key))


def test_unwatched_it_runs_as_ever(comfy: Comfy) -> None:
    key = "loop-unwatched"
    prompt_id = comfy.queue(loop(key, watched=False))
    comfy.wait_ended(prompt_id)
    assert comfy.call("GET", f"/midrun/jobs/{prompt_id}")[0] == 404
    assert comfy.probe(key)["done"] == CALLS and seam_is_torchs(comfy)


@pytest.mark.parametrize("first", ["watched", "unwatched"])
def test_an_unwatched_node_of_the_same_prompt_runs_as_ever(comfy: Comfy, first: str) -> None:
    """Whichever of them runs first. The other one takes the other's latent, which it has no use for."""
    key = f"loop-beside-{first}"
    expected = latent(comfy, comfy.queue(loop(f"{key}-stock", watched=False, how="seeded")))
    both, beside = loop(key, how="seeded"), loop(f"{key}-beside", watched=False, how="seeded")
    both |= {f"beside-{name}": node for name, node in beside.items() if name != "model"}
    both["beside-model"] = beside["model"]
    both["beside-sampler"]["inputs"]["loop_model"] = ["beside-model", 0]
    both["beside-save"]["inputs"]["samples"] = ["beside-sampler", 0]
    later, earlier = ("beside-sampler", "sampler") if first == "watched" else ("sampler", "beside-sampler")
    both[later]["inputs"]["after"] = [earlier, 0]
    job_id = comfy.queue(both)
    job = comfy.wait_for(job_id, "completed")
    assert (job["display_node_id"], job["evaluations"]) == ("sampler", CALLS)
    assert comfy.get(f"/midrun_test/seam?key={key}-beside")["called"] == [True], "by torch's own call"
    assert comfy.get(f"/midrun_test/seam?key={key}")["called"] == [False]
    for node in ("save", "beside-save"):
        assert torch.equal(latent(comfy, job["prompt_id"], node), expected)


def test_what_a_loop_cannot_do_is_refused_with_a_reason(comfy: Comfy) -> None:
    key = "loop-refuses"
    graph = loop(key, gates="6")
    graph["attach"]["inputs"]["queue_policy"] = "hold"
    job_id = comfy.queue(graph)
    comfy.wait_at_gate(key, 6)
    status, told = comfy.verb(job_id, "abort", {"mode": "finish"})
    assert status == 409 and "loop of its own" in told["error"]["message"], told
    job = comfy.verb(job_id, "pause", query="?wait=30")[1]
    assert (job["state"], job["held"], job["queue_policy"]) == ("paused", False, "park")
    assert "cannot wait in place" in warnings(job)["never_held"]
    params = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]["sampler"]["inputs"]
    verdicts = {name: params[name]["verdict"] for name in ("words", "cfg", "seed", "steps")}
    assert verdicts == {"words": "caution", "cfg": "caution", "seed": "consumed", "steps": "consumed"}
    assert "It is tried" in params["words"]["reason"] and params["steps"]["rewind"]["step"] == 0
    status, told = comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"steps": 9}})
    assert status == 422, told
    comfy.verb(job_id, "abort")


@pytest.mark.parametrize("how", ["plain", "bar", "callback"])
def test_its_steps_are_told_and_shown_as_far_as_the_node_does(comfy: Comfy, how: str) -> None:
    key = f"loop-shown-{how}"
    job_id = comfy.queue(loop(key, gates="5", how=how))
    comfy.wait_at_gate(key, 5)
    total = None if how == "plain" else STEPS
    job = comfy.until(lambda: (job := comfy.job(job_id))["step"] == 2 and job, "two steps")
    assert (job["total_steps"], job["evaluations"], job["sigma"]) == (total, 4, 0.75)
    comfy.verb(job_id, "pause", query="?wait=30")
    steps = comfy.get(f"/midrun/jobs/{job_id}/telemetry")["telemetry"]
    assert [step["step"] for step in steps] == [1, 2] and steps[1]["norm"] > 0
    # ComfyUI does not tell all steps that follow each other as quickly as these, but always the first.
    status = comfy.fetch(f"/midrun/jobs/{job_id}/preview?step=1")[0]
    assert status == (200 if how == "callback" else 404)
    assert comfy.fetch(f"/midrun/jobs/{job_id}/latent?step=1")[0] == status
    assert ("steps_not_shown" in warnings(comfy.job(job_id))) is (how != "callback")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert (job["step"], job["total_steps"]) == (STEPS, STEPS)
    assert comfy.probe(key)["done"] == CALLS


def test_a_bar_that_is_moved_within_its_steps_does_not_mean_that_none_is_shown(comfy: Comfy) -> None:
    key = "loop-parts"
    job_id = comfy.queue(loop(key, gates="5", how="parts"))
    job = pause_at(comfy, job_id, key, 5)
    assert job["step"] == 4 and "steps_not_shown" not in warnings(job)
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    assert comfy.verb(job_id, "rewind", {"step": 2})[0] == 200
    comfy.verb(job_id, "resume")
    assert "steps_not_shown" not in warnings(comfy.wait_for(job_id, "completed"))


def test_a_pause_that_comes_after_its_last_call_holds_up_the_next_node(comfy: Comfy) -> None:
    key = "loop-late"
    expected = latent(comfy, comfy.queue(loop(key + "-stock", watched=False, how="seeded")))
    graph = loop(key, how="seeded")
    graph["attach"]["inputs"]["pause_at_step"] = STEPS
    job_id = comfy.queue(graph)
    job = comfy.wait_for(job_id, "paused")
    assert (job["step"], job["total_steps"], job["paused_before"]) == (STEPS, STEPS, "save")
    comfy.wait_ended(job_id)
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] == CALLS
    assert torch.equal(latent(comfy, job["prompt_id"]), expected)


def test_it_is_watched_where_comfyui_caches_nothing(tmp_path: Path) -> None:
    key = "loop-uncached"
    comfy = Comfy(tmp_path, args=("--cache-none",)).start()
    try:
        expected = latent(comfy, comfy.queue(loop(key + "-stock", watched=False, how="seeded")))
        job_id = comfy.queue(loop(key, gates="4", how="seeded"))
        pause_at(comfy, job_id, key, 4)
        comfy.verb(job_id, "resume")
        job = comfy.wait_for(job_id, "completed")
        assert torch.equal(latent(comfy, job["prompt_id"]), expected) and comfy.probe(key)["done"] == CALLS
    finally:
        comfy.stop()


def test_every_sampler_is_one_of_these_too(comfy: Comfy) -> None:
    key = "loop-everything"
    comfy.post("/settings", {"Midrun.WatchEverything": True})
    try:
        job_id = comfy.queue(loop(key, watched=False, gates="4", how="seeded"))
        job = pause_at(comfy, job_id, key, 4)
        assert (job["display_node_id"], job["evaluations"]) == ("sampler", 3)
        comfy.verb(job_id, "resume")
        comfy.wait_for(job_id, "completed")
        assert comfy.probe(key)["done"] == CALLS
    finally:
        comfy.post("/settings", {"Midrun.WatchEverything": False})
