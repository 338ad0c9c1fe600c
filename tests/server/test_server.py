"""A real server against hostile input, load, restarts and a directory that it cannot write to."""

from __future__ import annotations

import json
import random
import threading
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
import torch
import websocket

import graphs
from bundles import exported
from harness import Comfy
from resuming import latent
from test_breakpoints import queued as queued_with
from test_control import expected, pause_at, start
from test_webhooks import Listener, hooked


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


@pytest.mark.parametrize(
    "job_id", ["nobody", "..%2F..%2Fx", "%00", "a" * 300, "%22%3B%20DROP%20TABLE%20x", "%ED%A0%80"]
)
@pytest.mark.parametrize("route", ["", "/events", "/pause", "/resume", "/step", "/abort", "DELETE"])
def test_an_unknown_job_is_404_whatever_its_id(comfy: Comfy, job_id: str, route: str) -> None:
    method = {"": "GET", "/events": "GET", "DELETE": "DELETE"}.get(route, "POST")
    path = f"/midrun/jobs/{job_id}{'' if route == 'DELETE' else route}"
    assert code(comfy.call(method, path, {} if method == "POST" else None)) == (404, "unknown_job")


@pytest.mark.parametrize(
    ("verb", "body", "query"),
    [
        ("pause", b"{", ""),
        ("pause", b"[]", ""),
        ("pause", {"surprise": 1}, ""),
        ("pause", {}, "?wait=31"),
        ("pause", {}, "?wait=nan"),
        ("pause", {}, "?wait=soon"),
        ("pause", {}, "?weight=1"),
        ("resume", {"prompt": 1, "x": 2}, ""),
        ("step", {"count": 0}, ""),
        ("step", {"count": -10001}, ""),
        ("step", {"count": True}, ""),
        ("step", {"count": 1.5}, ""),
        ("step", {"count": "two"}, ""),
        ("abort", {"mode": "explode"}, ""),
        ("abort", {"mode": ["stop"]}, ""),
        ("abort", {"reason": 7}, ""),
        ("abort", b"\xff\xfe", ""),
        ("abort", b"[" * 100000, ""),
    ],
)
def test_a_request_that_cannot_be_understood_is_400(comfy: Comfy, verb: str, body: Any, query: str) -> None:
    answer = comfy.call("POST", f"/midrun/jobs/nobody/{verb}{query}", body)
    assert code(answer) == (400, "bad_request") and answer[1]["error"]["message"]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before=-1", "state=dozing", "sort=up"])
def test_a_bad_query_is_400(comfy: Comfy, query: str) -> None:
    assert code(comfy.call("GET", f"/midrun/jobs?{query}")) == (400, "bad_request")


def test_a_body_over_the_limit_is_413(comfy: Comfy) -> None:
    body = json.dumps({"reason": "x" * (5 << 20)}).encode()
    assert code(comfy.call("POST", "/midrun/jobs/nobody/abort", body)) == (413, "too_large")


def test_a_workflow_without_a_midrun_node_is_no_job(comfy: Comfy) -> None:
    prompt_id = comfy.queue(graphs.base(watched=False, key="unwatched"))
    comfy.wait_ended(prompt_id)
    assert comfy.call("GET", f"/midrun/jobs/{prompt_id}")[0] == 404


@pytest.mark.parametrize("broken", ["value", "link", "class"])
def test_a_prompt_that_comfyui_refuses_leaves_no_job(comfy: Comfy, broken: str) -> None:
    prompt_id = str(uuid.uuid4())
    graph = graphs.base(key=f"refused-{broken}")
    if broken == "value":
        graph["sampler"]["inputs"]["steps"] = -3
    elif broken == "link":
        graph["sampler"]["inputs"]["model"] = ["nowhere", 0]
    else:
        graph["sampler"]["class_type"] = "NoSuchNode"
        graph["attach"] = graphs.node("MidrunAttach", model=["probe", 0])
    comfy.call("POST", "/prompt", {"prompt": graph, "prompt_id": prompt_id})
    assert comfy.call("GET", f"/midrun/jobs/{prompt_id}")[0] == 404


