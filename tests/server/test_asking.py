"""A breakpoint asks a webhook what becomes of a job; whatever it answers, no job is harmed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from test_breakpoints import breakpoints, queued
from test_control import expected, kinds
from test_loops_of_others import loop
from test_webhooks import Listener, hook, hooked  # noqa: F401  the fixture

ASK = {"kind": "step", "value": 3, "action": "ask", "id": "ask", "timeout_s": 60}


def answering(hook: Listener, action: str, **more: Any) -> None:  # noqa: F811
    hook.answer = json.dumps({"action": action, **more}).encode()


def asked(comfy: Comfy, key: str, **more: Any) -> str:
    return queued(comfy, ASK | more, key=key)


def answers(comfy: Comfy, job_id: str) -> list[dict[str, Any]]:
    events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    told = [one["detail"] for one in events if one["kind"] == "answer"]
    return [{name: one[name] for name in one if name != "pause_reason"} for one in told]


def test_the_answer_decides(comfy: Comfy, hook: Listener) -> None:  # noqa: F811
    hooked(comfy, Picture=True)
    answering(hook, "go", reason="fine")
    job_id = asked(comfy, "ask-go")
    comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job_id), expected(comfy))
    (told,) = [one for one in hook.told if one["event"] == "ask"]
    assert (told["job"]["job_id"], told["job"]["step"], told["breakpoint"]["id"]) == (job_id, 3, "ask")
    assert told["picture"] and answers(comfy, job_id) == [{"action": "go", "reason": "fine"}]
    answering(hook, "pause")
    job_id = asked(comfy, "ask-pause")
    job = comfy.until(lambda: (job := comfy.job(job_id))["pause_reason"] == "breakpoint" and job, "the pause")
    assert (job["state"], job["step"], job["paused_because"]) == ("paused", 3, None)
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    answering(hook, "abort", reason="a face too many")
    job_id = asked(comfy, "ask-abort")
    job = comfy.wait_for(job_id, "aborted")
    assert (job["abort_reason"], job["step"]) == ("the webhook: a face too many", 3)
    answering(hook, "finish")
    job_id = asked(comfy, "ask-finish")
    job = comfy.wait_for(job_id, "aborted")
    assert comfy.wait_ended(job_id)["status"]["status_str"] == "success" and job["step"] == 3
    assert comfy.probe("ask-finish")["done"] == 3, "the nodes after the sampler ran, and no model did"


@pytest.mark.parametrize(
    ("how", "timeout_s", "because"),
    [
        ("garbage", 60, ""),
        ("elsewhere", 60, "it answered 307"),
        ("large", 60, "larger than 64 KiB"),
        ("wrong", 60, "it answered 500"),
        ("never", 1, "no answer within 1 s"),
        ("well", 60, "no JSON"),
    ],
)
def test_without_an_answer_the_job_goes_on_and_says_so(
    comfy: Comfy,
    hook: Listener,  # noqa: F811
    how: str,
    timeout_s: int,
    because: str,
) -> None:
    hook.how = how
    job_id = asked(comfy, f"ask-{how}", timeout_s=timeout_s)
    comfy.wait_for(job_id, "completed")
    (answer,) = answers(comfy, job_id)
    assert answer["action"] == "go" and because in answer["because"]
    assert torch.equal(latent(comfy, job_id), expected(comfy))


def test_without_a_webhook_the_job_goes_on_and_an_address_that_is_private_is_not_asked(
    comfy: Comfy,
    hook: Listener,  # noqa: F811
) -> None:
    hooked(comfy, Private=False)
    job_id = asked(comfy, "ask-private")
    comfy.wait_for(job_id, "completed")
    assert "private address" in answers(comfy, job_id)[0]["because"] and not hook.told
    hooked(comfy, Url="")
    job_id = asked(comfy, "ask-nobody")
    comfy.wait_for(job_id, "completed")
    assert answers(comfy, job_id) == [{"action": "go", "because": "the settings name no webhook"}]


def test_a_late_answer_changes_nothing_of_what_a_person_decided(comfy: Comfy, hook: Listener) -> None:  # noqa: F811
    hook.how = "late"
    answering(hook, "abort")
    job_id = asked(comfy, "ask-late")
    comfy.until(lambda: hook.told, "the question")
    job = comfy.job(job_id)
    assert (job["state"], job["pause_reason"], job["held"]) == ("paused", "asked", True)
    assert "asked what to do" in job["paused_because"]
    comfy.verb(job_id, "pause")
    assert comfy.job(job_id)["pause_reason"] == "user"
    hook.released.set()
    other = asked(comfy, "ask-after")  # is asked, too, and aborted: by then the late answer has come
    comfy.wait_for(other, "aborted")
    assert comfy.job(job_id)["state"] == "paused" and not answers(comfy, job_id)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_breakpoints_abort_and_finish_by_themselves(comfy: Comfy) -> None:
    finish = {"kind": "step", "value": 2, "action": "finish"}
    job_id = queued(comfy, finish, key="break-finish")
    job = comfy.wait_for(job_id, "aborted")
    assert (job["step"], job["abort_reason"]) == (2, "breakpoint step 2")
    assert comfy.wait_ended(job_id)["status"]["status_str"] == "success"
    assert latent(comfy, job_id).shape == expected(comfy).shape and comfy.probe("break-finish")["done"] == 2
    abort = {"kind": "node", "node_id": "save", "action": "abort"}
    nodes = [{"id": "save", "type": "SaveLatent", "properties": {"Midrun.breakpoints": [abort]}}]
    extra = {"extra_pnginfo": {"workflow": {"nodes": nodes}}}
    job_id = comfy.queue(graphs.base(key="break-abort"), extra_data=extra)
    job = comfy.wait_for(job_id, "aborted")
    assert (job["step"], job["abort_reason"]) == (6, "breakpoint node save")
    comfy.until(lambda: "run_ended" in kinds(comfy, job_id), "the end of its run")
    assert not comfy.wait_ended(job_id)["outputs"]


def test_a_node_with_a_loop_of_its_own_asks_too_and_cannot_be_finished(
    comfy: Comfy,
    hook: Listener,  # noqa: F811
) -> None:
    def at(step: int, action: str) -> dict[str, Any]:
        return {"kind": "step", "value": step, "action": action, "timeout_s": 60}

    answering(hook, "go")
    job_id = comfy.queue(loop("ask-loop", gates="1"))
    comfy.wait_at_gate("ask-loop", 1)
    breakpoints(comfy, job_id, at(1, "ask"), at(2, "finish"), at(3, "abort"))
    comfy.open_gate("ask-loop", 1)
    finish = "the refusal to finish"
    job = comfy.until(lambda: (job := comfy.job(job_id))["pause_reason"] == "breakpoint" and job, finish)
    assert (job["step"], answers(comfy, job_id)) == (2, [{"action": "go"}])
    (told,) = [one["message"] for one in job["warnings"] if one["code"] == "not_finished"]
    assert "a sampling loop of its own" in told
    comfy.wait_for(job_id, "paused")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "aborted")
    assert (job["step"], job["abort_reason"]) == (3, "breakpoint step 3")
    answering(hook, "finish")
    job_id = comfy.queue(loop("ask-loop-2", gates="1"))
    comfy.wait_at_gate("ask-loop-2", 1)
    breakpoints(comfy, job_id, at(1, "ask"))
    comfy.open_gate("ask-loop-2", 1)
    comfy.until(lambda: "not_ended" in kinds(comfy, job_id), "the refusal of the answer")
    job = comfy.job(job_id)
    assert (job["state"], job["pause_reason"], job["paused_because"]) == ("paused", "breakpoint", None)
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
