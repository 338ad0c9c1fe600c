"""Rewinding and forking on a real server: what was recorded is shared, what comes after it is computed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

import graphs
from harness import Comfy
from midrun.state.server_directory import directory_name
from resuming import latent
from test_control import expected, kinds, pause_at, start
from test_editing import oracle_plain, put
from test_samplers import all_samplers

SAMPLER = f"{directory_name('sampler')}.0"


def rewind(comfy: Comfy, job_id: str, step: int, **more: Any) -> dict[str, Any]:
    status, job = comfy.verb(job_id, "rewind", {"step": step, **more})
    assert status == 200, job
    return job


def resume(comfy: Comfy, job_id: str) -> dict[str, Any]:
    status, job = comfy.verb(job_id, "resume")
    assert status == 202, job
    return comfy.wait_for(job_id, "completed")


def completed(comfy: Comfy, key: str, **options: Any) -> str:
    job_id = start(comfy, key, **options)
    comfy.wait_for(job_id, "completed")
    return job_id


def recordings_of(comfy: Comfy, job_id: str) -> Path:
    return comfy.base / "user" / "__midrun" / "recordings" / job_id


def files_after(directory: Path, evaluations: int) -> list[tuple[int, int]]:
    """(bytes, number) of the files of a recording that are of later evaluations; a step has one of each."""
    found = [(file.stat().st_size, file.stem.rpartition("-")) for file in directory.glob("*.safetensors")]
    numbered = [(size, kind, int(number)) for size, (kind, _, number) in found if number.isdigit()]
    last = {"": evaluations - 1}
    return [(size, number) for size, kind, number in numbered if number > last.get(kind, evaluations)]


def rewound_everywhere(comfy: Comfy, sampler: str) -> str | None:
    """What is wrong with going back to three steps of a completed run, or None."""
    key = f"rewind-{sampler}"
    job_id = completed(comfy, key, sampler=sampler)
    want = latent(comfy, job_id)
    if not torch.equal(want, expected(comfy, sampler=sampler)):
        return "the watched run is another"
    steps = comfy.job(job_id)["step"]
    for step in sorted({0, steps // 2, steps - 1}):
        job = rewind(comfy, job_id, step)
        if (job["state"], job["step"], job["take"]["step"]) != ("paused", step, steps):
            return f"it is at {job['step']}, {job['state']}"
        recorded, before = job["evaluations"], comfy.probe(key)["done"]
        job = resume(comfy, job_id)
        if not torch.equal(latent(comfy, job["prompt_id"]), want):
            return f"another latent from step {step}"
        live = comfy.probe(key)["done"] - before
        if live != job["evaluations"] - recorded:
            return f"{live} evaluations were computed from step {step}, with {recorded} on record"
    return None


@pytest.mark.timeout(1500)
def test_every_sampler_is_rewound_and_goes_on_bit_identically(comfy: Comfy) -> None:
    names = all_samplers(comfy)
    chosen = names if os.environ.get("MIDRUN_FULL") else names[::4]
    wrong = {name: told for name in chosen if (told := rewound_everywhere(comfy, name)) is not None}
    assert wrong == {}


def test_a_held_job_goes_back_and_forth(comfy: Comfy) -> None:
    job_id = start(comfy, "back", "5")
    pause_at(comfy, job_id, "back", 5)
    status, job = comfy.verb(job_id, "step", {"count": -2})
    assert (status, job["state"], job["held"], job["step"], job["evaluations"]) == (
        202,
        "paused",
        False,
        2,
        2,
    )
    node = {"node_id": "sampler", "display_node_id": "sampler", "iteration": None}
    assert job["take"] == {**node, "step": 4}
    job = rewind(comfy, job_id, 1)
    assert (job["step"], job["take"]["step"]) == (1, 4)
    assert job["preview_url"].endswith("step=1") and comfy.fetch(job["preview_url"])[0] == 200
    status, job = comfy.call("DELETE", f"/midrun/jobs/{job_id}/rewind")
    assert (status, job["step"], job["evaluations"], job["take"]) == (200, 4, 4, None)
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}/rewind")[0] == 409
    job = resume(comfy, job_id)
    assert comfy.probe("back")["done"] == 6
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))
    assert [kind for kind in kinds(comfy, job_id) if kind in ("rewind", "restore")] == [
        "rewind",
        "rewind",
        "restore",
    ]


def test_a_rewind_is_taken_back_after_an_abort(comfy: Comfy) -> None:
    job_id = start(comfy, "regret", "4", steps=6)
    pause_at(comfy, job_id, "regret", 4)
    rewind(comfy, job_id, 1)
    assert comfy.verb(job_id, "abort")[1]["state"] == "aborted"
    restore = lambda: comfy.call("DELETE", f"/midrun/jobs/{job_id}/rewind")  # noqa: E731
    _, job = comfy.until(lambda: (told := restore())[0] == 200 and told, "its last run to leave ComfyUI")
    assert (job["state"], job["step"], job["take"]) == ("paused", 3, None)
    job = resume(comfy, job_id)
    assert comfy.probe("regret")["done"] == 6, "nothing is computed twice"
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_going_back_beyond_edits_brings_back_what_was_in_force(comfy: Comfy) -> None:
    job_id = start(comfy, "beyond", "3,5", steps=8)
    pause_at(comfy, job_id, "beyond", 3)
    put(comfy, job_id, ("sampler", "cfg", 1.5))
    comfy.verb(job_id, "resume")
    pause_at(comfy, job_id, "beyond", 5)
    put(comfy, job_id, ("sampler", "steps", 12))
    edited = resume(comfy, job_id)
    assert edited["total_steps"] > 8
    want = latent(comfy, edited["prompt_id"])
    job = rewind(comfy, job_id, 3)
    assert (job["total_steps"], set(job["modified_params"]["sampler"])) == (8, {"cfg"})
    job = rewind(comfy, job_id, 1)
    assert (job["total_steps"], job["modified_params"]) == (8, {})
    values = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]["sampler"]["inputs"]
    assert (values["cfg"]["value"], values["steps"]["value"]) == (4.0, 8)
    job = comfy.call("DELETE", f"/midrun/jobs/{job_id}/rewind")[1]
    assert job["modified_params"]["sampler"]["steps"] == {"from": 8, "to": 12, "from_step": 4}
    before = comfy.probe("beyond")["done"]
    assert torch.equal(latent(comfy, resume(comfy, job_id)["prompt_id"]), want)
    assert comfy.probe("beyond")["done"] == before
    rewind(comfy, job_id, 1)
    job = resume(comfy, job_id)
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy, steps=8))
    assert comfy.probe("beyond")["done"] == before + 7


def test_a_schedule_is_edited_where_a_job_was_rewound_to(comfy: Comfy) -> None:
    job_id = completed(comfy, "replan", steps=20, scheduler="simple")
    rewind(comfy, job_id, 10)
    assert put(comfy, job_id, ("sampler", "steps", 30))[0] == 200
    got = latent(comfy, resume(comfy, job_id)["prompt_id"])
    other = start(comfy, "replan-straight", "11", steps=20, scheduler="simple")
    pause_at(comfy, other, "replan-straight", 11)
    put(comfy, other, ("sampler", "steps", 30))
    assert torch.equal(got, latent(comfy, resume(comfy, other)["prompt_id"]))


def test_another_schedule_after_a_rewind_to_the_beginning_is_sampled_as_a_new_job_s(comfy: Comfy) -> None:
    job_id = completed(comfy, "anew", steps=8)
    rewind(comfy, job_id, 0)
    assert put(comfy, job_id, ("sampler", "steps", 5))[0] == 200
    job = resume(comfy, job_id)
    assert comfy.get(f"/history/{job_id}"), "what was completed stays in ComfyUI's history"
    assert (job["step"], job["total_steps"]) == (5, 5)
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy, steps=5))


@pytest.mark.parametrize("step", [0, 3])
def test_a_rewind_is_taken_back_after_a_schedule_that_computed_nothing(comfy: Comfy, step: int) -> None:
    key = f"void-{step}"
    job_id = start(comfy, key, "9", steps=8)
    want = latent(comfy, comfy.wait_for(job_id, "completed")["prompt_id"])
    rewind(comfy, job_id, step)
    assert put(comfy, job_id, ("sampler", "steps", 5))[0] == 200
    comfy.verb(job_id, "resume")
    pause_at(comfy, job_id, key, 9)  # in its first evaluation
    job = comfy.call("DELETE", f"/midrun/jobs/{job_id}/rewind")[1]
    assert (job["step"], job["total_steps"], job["modified_params"]) == (8, 8, {})
    assert torch.equal(latent(comfy, resume(comfy, job_id)["prompt_id"]), want)
    assert comfy.probe(key)["done"] == 8


def test_forks_share_what_was_recorded_and_leave_the_original_alone(comfy: Comfy) -> None:
    job_id = completed(comfy, "fork", steps=12)
    want = latent(comfy, job_id)
    before = comfy.probe("fork")["done"]
    cfgs = [1.5 + number for number in range(9)]
    body = {"step": 5, "vary": {"sampler": {"cfg": cfgs}}}
    status, told = comfy.verb(job_id, "fork", body)
    assert status == 202 and len(told["jobs"]) == 9, told
    assert all(job["parent"] == {"job_id": job_id, "step": 5, "node_id": "sampler"} for job in told["jobs"])
    for cfg, fork in zip(cfgs, told["jobs"], strict=True):
        job = comfy.wait_for(fork["job_id"], "completed")
        if cfg != 4.0:
            assert job["modified_params"]["sampler"]["cfg"] == {"from": 4.0, "to": cfg, "from_step": 5}
        graph = graphs.base(watched=False, steps=12)
        links = {"model": ["model", 0], "other": ["model", 0], "positive": ["positive", 0]}
        graph["switch"] = graphs.node("TestSwitch", **links, cfg=cfg, at=6, key="")
        graph["sampler"]["inputs"]["model"] = ["switch", 0]
        assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, comfy.queue(graph))), cfg
        mine = recordings_of(comfy, fork["job_id"]) / SAMPLER
        theirs = recordings_of(comfy, job_id) / SAMPLER
        assert (mine / "000004.safetensors").samefile(theirs / "000004.safetensors")
        assert not (mine / "000005.safetensors").samefile(theirs / "000005.safetensors")
    live = comfy.probe("fork")["done"] - before
    assert live == 9 * 7 and live < 9 * 7 + 0.02 * 12
    ids = [fork["job_id"] for fork in told["jobs"]]
    unshared = 9 * sum(size for size, _ in files_after(recordings_of(comfy, job_id) / SAMPLER, 5))
    parents = {file.stat().st_ino for file in recordings_of(comfy, job_id).rglob("*") if file.is_file()}
    theirs = [file for fork in ids for file in recordings_of(comfy, fork).rglob("*") if file.is_file()]
    added = {file.stat().st_ino: file.stat().st_size for file in theirs}
    assert sum(size for inode, size in added.items() if inode not in parents) < 1.1 * unshared
    first = told["jobs"][0]["job_id"]
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}")[0] == 204
    comfy.until(lambda: not recordings_of(comfy, job_id).exists(), "the parent's files to go")
    rewind(comfy, first, 3)
    assert torch.equal(latent(comfy, resume(comfy, first)["prompt_id"]), want)


def test_a_fork_shows_the_pictures_of_the_steps_that_it_shares(comfy: Comfy) -> None:
    every_step = {"method": "latent2rgb", "every": 1}
    job_id = start(comfy, "film", "2,3,4,5,6", steps=6, preview=every_step)
    for step in (1, 2, 3, 4, 5):  # a model that is faster than its pictures would leave some out
        comfy.wait_at_gate("film", step + 1)
        comfy.until(lambda: step in pictures(comfy, job_id), f"the picture of step {step}")  # noqa: B023
        comfy.open_gate("film", step + 1)
    comfy.wait_for(job_id, "completed")
    comfy.until(lambda: len(pictures(comfy, job_id)) == 6, "all pictures")
    status, told = comfy.verb(job_id, "fork", {"step": 4, "params": {"sampler": {"cfg": 2.0}}})
    assert status == 202, told
    fork = told["jobs"][0]["job_id"]
    comfy.wait_for(fork, "completed")
    comfy.until(lambda: {1, 2, 3, 4, 6} <= set(pictures(comfy, fork)), "its pictures")
    mine, theirs = pictures(comfy, job_id), pictures(comfy, fork)
    assert [step for step in mine if mine[step] == theirs[step]] == [1, 2, 3, 4]
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}")[0] == 204
    assert pictures(comfy, fork) == theirs


def pictures(comfy: Comfy, job_id: str) -> dict[int, bytes]:
    """What the list of previews has, by step."""
    listed = comfy.get(f"/midrun/jobs/{job_id}/previews")["previews"]
    return {one["step"]: comfy.fetch(one["url"])[2] for one in listed}


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("rewind", {}, 400),
        ("rewind", {"step": -1}, 400),
        ("rewind", {"step": "2"}, 400),
        ("rewind", {"step": 2, "node_id": 5}, 400),
        ("rewind", {"step": 99}, 404),
        ("rewind", {"step": 2, "node_id": "../../x"}, 404),
        ("step", {"count": 0}, 400),
        ("fork", {"step": 2, "count": 17}, 400),
        ("fork", {"step": 2, "vary": {"sampler": {"cfg": 5}}}, 400),
        ("fork", {"step": 2, "vary": {"a": {"b": [1]}, "c": {"d": [1], "e": [2]}}}, 400),
        ("fork", {"step": 2, "vary": {"sampler": {"cfg": list(range(17))}}}, 400),
        ("fork", {"step": 2, "params": {"sampler": {"cfg": -5}}}, 422),
        ("fork", {"step": 2, "vary": {"sampler": {"cfg": [3.0, "x"]}}}, 422),
        ("fork", {"step": 2, "params": {"sampler": {"seed": 5}}}, 422),
        ("fork", {"step": 99}, 404),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    comfy: Comfy, past: str, verb: str, body: Any, status: int
) -> None:
    before, jobs = comfy.job(past), len(comfy.get("/midrun/jobs?limit=500")["jobs"])
    got, answer = comfy.verb(past, verb, body)
    assert got == status and answer["error"]["message"], answer
    assert comfy.job(past) == before and len(comfy.get("/midrun/jobs?limit=500")["jobs"]) == jobs


@pytest.fixture(scope="module")
def past(comfy: Comfy) -> str:
    return completed(comfy, "past", steps=4)


def test_a_running_job_is_not_rewound_but_can_be_forked(comfy: Comfy) -> None:
    job_id = start(comfy, "running-fork", "4")
    comfy.wait_at_gate("running-fork", 4)
    assert comfy.verb(job_id, "rewind", {"step": 1})[0] == 409
    status, told = comfy.verb(job_id, "fork", {"step": 2, "params": {"sampler": {"cfg": 1.5}}})
    assert status == 202, told
    comfy.open_gate("running-fork", 4)
    assert torch.equal(latent(comfy, job_id), expected(comfy))
    fork = comfy.wait_for(told["jobs"][0]["job_id"], "completed")
    assert torch.equal(latent(comfy, fork["prompt_id"]), oracle_plain(comfy, 1.5, 3))


def test_a_rewound_job_and_its_fork_survive_a_crash(tmp_path: Path) -> None:
    server = Comfy(tmp_path).start()
    try:
        job_id = completed(server, "crash")
        want = latent(server, job_id)
        rewind(server, job_id, 2)
        server.kill()
        server.start()
        job = server.job(job_id)
        assert (job["state"], job["step"], job["take"]["step"]) == ("paused", 2, 6)
        assert server.verb(job_id, "fork", {"step": 1})[0] == 202
        job = resume(server, job_id)
        assert server.probe("crash")["done"] >= 4 and job["take"] is None
        assert torch.equal(latent(server, job["prompt_id"]), want)
        fork = next(job for job in server.get("/midrun/jobs")["jobs"] if job["parent"])
        fork = server.wait_for(fork["job_id"], "completed")
        assert torch.equal(latent(server, fork["prompt_id"]), want)
    finally:
        server.stop()


def test_an_earlier_sampler_is_rewound_with_what_came_after_it(comfy: Comfy) -> None:
    graph = graphs.base(key="two")
    graph["second"] = graphs.node(
        "MidrunKSampler", **graph["sampler"]["inputs"] | {"latent_image": ["sampler", 0], "denoise": 0.5}
    )
    graph["save"]["inputs"]["samples"] = ["second", 0]
    job_id = comfy.queue(graph)
    comfy.wait_for(job_id, "completed")
    want, before = latent(comfy, job_id), comfy.probe("two")["done"]
    job = rewind(comfy, job_id, 4, node_id="sampler")
    assert (job["node_id"], job["step"]) == ("sampler", 4)
    put(comfy, job_id, ("sampler", "cfg", 1.5))
    edited = resume(comfy, job_id)
    assert comfy.probe("two")["done"] - before == 2 + 6
    assert not torch.equal(latent(comfy, edited["prompt_id"]), want)
    job = rewind(comfy, job_id, 4, node_id="sampler")
    comfy.call("DELETE", f"/midrun/jobs/{job_id}/params/sampler/cfg")
    assert torch.equal(latent(comfy, resume(comfy, job_id)["prompt_id"]), want)