@pytest.mark.parametrize(
    "body", [{"prompt": []}, {"prompt": {"1": 5}}, {"prompt": {"1": {"class_type": []}}}, {}]
)
def test_a_prompt_that_is_no_graph_hurts_nobody(comfy: Comfy, body: Any) -> None:
    comfy.call("POST", "/prompt", body)
    assert comfy.get("/midrun/jobs?limit=1")


def test_node_ids_are_data(comfy: Comfy) -> None:
    names = {"sampler": "12:7:../../x\x00", "probe": "p" * 300, "latent": "<img src=x>"}
    text = json.dumps(graphs.base(key="names", gates="3"))
    graph = json.loads(text)
    renamed = {names.get(name, name): entry for name, entry in graph.items()}
    for entry in renamed.values():
        for key, value in entry["inputs"].items():
            if isinstance(value, list):
                entry["inputs"][key] = [names.get(value[0], value[0]), value[1]]
    job_id = comfy.queue(renamed)
    assert pause_at(comfy, job_id, "names", 3)["node_id"] == names["sampler"]
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")
    assert comfy.job(job_id)["node_id"] == names["sampler"]


@pytest.mark.parametrize("prompt_id", ["../../x", "a\x00b", "y" * 300, "' OR 1=1 --", "\ud800"])
def test_prompt_ids_are_data(comfy: Comfy, prompt_id: str) -> None:
    body = {"prompt": graphs.base(key=f"id-{prompt_id!r}"), "prompt_id": prompt_id}
    status, _ = comfy.call("POST", "/prompt", body)
    if status == 200 and prompt_id != "\ud800":
        comfy.wait_for(prompt_id, "completed")
    elif status != 200:  # newer ComfyUIs take UUIDs only
        assert status == 400 and not any(
            job["job_id"] == prompt_id for job in comfy.get("/midrun/jobs")["jobs"]
        )
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the queue to run dry")


def test_the_same_prompt_id_twice_is_one_job(comfy: Comfy) -> None:
    prompt_id = str(uuid.uuid4())
    comfy.queue(graphs.base(key="same", gates="2"), prompt_id=prompt_id)
    comfy.wait_at_gate("same", 2)
    comfy.queue(graphs.base(key="same-again"), prompt_id=prompt_id)
    comfy.open_gate("same", 2)
    comfy.wait_for(prompt_id, "completed")
    comfy.until(lambda: comfy.probe("same-again")["done"] == 6, "the second prompt")


def test_a_hundred_prompts_become_a_hundred_jobs_newest_first(comfy: Comfy) -> None:
    ids = [comfy.queue(graphs.base(steps=1, key="hundred", seed=number)) for number in range(100)]
    comfy.wait_for(ids[-1], "completed", timeout=200)
    first = comfy.get("/midrun/jobs?limit=60&state=completed,aborted")
    rest = comfy.get(f"/midrun/jobs?limit=40&state=completed&before={first['next']}")
    listed = [job["job_id"] for job in (*first["jobs"], *rest["jobs"])]
    assert listed == ids[::-1]


def test_a_job_tells_the_workflow_that_it_came_from(comfy: Comfy) -> None:
    workflow = {"id": "w-1", "name": "<b>Tides</b>"}
    extra = {"extra_pnginfo": {"workflow": workflow}}
    job = comfy.job(comfy.queue(graphs.base(key="origin", steps=1), extra_data=extra))
    assert job["workflow"] == workflow and job["sampler_nodes"] == ["sampler"]
    comfy.wait_for(job["job_id"], "completed")
    assert comfy.job(job["job_id"])["workflow"] == workflow  # read back from the database
    graph = graphs.behind_attach(graphs.base(key="origin-none", steps=1, watched=False))
    job = comfy.job(comfy.queue(graph, extra_data={"extra_pnginfo": {"workflow": {"id": 7, "name": [1]}}}))
    assert job["workflow"] == {"id": None, "name": None} and job["sampler_nodes"] == []
    comfy.wait_for(job["job_id"], "completed")


def test_the_usage_of_the_disk_is_told(comfy: Comfy) -> None:
    before = comfy.get("/midrun/usage")
    comfy.wait_for(comfy.queue(graphs.base(key="usage", steps=1)), "completed")
    after = comfy.until(
        lambda: (now := comfy.get("/midrun/usage"))["bytes"] > before["bytes"] and now, "the recording"
    )
    assert after["jobs"]["completed"] == before["jobs"].get("completed", 0) + 1
    assert after["free"] > 0
    assert code(comfy.call("GET", "/midrun/usage?of=me")) == (400, "bad_request")


