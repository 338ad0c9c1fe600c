"""Abort, finish, ComfyUI's own Cancel, deletion: in every state, and nobody else is hit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from test_control import expected, kinds, pause_at, start


def ended_by_cancel(comfy: Comfy, job_id: str) -> None:
    job = comfy.wait_for(job_id, "aborted")
    assert job["abort_reason"] == "cancelled in ComfyUI"
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")


def cancel_running(comfy: Comfy, job_id: str, targeted: bool) -> None:
    comfy.post("/interrupt", {"prompt_id": job_id} if targeted else {})


@pytest.mark.parametrize("targeted", [True, False])
def test_cancel_inside_an_evaluation_aborts(comfy: Comfy, targeted: bool) -> None:
    job_id = start(comfy, f"cancel-{targeted}", "3")
    comfy.wait_at_gate(f"cancel-{targeted}", 3)
    cancel_running(comfy, job_id, targeted)
    ended_by_cancel(comfy, job_id)
    assert comfy.verb(job_id, "resume")[0] == 409


def test_cancel_while_held_aborts(comfy: Comfy) -> None:
    job_id = start(comfy, "cancel-held", "3", queue_policy="hold")
    pause_at(comfy, job_id, "cancel-held", 3)
    cancel_running(comfy, job_id, True)
    ended_by_cancel(comfy, job_id)
    assert not comfy.probe()["interrupt_flag"]


def test_cancel_while_pausing_is_not_taken_for_the_pause(comfy: Comfy) -> None:
    # Both raise the same flag before anybody looks at it.
    job_id = start(comfy, "cancel-pausing", "1", probe={"deaf": True}, queue_policy="hold")
    comfy.wait_at_gate("cancel-pausing", 1)
    assert comfy.verb(job_id, "pause")[1]["state"] == "pausing"
    cancel_running(comfy, job_id, True)
    comfy.open_gate("cancel-pausing", 1)
    ended_by_cancel(comfy, job_id)


def test_cancel_during_the_node_after_the_sampler_aborts(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.slow_decode(graphs.base(key="cancel-decode"), "cancel-decode"))
    comfy.wait_at_gate("cancel-decode", "decode")
    cancel_running(comfy, job_id, True)
    ended_by_cancel(comfy, job_id)


def test_cancelling_a_parked_job_s_old_prompt_does_nothing(comfy: Comfy) -> None:
    job_id = start(comfy, "cancel-parked", "3", queue_policy="park")
    pause_at(comfy, job_id, "cancel-parked", 3)
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")
    cancel_running(comfy, job_id, True)
    assert comfy.job(job_id)["state"] == "paused"
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


@pytest.mark.parametrize("how", ["delete", "clear"])
def test_deleting_a_queued_prompt_in_comfyui_aborts_its_job(comfy: Comfy, how: str) -> None:
    first = start(comfy, f"front-{how}", "1")
    comfy.wait_at_gate(f"front-{how}", 1)
    second = start(comfy, f"behind-{how}")
    comfy.post("/queue", {"delete": [second]} if how == "delete" else {"clear": True})
    assert comfy.wait_for(second, "aborted")["abort_reason"] == "cancelled in ComfyUI"
    comfy.open_gate(f"front-{how}", 1)
    comfy.wait_for(first, "completed")


def test_deleting_the_queued_run_of_a_resumed_job_aborts_it(comfy: Comfy) -> None:
    job_id = start(comfy, "drop-run", "3", queue_policy="park")
    pause_at(comfy, job_id, "drop-run", 3)
    first = start(comfy, "drop-front", "1")
    comfy.wait_at_gate("drop-front", 1)
    run = comfy.verb(job_id, "resume")[1]["prompt_id"]
    comfy.post("/queue", {"delete": [run]})
    assert comfy.wait_for(job_id, "aborted")["abort_reason"] == "cancelled in ComfyUI"
    comfy.open_gate("drop-front", 1)
    comfy.wait_for(first, "completed")


@pytest.mark.parametrize("where", ["running", "held", "parked", "queued", "failed"])
def test_abort_stops_in_every_state(comfy: Comfy, where: str) -> None:
    key = f"abort-{where}"
    policy = {"held": "hold", "parked": "park"}.get(where, "auto")
    blocker = None
    if where == "queued":
        blocker = start(comfy, key + "-blocker", "1")
        comfy.wait_at_gate(key + "-blocker", 1)
    job_id = start(comfy, key, "3", queue_policy=policy, probe={"fail_at": 2 if where == "failed" else 0})
    if where == "running":
        comfy.wait_at_gate(key, 3)
    elif where == "failed":
        comfy.wait_for(job_id, "failed")
    elif where != "queued":
        pause_at(comfy, job_id, key, 3)
    status, job = comfy.verb(job_id, "abort", {"reason": "bad hands"})
    assert (status, job["state"], job["abort_reason"]) == (200, "aborted", "bad hands")
    if blocker:
        comfy.open_gate(key + "-blocker", 1)
        comfy.wait_for(blocker, "completed")
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")
    assert comfy.verb(job_id, "abort", {"reason": "again"})[1]["abort_reason"] == "bad hands"
    assert comfy.verb(job_id, "resume")[0] == 409
    assert comfy.job(job_id)["state"] == "aborted"


def test_abort_during_an_earlier_node_never_reaches_another_prompt(comfy: Comfy) -> None:
    graph = graphs.base(key="early")
    graph["wait"] = graphs.node(
        "TestSlowLatent", samples=["latent", 0], key="early", seconds=30.0, fails=False
    )
    graph["sampler"]["inputs"]["latent_image"] = ["wait", 0]
    job_id = comfy.queue(graph)
    comfy.wait_at_gate("early", "decode")
    other = start(comfy, "early-other")
    comfy.until(lambda: comfy.job(job_id)["state"] == "running", "the job to run")
    assert comfy.verb(job_id, "abort")[1]["state"] == "aborted"
    assert comfy.wait_for(other, "completed")
    assert comfy.probe("early")["calls"] == 0


def denoised_after(comfy: Comfy, steps: int, **options: Any) -> torch.Tensor:
    """ComfyUI's own `denoised` after so many euler steps: SamplerCustomAdvanced over their sigmas."""
    graph = graphs.custom_advanced(graphs.base(watched=False, key=f"oracle-{steps}", **options))
    graph["split"] = graphs.node("SplitSigmas", sigmas=["schedule", 0], step=steps)
    graph["sampler"]["inputs"]["sigmas"] = ["split", 0]
    graph["save"]["inputs"]["samples"] = ["sampler", 1]
    return latent(comfy, comfy.queue(graph))


