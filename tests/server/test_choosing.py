"""Midrun Choose: a job waits for somebody to choose from a batch, and goes on with what was chosen."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import graphs
from harness import Comfy
from resuming import latent
from test_control import pause_at

BATCH = 4


def choosing(key: str, watched: bool = True, **terms: Any) -> graphs.Graph:
    """Two of four latents are chosen, then one of the two pictures that they make."""
    graph = graphs.base(key=key, steps=4, seed=len(key), latent={"batch": BATCH}, watched=watched)
    graph["first"] = graphs.node("MidrunChoose", batch=["sampler", 0], most=2, **terms)
    graph["vae"] = graphs.node("TestVAE", seed=3)
    graph["decode"] = graphs.node("VAEDecode", samples=["first", 0], vae=["vae", 0])
    graph["second"] = graphs.node("MidrunChoose", batch=["decode", 0], most=1)
    graph["picture"] = graphs.node("SaveImage", images=["second", 0], filename_prefix=f"choose/{key}")
    graph["save"]["inputs"]["samples"] = ["first", 0]
    return graph


def plain(comfy: Comfy, key: str) -> tuple[torch.Tensor, list[np.ndarray]]:
    """All latents of that key, and their pictures, without Midrun."""
    graph = choosing(key, watched=False)
    for name in ("first", "second"):
        del graph[name]
    graph["decode"]["inputs"]["samples"] = graph["save"]["inputs"]["samples"] = ["sampler", 0]
    graph["picture"]["inputs"]["images"] = ["decode", 0]
    prompt_id = comfy.queue(graph)
    return latent(comfy, prompt_id), pictures(comfy, prompt_id)


def pictures(comfy: Comfy, prompt_id: str, node: str = "picture") -> list[np.ndarray]:
    saved = comfy.wait_ended(prompt_id)["outputs"].get(node, {}).get("images", [])
    places = [comfy.base / "output" / one["subfolder"] / one["filename"] for one in saved]
    return [np.asarray(Image.open(place)) for place in places]


def choose(comfy: Comfy, job_id: str, chosen: Any, **more: Any) -> tuple[int, Any]:
    return comfy.verb(job_id, "choose", {"chosen": chosen, **more})


def asked(comfy: Comfy, job_id: str, node: str) -> dict[str, Any]:
    """Wait until the job asks there; its choice."""
    job = comfy.until(lambda: _asks(comfy.job(job_id), node), f"{job_id} to ask at {node}")
    assert job["pause_reason"] == "choice" and job["gpu_released"]
    return job["choice"]


def _asks(job: dict[str, Any], node: str) -> dict[str, Any] | None:
    assert job["state"] != "failed", job["error"]
    waits = job["state"] == "paused" and job["choice"] is not None
    return job if waits and job["choice"]["node_id"] == node else None


def picture_of(comfy: Comfy, job_id: str, number: int) -> Image.Image:
    status, headers, content = comfy.fetch(f"/midrun/jobs/{job_id}/choice/{number}")
    assert (status, headers["Content-Type"]) == (200, "image/webp")
    return Image.open(io.BytesIO(content))


def test_ten_jobs_wait_at_choices_and_each_goes_on_with_what_was_chosen(tmp_path: Path) -> None:
    comfy = Comfy(tmp_path).start()
    try:
        keys = ["k" * n for n in range(1, 11)]  # each has another seed
        jobs = {key: comfy.queue(choosing(key)) for key in keys}
        for job_id in jobs.values():
            choice = asked(comfy, job_id, "first")
            assert (choice["kind"], choice["count"], choice["most"]) == ("latent", BATCH, 2)
        other = comfy.queue(graphs.base(key="other"))
        comfy.wait_for(other, "completed")  # nobody has to choose for the queue to go on
        assert comfy.get("/midrun/queue")["choices"] == len(jobs)
        before = {key: comfy.probe(key)["done"] for key in keys}
        comfy.kill()
        comfy.start()
        assert comfy.get("/midrun/queue") == {"paused": False, "interrupted": 0} | dict.fromkeys(
            ("choices", "standing"), len(jobs)
        )
        wanted = {key: [1 + n % 3, 4] for n, key in enumerate(keys)}
        for key in reversed(keys):  # in another order than they were queued in
            assert comfy.job(jobs[key])["choice"]["version"], "the pictures are there still"
            assert picture_of(comfy, jobs[key], BATCH).size[0] > 1
            assert choose(comfy, jobs[key], wanted[key])[0] == 202
        for key in keys:
            choice = asked(comfy, jobs[key], "second")
            assert (choice["kind"], choice["count"]) == ("image", 2)
            assert picture_of(comfy, jobs[key], 2).size == (128, 128)
            assert choose(comfy, jobs[key], [2])[0] == 202
        for key in keys:
            job = comfy.wait_for(jobs[key], "completed")
            latents, shown = plain(comfy, key)
            taken = [number - 1 for number in wanted[key]]
            assert torch.equal(latent(comfy, job["prompt_id"]), latents[taken])
            (picture,) = pictures(comfy, job["prompt_id"])
            assert np.array_equal(picture, shown[taken[1]])
            assert job["modified_params"]["second"]["chosen"]["to"] == "2" and job["choice"] is None
        assert all(before[key] == 4 for key in keys), before
    finally:
        comfy.stop()


def test_what_makes_no_sense_is_refused_and_the_job_waits_on(comfy: Comfy) -> None:
    job_id = comfy.queue(choosing("refused"))
    asked(comfy, job_id, "first")
    for body in (
        {"chosen": [5]},
        {"chosen": [0]},
        {"chosen": [1, 2, 3]},
        {"chosen": "some"},
        {"chosen": 1},
        {"chosen": [True]},
        {},
        {"chosen": [1], "mask": 3},
        {"chosen": [1], "more": 1},
    ):
        status, told = comfy.verb(job_id, "choose", body)
        assert status == 400 and told["error"]["message"], (body, told)
    status, told = choose(comfy, job_id, [1], mask="nowhere.png")
    assert status == 422 and "nowhere.png" in json.dumps(told), told
    status, told = comfy.verb(job_id, "resume")
    assert status == 409 and "waits for a choice" in told["error"]["message"]
    told = comfy.post("/midrun/jobs/resume", {"ids": [job_id]})["jobs"]
    assert told[0]["error"]["code"] == "illegal_transition"
    assert comfy.call("GET", f"/midrun/jobs/{job_id}/choice/9")[0] == 404
    asked(comfy, job_id, "first")
    assert comfy.job(job_id)["modified_params"] == {}
    comfy.verb(job_id, "abort")
    assert choose(comfy, job_id, [1])[0] == 409


def test_a_choice_is_an_edit_that_a_rewind_takes_back(comfy: Comfy) -> None:
    job_id = comfy.queue(choosing("undone"))
    asked(comfy, job_id, "first")
    choose(comfy, job_id, [3, 1])
    asked(comfy, job_id, "second")
    choose(comfy, job_id, "first")
    comfy.wait_for(job_id, "completed")
    events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    told = [one["to"] for event in events if event["kind"] == "edit" for one in event["detail"]["edits"]]
    assert told == ["1, 3", "first"]
    assert comfy.verb(job_id, "rewind", {"step": 4})[0] == 200  # where it was chosen
    assert comfy.job(job_id)["modified_params"] == {}
    assert comfy.verb(job_id, "rewind", {"step": 2})[0] == 200
    assert comfy.verb(job_id, "resume")[0] == 202
    assert asked(comfy, job_id, "first")["count"] == BATCH
    choose(comfy, job_id, "none")
    job = comfy.wait_for(job_id, "completed")
    assert pictures(comfy, job["prompt_id"]) == [], "nothing goes on"


@pytest.mark.parametrize("policy", ["hold", "park"])
def test_where_nobody_chooses_in_time_the_rest_goes_on_by_itself(comfy: Comfy, policy: str) -> None:
    graph = choosing(f"late-{policy}", wait_minutes=0.01, otherwise="first")
    graph["sampler"]["inputs"]["queue_policy"] = policy
    job_id = comfy.queue(graph)
    assert asked(comfy, job_id, "second")["count"] == 1  # one of four
    assert comfy.job(job_id)["modified_params"]["first"]["chosen"]["to"] == "first"
    kinds = [event["kind"] for event in comfy.get(f"/midrun/jobs/{job_id}/events")["events"]]
    assert "not_chosen" in kinds
    comfy.verb(job_id, "abort")


def test_a_second_choice_has_a_deadline_of_its_own(comfy: Comfy) -> None:
    graph = choosing("deadlines", wait_minutes=600)
    graph["second"]["inputs"] |= {"wait_minutes": 0.01, "otherwise": "none"}
    job_id = comfy.queue(graph)
    asked(comfy, job_id, "first")
    choose(comfy, job_id, [1])
    job = comfy.wait_for(job_id, "completed")
    assert job["modified_params"]["second"]["chosen"]["to"] == "none"


def test_what_nobody_chose_is_asked_again_by_the_same_prompt(comfy: Comfy) -> None:
    """Also where ComfyUI has all of it in its cache; and what was begun at a choice can be finished."""
    graph = choosing("again-and-again")
    graph["sampler"]["inputs"]["seed"] = 991
    job_id = comfy.queue(graph)
    asked(comfy, job_id, "first")
    choose(comfy, job_id, [1, 2])
    asked(comfy, job_id, "second")
    status, told = comfy.verb(job_id, "abort", {"mode": "finish"})
    assert status == 200, told
    assert len(pictures(comfy, comfy.job(job_id)["prompt_id"])) == 2  # all, as nobody chose
    again = comfy.queue(graph)
    assert asked(comfy, again, "first")["count"] == BATCH
    comfy.verb(again, "abort")


def test_a_mask_is_painted_and_handed_on(comfy: Comfy) -> None:
    graph = choosing("painted")
    graph["second"]["inputs"]["paint"] = True
    graph["mask"] = graphs.node("MaskToImage", mask=["second", 1])
    graph["masks"] = graphs.node("SaveImage", images=["mask", 0], filename_prefix="choose/mask")
    job_id = comfy.queue(graph)
    assert asked(comfy, job_id, "first")["paints"] is False
    choose(comfy, job_id, [2])
    assert asked(comfy, job_id, "second")["paints"] is True
    painted = Image.new("L", picture_of(comfy, job_id, 1).size)
    painted.paste(255, (3, 4, 90, 80))
    (comfy.base / "input" / "midrun").mkdir(parents=True, exist_ok=True)
    painted.save(comfy.base / "input" / "midrun" / "mask.png")
    assert choose(comfy, job_id, [1], mask="midrun/mask.png")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    (mask,) = pictures(comfy, job["prompt_id"], "masks")
    assert np.array_equal(mask[..., 0], np.asarray(painted))


def test_without_midrun_s_sampler_a_choice_waits_all_the_same(comfy: Comfy) -> None:
    graph = {
        "image": graphs.node("EmptyImage", width=16, height=8, batch_size=3, color=255),
        "choose": graphs.node("MidrunChoose", batch=["image", 0], most=0),
        "picture": graphs.node("SaveImage", images=["choose", 0], filename_prefix="choose/alone"),
    }
    job_id = comfy.queue(graph)
    assert asked(comfy, job_id, "choose")["count"] == 3
    assert choose(comfy, job_id, "all")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert len(pictures(comfy, job["prompt_id"])) == 3


def test_a_breakpoint_asks_before_a_node_that_knows_nothing_of_it(comfy: Comfy) -> None:
    """By the workflow's property, and of a job that is under way."""
    graph = graphs.base(key="asks", steps=3, seed=77, latent={"batch": BATCH})
    told = [{"kind": "node", "choose": 2}]
    workflow = {"nodes": [{"id": "save", "type": "X", "properties": {"Midrun.breakpoints": told}}]}
    job_id = comfy.queue(graph, extra_data={"extra_pnginfo": {"workflow": workflow}})
    choice = asked(comfy, job_id, "midrun-choose-save")
    assert (choice["kind"], choice["count"], choice["most"]) == ("latent", BATCH, 2)
    choose(comfy, job_id, [2, 3])
    job = comfy.wait_for(job_id, "completed")
    whole = latent(comfy, comfy.queue(graphs.base(steps=3, seed=77, latent={"batch": BATCH}, watched=False)))
    assert torch.equal(latent(comfy, job["prompt_id"]), whole[1:3])
    later = comfy.queue(graphs.base(key="asks-later", gates="2", steps=3, seed=77, latent={"batch": BATCH}))
    pause_at(comfy, later, "asks-later", 2)
    points = {"breakpoints": [{"kind": "node", "node_id": "save", "choose": 0}]}
    assert comfy.call("PUT", f"/midrun/jobs/{later}/breakpoints", points)[0] == 200
    comfy.verb(later, "rewind", {"step": 0})
    comfy.verb(later, "resume")
    asked(comfy, later, "midrun-choose-save")
    comfy.call("DELETE", f"/midrun/jobs/{later}/breakpoints")  # what was chosen stays all the same
    choose(comfy, later, "first")
    job = comfy.wait_for(later, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), whole[:1])
    assert comfy.job(job_id)["breakpoints"][-1]["hits"] == 1


