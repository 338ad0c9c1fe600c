"""Pause, resume, step and abort on a real server, whenever they arrive."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent, run_stock


def start(comfy: Comfy, key: str, gates: str = "", **options: Any) -> str:
    return comfy.queue(graphs.base(key=key, gates=gates, **options))


def pause_at(comfy: Comfy, job_id: str, key: str, gate: int) -> dict[str, Any]:
    comfy.wait_at_gate(key, gate)
    status, job = comfy.verb(job_id, "pause", query="?wait=30")
    assert (status, job["state"]) == (200, "paused"), job
    return job


def expected(comfy: Comfy, **options: Any) -> torch.Tensor:
    return run_stock(comfy, graphs.base(watched=False, **options), options.get("key", ""))[0]


def kinds(comfy: Comfy, job_id: str) -> list[str]:
    return [event["kind"] for event in comfy.get(f"/midrun/jobs/{job_id}/events")["events"]]


def test_a_pause_that_arrives_just_before_an_evaluation_ends_keeps_it(comfy: Comfy) -> None:
    # A deaf gate never looks at the interrupt flag: the evaluation ends although it was told to stop.
    job_id = start(comfy, "before-end", "3", probe={"deaf": True})
    comfy.wait_at_gate("before-end", 3)
    assert comfy.verb(job_id, "pause")[1]["state"] == "pausing"
    comfy.open_gate("before-end", 3)
    job = comfy.wait_for(job_id, "paused")
    assert (job["step"], job["evaluations"]) == (3, 3)
    probe = comfy.probe("before-end")
    assert (probe["done"], probe["interrupt_flag"]) == (3, False)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job_id), expected(comfy))
    assert comfy.probe("before-end")["done"] == 6


def test_a_pause_during_the_node_after_the_sampler_interrupts_nothing(comfy: Comfy) -> None:
    graph = graphs.slow_decode(graphs.base(key="decode"), "decode")
    job_id = comfy.queue(graph)
    comfy.wait_at_gate("decode", "decode")
    assert comfy.verb(job_id, "pause")[0] == 202
    time.sleep(0.3)
    assert comfy.probe("decode")["at_gate"] == "decode"
    comfy.open_gate("decode", "decode")
    assert comfy.wait_for(job_id, "completed")["pause_reason"] is None
    assert comfy.probe("decode")["decoded"] == 1
    assert torch.equal(latent(comfy, job_id), expected(comfy))


def test_a_pause_inside_the_last_evaluation_or_right_after_pauses_before_the_next_node(comfy: Comfy) -> None:
    graph = graphs.slow_decode(graphs.base(key="last", gates="6", probe={"deaf": True}), "last", seconds=0)
    job_id = comfy.queue(graph)
    comfy.wait_at_gate("last", 6)
    comfy.verb(job_id, "pause")
    comfy.open_gate("last", 6)
    job = comfy.wait_for(job_id, "paused")
    assert (job["step"], job["total_steps"]) == (6, 6)
    assert comfy.probe("last")["decoded"] == 0
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    assert comfy.probe("last") | {"threads": 0} == comfy.probe("last") | {
        "threads": 0,
        "done": 6,
        "decoded": 1,
    }


def test_pausing_a_queued_job_stops_it_before_its_first_evaluation(comfy: Comfy) -> None:
    first = start(comfy, "queue-1", "2")
    comfy.wait_at_gate("queue-1", 2)
    second = start(comfy, "queue-2", queue_policy="hold")
    assert comfy.job(second)["state"] == "queued"
    status, job = comfy.verb(second, "pause")
    assert (status, job["state"]) == (202, "pausing")
    assert comfy.verb(second, "pause")[1]["state"] == "pausing"
    comfy.open_gate("queue-1", 2)
    job = comfy.wait_for(second, "paused")
    assert (job["evaluations"], job["step"], job["held"]) == (0, 0, True)
    assert comfy.probe("queue-2")["calls"] == 0
    assert comfy.wait_for(first, "completed")
    comfy.verb(second, "resume")
    comfy.wait_for(second, "completed")


def test_a_pause_taken_back_before_the_run_starts_leaves_the_job_queued(comfy: Comfy) -> None:
    first = start(comfy, "back-1", "2")
    comfy.wait_at_gate("back-1", 2)
    second = start(comfy, "back-2")
    comfy.verb(second, "pause")
    status, job = comfy.verb(second, "resume")
    assert (status, job["state"]) == (202, "queued")
    comfy.open_gate("back-1", 2)
    comfy.wait_for(first, "completed")
    assert comfy.wait_for(second, "completed")["paused_at_step"] is None


@pytest.mark.parametrize("policy", ["hold", "park"])
def test_stepping_runs_so_many_steps_and_pauses_again(comfy: Comfy, policy: str) -> None:
    job_id = start(comfy, f"step-{policy}", "1", queue_policy=policy)
    pause_at(comfy, job_id, f"step-{policy}", 1)
    for count, reached in ((None, 1), (2, 3), (3, 6)):
        status, job = comfy.verb(job_id, "step", {} if count is None else {"count": count})
        assert status == 202, job
        job = comfy.until(
            lambda reached=reached: (job := comfy.job(job_id))["paused_at_step"] == reached and job,
            "the step",
        )
        assert (job["state"], job["step"], job["pause_reason"]) == ("paused", reached, "step")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(f"step-{policy}")["done"] == 6
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_pause_at_step_pauses_by_itself_once(comfy: Comfy) -> None:
    job_id = start(comfy, "at-step", pause_at_step=4)
    job = comfy.wait_for(job_id, "paused")
    assert (job["step"], job["paused_at_step"], job["pause_reason"]) == (4, 4, "breakpoint")
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job_id), expected(comfy))


def test_a_paused_job_lets_another_prompt_run_and_resumes_after_it(comfy: Comfy) -> None:
    plain = {"seed": 77, "sampler": "dpmpp_2m_sde"}
    job_id = start(comfy, "auto", "4")
    assert pause_at(comfy, job_id, "auto", 4)["held"] is True
    other = graphs.base(watched=False, key="other", **plain)
    other["disturb"] = graphs.node("TestDisturb", samples=["sampler", 0], seed=3)
    other["save"]["inputs"]["samples"] = ["disturb", 0]
    other_id = comfy.queue(other)
    during = latent(comfy, other_id)
    job = comfy.job(job_id)
    assert (job["state"], job["held"]) == ("paused", False)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe("auto")["done"] == 6
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))
    assert torch.equal(during, expected(comfy, key="alone", **plain))


def test_a_resumed_job_overtakes_what_waits_and_leaves_one_entry_in_the_history(comfy: Comfy) -> None:
    job_id = comfy.queue(
        graphs.base(key="ahead", gates="3", queue_policy="park"),
        extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}},
        client_id="nobody",
    )
    pause_at(comfy, job_id, "ahead", 3)
    comfy.until(lambda: comfy.job(job_id)["held"] is False, "the job to be parked")
    blocker = start(comfy, "blocker", "1")
    comfy.wait_at_gate("blocker", 1)
    waiting = [start(comfy, f"waiting-{number}") for number in range(3)]
    resumed = comfy.verb(job_id, "resume")[1]
    assert resumed["state"] == "queued" and resumed["prompt_id"] != job_id
    pending = sorted(comfy.get("/queue")["queue_pending"])
    assert [item[1] for item in pending] == [resumed["prompt_id"], *waiting]
    assert 0 < pending[0][0] < pending[1][0]
    assert pending[0][3]["extra_pnginfo"] == {"workflow": {"id": "w"}}
    assert pending[0][3]["client_id"] == "nobody"
    assert comfy.verb(job_id, "resume")[0] == 409
    comfy.open_gate("blocker", 1)
    job = comfy.wait_for(job_id, "completed")
    assert job["prompt_ids"] == [job_id, resumed["prompt_id"]]
    for any_id in job["prompt_ids"]:
        assert comfy.job(any_id)["job_id"] == job_id
    assert comfy.get(f"/history/{job_id}") == {}
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))
    for other in (blocker, *waiting):
        comfy.wait_for(other, "completed")


def test_a_prompt_with_two_samplers_pauses_in_the_second_and_replays_neither_live(comfy: Comfy) -> None:
    def hires(watched: bool, key: str, gates: str) -> graphs.Graph:
        graph = graphs.base(watched=watched, key=key, gates=gates, queue_policy="park")
        second = {**graph["sampler"]["inputs"], "latent_image": ["sampler", 0], "denoise": 0.5, "seed": 9}
        graph["second"] = graphs.node(graph["sampler"]["class_type"], **second)
        graph["save"]["inputs"]["samples"] = ["second", 0]
        return graph

    plain = comfy.queue(hires(False, "hires-plain", ""))
    want = latent(comfy, plain)
    job_id = comfy.queue(hires(True, "hires", "9"))
    job = pause_at(comfy, job_id, "hires", 9)
    assert (job["node_id"], job["evaluations"]) == ("second", 2)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe("hires")["done"] == comfy.probe("hires-plain")["done"] == 12
    assert torch.equal(latent(comfy, job["prompt_id"]), want)


def test_attached_twice_hooks_once(comfy: Comfy) -> None:
    graph = graphs.behind_attach(graphs.base(watched=False, key="twice"), pause_at_step=2)
    graph["again"] = graphs.node("MidrunAttach", model=["attach", 0], pause_at_step=3)
    graph["sampler"]["inputs"]["model"] = ["again", 0]
    job_id = comfy.queue(graph)
    assert comfy.wait_for(job_id, "paused")["step"] == 3
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    assert kinds(comfy, job_id).count("stopped") == 1
    assert comfy.probe("twice")["done"] == 6


def test_a_prompt_answered_from_the_cache_completes_with_no_evaluations(comfy: Comfy) -> None:
    first = start(comfy, "cached")
    comfy.wait_for(first, "completed")
    second = start(comfy, "cached")
    assert comfy.wait_for(second, "completed")["evaluations"] == 0
    assert comfy.probe("cached")["done"] == 6


def test_a_failure_in_the_model_keeps_the_recording(comfy: Comfy) -> None:
    job_id = start(comfy, "fails", probe={"fail_at": 4})
    job = comfy.wait_for(job_id, "failed")
    assert job["error"]["type"] == "RuntimeError" and job["error"]["node_id"] == "sampler"
    assert "simulated failure" in job["error"]["message"] and job["step"] == 3
    assert comfy.verb(job_id, "pause")[0] == 409
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe("fails")["done"] == 6 and job["error"] is None
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_a_failure_after_the_sampler_is_resumed_without_one_live_evaluation(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.slow_decode(graphs.base(key="vae"), "vae", seconds=0, fails=True))
    job = comfy.wait_for(job_id, "failed")
    assert job["error"]["node_id"] == "decode" and "after the sampler" in job["error"]["message"]
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert (comfy.probe("vae")["done"], comfy.probe("vae")["decoded"]) == (6, 1)
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_a_prompt_put_into_the_queue_past_the_prompt_handler_is_a_job_once_it_samples(comfy: Comfy) -> None:
    graph = graphs.base(key="put", gates="3", queue_policy="park")
    extra = {"auth_token_comfy_org": "token-90c1d7"}  # which such a pack leaves where it was
    job_id = comfy.post("/midrun_test/put", {"prompt": graph, "extra_data": extra})["prompt_id"]
    pause_at(comfy, job_id, "put", 3)
    files = (comfy.base / "user" / "__midrun").rglob("*")
    assert not [file for file in files if file.is_file() and b"token-90c1d7" in file.read_bytes()]
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert len(job["prompt_ids"]) == 2 and comfy.probe("put")["done"] == 6
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_a_node_that_samples_on_a_thread_of_its_own_is_watched(comfy: Comfy) -> None:
    graph = graphs.threaded(graphs.base(watched=False, key="thread", gates="3"))
    job_id = comfy.queue(graphs.behind_attach(graph, queue_policy="hold"))
    job = pause_at(comfy, job_id, "thread", 3)
    assert (job["node_id"], job["step"]) == ("sampler", 2)
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    plain = comfy.queue(graphs.threaded(graphs.base(watched=False, key="thread-plain")))
    assert torch.equal(latent(comfy, job_id), latent(comfy, plain))
    assert comfy.probe("thread")["done"] == 6


def test_paused_time_is_not_active_time(comfy: Comfy) -> None:
    job_id = start(comfy, "time", "3")
    before = pause_at(comfy, job_id, "time", 3)["timing"]
    time.sleep(1.0)
    after = comfy.job(job_id)["timing"]
    assert after["paused_s"] >= 1.0
    assert after["active_s"] == before["active_s"]
    assert after["mean_step_s"] > 0 and after["eta_s"] >= after["mean_step_s"] * 4 - 0.01
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