@pytest.mark.parametrize("where", ["running", "held", "parked", "failed"])
def test_abort_with_finish_returns_the_newest_denoised_and_runs_the_rest(comfy: Comfy, where: str) -> None:
    key = f"finish-{where}"
    policy = {"held": "hold", "parked": "park"}.get(where, "auto")
    graph = graphs.base(
        key=key, gates="4", queue_policy=policy, probe={"fail_at": 4 if where == "failed" else 0}
    )
    if where == "failed":
        graph["probe"]["inputs"]["gates"] = ""
    job_id = comfy.queue(graphs.slow_decode(graph, key, seconds=0))
    if where == "running":
        comfy.wait_at_gate(key, 4)
    elif where == "failed":
        comfy.wait_for(job_id, "failed")
    else:
        pause_at(comfy, job_id, key, 4)
    status, job = comfy.verb(job_id, "abort", {"mode": "finish", "reason": "good enough"})
    assert (status, job["state"]) == (200, "aborted"), job
    prompt_id = job["prompt_id"]
    assert torch.equal(latent(comfy, prompt_id), denoised_after(comfy, 3))
    probe = comfy.probe(key)
    assert (probe["done"], probe["decoded"]) == (3, 1)
    assert comfy.job(job_id)["state"] == "aborted" and "abort" in kinds(comfy, job_id)


def test_a_run_that_validation_refuses_leaves_the_job_as_it_was(comfy: Comfy) -> None:
    graph = graphs.base(key="refused-run", gates="4", queue_policy="park")
    graph["fickle"] = graphs.node("TestFickle", samples=["latent", 0], key="refused-run")
    graph["sampler"]["inputs"]["latent_image"] = ["fickle", 0]
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, "refused-run", 4)
    comfy.open_gate("refused-run", "broken")
    for verb, body in (("resume", {}), ("step", {}), ("abort", {"mode": "finish", "reason": "r"})):
        status, answer = comfy.verb(job_id, verb, body)
        assert (status, answer["error"]["code"]) == (422, "invalid_params")
        assert "the file is gone" in answer["error"]["rejected"][0]["reason"]
        job = comfy.job(job_id)
        assert (job["state"], job["abort_reason"], job["prompt_ids"]) == ("paused", None, [job_id])
    assert comfy.verb(job_id, "abort")[1]["state"] == "aborted"


def test_an_output_that_cannot_be_run_any_more_keeps_the_job_from_running_without_its_sampler(
    comfy: Comfy,
) -> None:
    graph = graphs.base(key="half-refused", gates="4", queue_policy="park")
    graph["fickle"] = graphs.node("TestFickle", samples=["latent", 0], key="half-refused")
    graph["aside"] = graphs.node("SaveLatent", samples=["latent", 0], filename_prefix="aside")
    graph["sampler"]["inputs"]["latent_image"] = ["fickle", 0]
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, "half-refused", 4)
    comfy.open_gate("half-refused", "broken")
    status, answer = comfy.verb(job_id, "resume")
    assert (status, answer["error"]["code"]) == (422, "invalid_params")
    assert comfy.job(job_id)["state"] == "paused"
    assert comfy.verb(job_id, "abort")[1]["state"] == "aborted"


def test_finish_before_the_first_step_is_refused_and_nothing_is_lost(comfy: Comfy) -> None:
    job_id = start(comfy, "finish-early", "1")
    pause_at(comfy, job_id, "finish-early", 1)
    status, answer = comfy.verb(job_id, "abort", {"mode": "finish"})
    assert status == 409 and answer["error"]["state"] == "paused"
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")


def test_delete_forgets_an_ended_job_and_refuses_one_that_runs(comfy: Comfy) -> None:
    job_id = start(comfy, "delete", "2")
    comfy.wait_at_gate("delete", 2)
    path = f"/midrun/jobs/{job_id}"
    assert comfy.call("DELETE", path)[0] == 409
    comfy.open_gate("delete", 2)
    comfy.wait_for(job_id, "completed")
    assert comfy.call("DELETE", path)[0] == 204
    assert comfy.call("GET", path)[0] == 404
    assert comfy.call("GET", path + "/events")[0] == 404


def test_a_parked_job_can_be_deleted(comfy: Comfy) -> None:
    job_id = start(comfy, "delete-parked", "2", queue_policy="park")
    pause_at(comfy, job_id, "delete-parked", 2)
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}")[0] == 204
    answer: Any = comfy.verb(job_id, "resume")
    assert answer[0] == 404 and answer[1]["error"]["code"] == "unknown_job"
