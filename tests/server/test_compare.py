"""Jobs side by side: in what they differ at a step, and the grid of forks as one picture."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from harness import Comfy
from midrun.state.pictures.contact_sheet import GREY, SMALLEST
from test_compare_unit import near
from test_editing import put
from test_timetravel import completed, resume, rewind


def compare(comfy: Comfy, job_id: str, query: str) -> dict[str, Any]:
    return comfy.get(f"/midrun/jobs/{job_id}/compare?{query}")


def test_two_jobs_differ_in_what_was_in_force_at_the_step(comfy: Comfy) -> None:
    job_id = completed(comfy, "compared", steps=8)
    wanted = {"step": 3, "params": {"sampler": {"cfg": 1.5}}}
    fork = comfy.verb(job_id, "fork", wanted)[1]["jobs"][0]["job_id"]
    comfy.wait_for(fork, "completed")
    rewind(comfy, fork, 6)
    put(comfy, fork, ("sampler", "steps", 12))
    resume(comfy, fork)
    told = compare(comfy, job_id, f"with={fork}&step=7")
    assert [side["job_id"] for side in told["jobs"]] == [job_id, fork]
    assert [side["parent"] for side in told["jobs"]] == [
        None,
        {"job_id": job_id, "step": 3, "node_id": "sampler"},
    ]
    assert {row["input"]: row["values"] for row in told["differences"]} == {
        "cfg": [4.0, 1.5],
        "steps": [8, 12],
    }
    row = told["differences"][0]
    assert (row["node_id"], row["title"], row["class_type"]) == (
        "sampler",
        "KSampler (Midrun)",
        "MidrunKSampler",
    )
    for side in told["jobs"]:
        assert side["step"] == 7 and comfy.fetch(side["preview_url"])[0] == 200
    told = compare(comfy, fork, f"with={job_id}&step=5")
    assert [(row["input"], row["values"]) for row in told["differences"]] == [("cfg", [1.5, 4.0])]
    assert compare(comfy, job_id, f"with={fork}&step=2")["differences"] == []
    told = compare(comfy, job_id, f"with={fork}&step=0")
    assert [side["preview_url"] for side in told["jobs"]] == [None, None]
    assert compare(comfy, job_id, f"with={fork}")["step"] == 8
    for query, status in (
        (f"with={fork}&step=9", 404),
        ("with=nobody", 404),
        (f"with={job_id}", 400),
        ("step=2", 404),
        ("take=false", 400),
        (f"with={fork}&step=-1", 400),
        (f"with={fork}&take=1", 400),
        ("take=true", 404),
    ):
        got, answer = comfy.call("GET", f"/midrun/jobs/{job_id}/compare?{query}")
        assert got == status and answer["error"]["message"], query


def test_nodes_and_inputs_that_only_one_has_are_told_with_null(comfy: Comfy) -> None:
    one, other = completed(comfy, "alike", steps=4), completed(comfy, "alike-not", steps=4)
    differences = compare(comfy, one, f"with={other}")["differences"]
    assert [(row["node_id"], row["input"]) for row in differences] == [("probe", "key")]
    graph = comfy.get(f"/history/{one}")[one]["prompt"][2]
    graph["more"] = {"class_type": "TestConditioning", "inputs": {"seed": 10}, "_meta": {"title": "Mine"}}
    graph["sampler"]["inputs"]["positive"] = ["more", 0]
    third = comfy.queue({**graph, "probe": graph["probe"]})
    comfy.wait_for(third, "completed")
    differences = compare(comfy, one, f"with={third}")["differences"]
    assert {(row["node_id"], row["input"]): row["values"] for row in differences} == {
        ("sampler", "positive"): [["positive", 0], ["more", 0]],
        ("more", "seed"): [None, 10],
    }
    assert differences[-1]["title"] == "Mine"


def test_a_job_is_compared_with_the_take_that_a_rewind_left_behind(comfy: Comfy) -> None:
    job_id = completed(comfy, "take", steps=8, preview={"every": 2})
    rewind(comfy, job_id, 2)
    put(comfy, job_id, ("sampler", "cfg", 1.5))
    resume(comfy, job_id)
    job = rewind(comfy, job_id, 3)
    assert job["take"]["step"] == 8
    told = compare(comfy, job_id, "take=true&step=8")
    assert [(side["step"], side["take"]) for side in told["jobs"]] == [(3, False), (8, True)]
    assert told["differences"] == []
    assert comfy.fetch(told["jobs"][1]["preview_url"])[0] == 200
    rewind(comfy, job_id, 1)
    (row,) = compare(comfy, job_id, "take=true&step=8")["differences"]
    assert (row["input"], row["values"]) == ("cfg", [4.0, 1.5])
    assert compare(comfy, job_id, "take=true&step=1")["differences"] == []
    status, told = comfy.call("GET", f"/midrun/jobs/{job_id}/compare?take=true&step=7")
    assert status == 404 and "no picture was kept" in told["error"]["message"]
    resume(comfy, job_id)
    status, told = comfy.call("GET", f"/midrun/jobs/{job_id}/compare?take=true&step=8")
    assert (status, told["error"]["code"]) == (404, "no_take")


def sheet(comfy: Comfy, job_id: str, query: str = "") -> Image.Image:
    status, headers, content = comfy.fetch(f"/midrun/jobs/{job_id}/sheet{query}")
    assert status == 200 and headers["Content-Type"] == "image/webp", content
    return Image.open(io.BytesIO(content)).convert("RGB")


def test_a_grid_of_forks_is_one_picture(comfy: Comfy) -> None:
    job_id = completed(comfy, "grid", steps=4)
    assert comfy.call("GET", f"/midrun/jobs/{job_id}/sheet")[0] == 404
    single = comfy.verb(job_id, "fork", {"step": 2})[1]["jobs"][0]["job_id"]
    assert comfy.call("GET", f"/midrun/jobs/{job_id}/sheet")[1]["error"]["code"] == "no_grid"
    assert comfy.call("GET", f"/midrun/jobs/{single}/sheet")[0] == 404
    vary = {"sampler": {"cfg": [1.5, 3, 7], "sampler_name": ["euler", "dpmpp_2m"]}}
    forks = comfy.verb(job_id, "fork", {"step": 2, "vary": vary})[1]["jobs"]
    for fork in forks:
        comfy.wait_for(fork["job_id"], "completed")
    whole = sheet(comfy, job_id)
    assert whole.width > 3 * SMALLEST and 2 * SMALLEST < whole.height < 3 * SMALLEST
    assert sheet(comfy, forks[-1]["job_id"]).tobytes() == whole.tobytes()
    assert sheet(comfy, job_id, "?step=2").tobytes() != whole.tobytes()
    grey = sheet(comfy, job_id, "?step=99").getcolors(1 << 24)
    assert any(near(colour, GREY) and count > 5 * SMALLEST**2 for count, colour in grey)
    more = comfy.verb(job_id, "fork", {"step": 2, "count": 2})[1]["jobs"]
    newest = sheet(comfy, job_id)
    assert newest.width < whole.width and newest.size == sheet(comfy, more[0]["job_id"]).size
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}")[0] == 204
    assert sheet(comfy, forks[0]["job_id"]).tobytes() == whole.tobytes()
    assert comfy.call("GET", f"/midrun/jobs/{forks[0]['job_id']}/sheet?step=x")[0] == 400


def test_two_jobs_part_at_a_step_and_are_ever_further_apart(comfy: Comfy) -> None:
    job_id = completed(comfy, "curve", steps=6)
    wanted = {"step": 3, "params": {"sampler": {"cfg": 1.5}}}
    fork = comfy.verb(job_id, "fork", wanted)[1]["jobs"][0]["job_id"]
    comfy.wait_for(fork, "completed")
    told = comfy.get(f"/midrun/jobs/{job_id}/compare/steps?with={fork}")
    assert (told["jobs"], told["first"]) == ([job_id, fork], 4)
    assert [at["step"] for at in told["steps"]] == [1, 2, 3, 4, 5, 6]
    assert [at["difference"] == 0 for at in told["steps"]] == [True] * 3 + [False] * 3
    assert all(0 <= at["difference"] < 2 for at in told["steps"])
    same = comfy.verb(job_id, "fork", {"step": 2})[1]["jobs"][0]["job_id"]
    comfy.wait_for(same, "completed")
    assert comfy.get(f"/midrun/jobs/{same}/compare/steps?with={job_id}")["first"] is None
    rewind(comfy, fork, 4)
    assert len(comfy.get(f"/midrun/jobs/{fork}/compare/steps?with={job_id}")["steps"]) == 4
    larger = completed(comfy, "curve-larger", steps=6, latent={"size": 24})
    for query, status in (
        ("", 400),
        (f"with={job_id}", 400),
        (f"with={larger}", 400),
        ("with=nobody", 404),
        (f"with={fork}&step=1", 400),
    ):
        got, answer = comfy.call("GET", f"/midrun/jobs/{job_id}/compare/steps?{query}")
        assert got == status and answer["error"]["message"], query