def test_transitions_are_sent_to_the_client_that_queued_the_job(comfy: Comfy) -> None:
    mine, other = (
        websocket.create_connection(f"ws://127.0.0.1:{comfy.port}/ws?clientId={name}", timeout=30)
        for name in ("mine", "other")
    )
    job_id = comfy.queue(graphs.base(key="events", pause_at_step=2), client_id="mine")
    seen: list[str] = []
    while "completed" not in seen:
        message = mine.recv()
        if isinstance(message, str) and json.loads(message)["type"] == "midrun.job":
            data = json.loads(message)["data"]
            assert data["job_id"] == job_id
            if not seen or seen[-1] != data["state"]:
                seen.append(data["state"])
            if data["state"] == "paused" and seen.count("paused") == 1:
                comfy.verb(job_id, "resume")
    assert seen == ["queued", "running", "pausing", "paused", "running", "completed"]
    other.settimeout(0.2)
    with pytest.raises(websocket.WebSocketTimeoutException):
        while True:
            message = other.recv()
            assert not isinstance(message, str) or of_job(json.loads(message)) != job_id
    mine.close()
    other.close()


def test_the_page_that_resumes_a_job_of_a_closed_page_is_told_of_its_run(comfy: Comfy) -> None:
    graph = graphs.base(key="closed", pause_at_step=2, queue_policy="park")
    job_id = comfy.queue(graph, client_id="closed")
    comfy.wait_for(job_id, "paused")
    comfy.until(lambda: not comfy.job(job_id)["held"], "the job to make way")
    page, other = (
        websocket.create_connection(f"ws://127.0.0.1:{comfy.port}/ws?clientId={name}", timeout=30)
        for name in ("page", "bystander")
    )
    resume = urllib.request.Request(f"{comfy.url}/midrun/jobs/{job_id}/resume", data=b"{}", method="POST")
    resume.add_header("Content-Type", "application/json")
    resume.add_header("Midrun-Client", "page")
    assert urllib.request.urlopen(resume, timeout=30).status == 202
    told = {name: told_until_it_is_complete(one, job_id) for name, one in (("page", page), ("other", other))}
    assert {"execution_start", "executing", "midrun.job"} <= told["page"]
    assert "midrun.job" in told["other"] and not {"execution_start", "executing"} & told["other"]
    page.close()
    other.close()


def test_the_page_that_imports_a_job_is_told_of_it_alone(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="imported", pause_at_step=2, queue_policy="park"))
    comfy.wait_for(job_id, "paused")
    comfy.until(lambda: not comfy.job(job_id)["held"], "the job to make way")
    bundle = exported(comfy, job_id)
    page, other = (
        websocket.create_connection(f"ws://127.0.0.1:{comfy.port}/ws?clientId={name}", timeout=30)
        for name in ("importer", "bystander")
    )
    sent = urllib.request.Request(f"{comfy.url}/midrun/jobs/import", data=bundle, method="POST")
    sent.add_header("Content-Type", "application/octet-stream")
    sent.add_header("Midrun-Client", "importer")
    job = json.load(urllib.request.urlopen(sent, timeout=30))
    comfy.verb(job["job_id"], "resume")
    assert {"execution_start", "midrun.job"} <= told_until_it_is_complete(page, job["job_id"])
    assert not {"execution_start", "midrun.job"} & told_until_the_queue_is_empty(other, job["job_id"])
    page.close()
    other.close()
    comfy.verb(job_id, "abort")


def of_job(told: dict[str, Any]) -> str | None:
    """The job that a message of Midrun is about."""
    return told["data"]["job_id"] if told["type"] == "midrun.job" else None


def told_until_the_queue_is_empty(page: websocket.WebSocket, job_id: str) -> set[str]:
    """The types of messages about that job, whose run is not queued yet, or not done, and of ComfyUI's own.

    Every page is told of a job that no page queued, as most jobs here are.
    """
    types: set[str] = set()
    for left in (1, 0):
        while True:
            message = page.recv()
            told = json.loads(message) if isinstance(message, str) else {"type": "binary", "data": {}}
            if of_job(told) in (None, job_id):
                types.add(told["type"])
            if told["type"] == "status" and told["data"]["status"]["exec_info"]["queue_remaining"] == left:
                break
    return types