def test_a_breakpoint_that_is_taken_away_lets_go_of_its_job(comfy: Comfy) -> None:
    graph = graphs.base(key="withdrawn", steps=3, seed=78, latent={"batch": BATCH})
    told = [{"kind": "node", "choose": 1}]
    workflow = {"nodes": [{"id": "save", "type": "X", "properties": {"Midrun.breakpoints": told}}]}
    job_id = comfy.queue(graph, extra_data={"extra_pnginfo": {"workflow": workflow}})
    asked(comfy, job_id, "midrun-choose-save")
    comfy.call("DELETE", f"/midrun/jobs/{job_id}/breakpoints")
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert len(latent(comfy, job["prompt_id"])) == BATCH


def test_what_a_sampler_used_up_is_not_chosen_from_any_more(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="used", gates="2", steps=3, latent={"batch": BATCH}))
    pause_at(comfy, job_id, "used", 2)
    points = {"breakpoints": [{"kind": "node", "node_id": "sampler", "choose": 1}]}
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", points)[0] == 200
    comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {"sampler": {"cfg": 2.0}})  # so that a new run goes on
    comfy.verb(job_id, "resume")
    assert comfy.wait_for(job_id, "completed")["step"] == 3
    refused = [{"kind": "node", "node_id": "save", "choose": 1, "action": "abort"}]
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", {"breakpoints": refused})[0] == 400