def told_until_it_is_complete(page: websocket.WebSocket, job_id: str) -> set[str]:
    """The types of messages."""
    types: set[str] = set()
    while True:
        message = page.recv()
        if isinstance(message, str):
            told = json.loads(message)
            types.add(told["type"])
            if of_job(told) == job_id and told["data"]["state"] == "completed":
                return types


@pytest.mark.timeout(600)
def test_a_thousand_random_concurrent_requests_break_nothing(comfy: Comfy) -> None:
    job_id = start(comfy, "storm", steps=400, probe={"seconds": 0.01})
    other = start(comfy, "storm-other")
    statuses: list[int] = []

    def client(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(125):
            verb, body = choose.choice([("pause", {}), ("resume", {}), ("step", {"count": 2}), ("GET", None)])
            if verb == "GET":
                statuses.append(comfy.call("GET", f"/midrun/jobs/{job_id}")[0])
            else:
                statuses.append(comfy.verb(job_id, verb, body)[0])

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()
    assert len(statuses) == 1000 and set(statuses) <= {200, 202, 409}
    comfy.verb(job_id, "abort", {"reason": "enough"})
    assert comfy.wait_for(job_id, "aborted") and comfy.wait_for(other, "completed")
    assert torch.equal(latent(comfy, other), expected(comfy))
    events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    for before, after in zip(events, events[1:], strict=False):
        assert before["state_to"] == after["state_from"]


def test_a_killed_server_leaves_paused_jobs_that_resume(tmp_path: Path) -> None:
    server, somebody = Comfy(tmp_path).start(), Listener()
    somebody.how = "late"
    hooked(server, Url=somebody.url, Private=True)
    try:
        ask = {"kind": "step", "value": 2, "action": "ask", "timeout_s": 3600}
        asked = queued_with(server, ask, key="killed-asked")
        server.until(lambda: somebody.told, "the question")
        secret = "token-5f2c9b"
        extra = {"auth_token_comfy_org": secret, "extra_pnginfo": {"workflow": {"id": "w"}}}
        job_id = server.queue(graphs.base(key="killed", gates="3"), extra_data=extra)
        queued = server.queue(graphs.base(key="killed-queued"))
        server.wait_at_gate("killed", 3)
        server.kill()
        server.start()
        for any_id in (job_id, queued):
            job = server.job(any_id)
            assert (job["state"], job["held"], job["pause_reason"]) == ("paused", False, "server_restart")
        job = server.job(asked)
        assert (job["state"], job["pause_reason"], job["paused_because"]) == ("paused", "asked", None)
        assert server.verb(job_id, "resume")[0] == 202
        server.wait_at_gate("killed", 3)
        server.open_gate("killed", 3)
        job = server.wait_for(job_id, "completed")
        assert server.probe("killed")["done"] == 4  # the first two were on the disk
        item = server.wait_ended(job["prompt_id"])["prompt"]
        assert item[3]["extra_pnginfo"] == {"workflow": {"id": "w"}} and item[4] == ["save"]
        assert torch.equal(latent(server, job["prompt_id"]), expected(server))
        server.verb(asked, "resume")
        server.wait_for(asked, "completed")
        assert [one["event"] for one in somebody.told].count("ask") == 1, "nobody is asked again"
        server.stop()  # which writes files under other names first
        for file in (tmp_path / "user").rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes()
    finally:
        server.stop()
        somebody.released.set()
        somebody.shutdown()
        somebody.server_close()


def test_without_a_writable_directory_sampling_works_unwatched(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "__midrun").write_text("a file where the directory belongs")
    server = Comfy(tmp_path).start()
    try:
        prompt_id = server.queue(graphs.base(key="unwritable"))
        assert server.wait_ended(prompt_id)["status"]["completed"]
        assert code(server.call("GET", "/midrun/jobs")) == (503, "unavailable")
        assert "Midrun could not start" in server.tail(100000)
    finally:
        server.stop()
