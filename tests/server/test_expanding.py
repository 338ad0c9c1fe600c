"""What a node puts in its place while it runs counts as that node everywhere, and as itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load

import graphs
from harness import Comfy
from resuming import latent
from test_breakpoints import breakpoints, resume
from test_editing import put

FIRST, SECOND = "sampler.0.0.1", "sampler.0.0.2"  # as ComfyUI calls them


def workflow(key: str = "", gates: str = "", watched: bool = True, **options: Any) -> graphs.Graph:
    """A node that becomes two samplers, with 6 steps each."""
    graph = graphs.expanding(graphs.base(watched=False, key=key, gates=gates), **options)
    return graphs.behind_attach(graph, queue_policy="park") if watched else graph


def paused(comfy: Comfy, key: str, gate: int, **options: Any) -> tuple[str, dict[str, Any]]:
    job_id = comfy.queue(workflow(key, str(gate), **options))
    comfy.wait_at_gate(key, gate)
    status, job = comfy.verb(job_id, "pause", query="?wait=30")
    assert status == 200
    return job_id, comfy.wait_for(job_id, "paused")


def oracle(comfy: Comfy, **options: Any) -> torch.Tensor:
    return latent(comfy, comfy.queue(workflow(watched=False, **options)))


def get(comfy: Comfy, job_id: str, what: str) -> tuple[int, bytes]:
    status, _, content = comfy.fetch(f"/midrun/jobs/{job_id}/{what}")
    return status, content


def test_it_is_told_and_found_by_both_names(comfy: Comfy) -> None:
    job_id, job = paused(comfy, "expand-names", 9)
    assert (job["node_id"], job["display_node_id"], job["iteration"]) == (SECOND, "sampler", None)
    newest = get(comfy, job_id, "latent")
    assert newest[0] == 200 and newest == get(comfy, job_id, "latent?node_id=sampler")
    assert newest == get(comfy, job_id, f"latent?node_id={SECOND}")
    first = get(comfy, job_id, f"latent?node_id={FIRST}")
    assert first[0] == 200 and not torch.equal(
        load(first[1])["latent_tensor"], load(newest[1])["latent_tensor"]
    )
    for name in ("sampler", FIRST, SECOND):
        assert get(comfy, job_id, f"preview?node_id={name}&step=2")[0] == 200, name
        assert get(comfy, job_id, f"preview?node_id={name}")[0] == 200, name
    assert (
        get(comfy, job_id, "preview?node_id=sampler")[1] == get(comfy, job_id, f"preview?node_id={SECOND}")[1]
    )
    for what in ("latent", "preview"):
        assert get(comfy, job_id, f"{what}?node_id=sampler.0")[0] == 404
        assert get(comfy, job_id, f"{what}?node_id=sampler&iteration=1")[0] == 404  # it is in no loop
    told = comfy.get(f"/midrun/jobs/{job_id}/telemetry")["telemetry"]
    assert {row["node_id"] for row in told} == {FIRST, SECOND}
    assert {(row["display_node_id"], row["iteration"]) for row in told} == {("sampler", None)}
    previews = comfy.get(f"/midrun/jobs/{job_id}/previews")["previews"]
    assert {row["display_node_id"] for row in previews} == {"sampler"}
    params = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]["sampler"]["inputs"]
    assert (params["cfg"]["verdict"], params["seed"]["verdict"]) == ("live", "consumed")
    comfy.verb(job_id, "abort", {"reason": "by both names"})
    comfy.wait_for(job_id, "aborted")
    failure = comfy.get("/midrun/failures")["failures"][0]
    assert (failure["node_class"], failure["display_node_id"]) == ("TestExpanding", "sampler")
    assert get(comfy, job_id, "latent?node_id=sampler")[0] == 200


def test_a_breakpoint_on_it_is_met_in_each_sampler_that_it_becomes(comfy: Comfy) -> None:
    job_id, _ = paused(comfy, "expand-break", 1)
    breakpoints(comfy, job_id, {"kind": "step", "value": 2, "node_id": "sampler"})
    seen = []
    comfy.verb(job_id, "resume")
    while (job := comfy.wait_for(job_id, "paused", "completed"))["state"] == "paused":
        seen.append((job["node_id"], job["step"]))
        resume(comfy, job)
    assert seen == [(FIRST, 2), (SECOND, 2)] and job["breakpoints"][0]["hits"] == 2
    assert torch.equal(latent(comfy, job["prompt_id"]), oracle(comfy))


def test_a_breakpoint_on_one_of_them_is_met_in_that_one_only(comfy: Comfy) -> None:
    job_id, _ = paused(comfy, "expand-one", 1)
    breakpoints(comfy, job_id, {"kind": "step", "value": 2, "node_id": SECOND})
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "paused")
    assert (job["node_id"], job["step"]) == (SECOND, 2)
    comfy.verb(job_id, "abort")


@pytest.mark.parametrize("name", ["sampler", SECOND])
def test_a_rewind_by_name_goes_to_the_newest_of_them_and_on_exactly(comfy: Comfy, name: str) -> None:
    key = f"expand-rewind-{name}"
    job_id = comfy.queue(workflow(key))
    comfy.wait_for(job_id, "completed")
    status, job = comfy.verb(job_id, "rewind", {"step": 2, "node_id": name})
    assert (status, job["node_id"], job["display_node_id"], job["step"]) == (200, SECOND, "sampler", 2)
    before = comfy.probe(key)["done"]
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe(key)["done"] - before == 6 - 2
    assert torch.equal(latent(comfy, job["prompt_id"]), oracle(comfy))


def test_a_rewind_to_the_first_of_them_computes_the_second_anew(comfy: Comfy) -> None:
    job_id = comfy.queue(workflow("expand-first"))
    comfy.wait_for(job_id, "completed")
    assert comfy.verb(job_id, "rewind", {"step": 2, "node_id": FIRST})[1]["node_id"] == FIRST
    assert comfy.verb(job_id, "rewind", {"step": 1, "node_id": "sampler"})[1]["node_id"] == FIRST
    before = comfy.probe("expand-first")["done"]
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe("expand-first")["done"] - before == (6 - 1) + 6
    assert torch.equal(latent(comfy, job["prompt_id"]), oracle(comfy))


def test_forks_and_comparisons_find_it(comfy: Comfy) -> None:
    job_id = comfy.queue(workflow("expand-fork"))
    comfy.wait_for(job_id, "completed")
    body = {"step": 2, "node_id": "sampler", "vary": {"sampler": {"cfg": [2.0, 6.0]}}}
    status, told = comfy.verb(job_id, "fork", body)
    assert status == 202, told
    forks = [comfy.wait_for(fork["job_id"], "completed") for fork in told["jobs"]]
    for fork in forks:
        assert (fork["node_id"], fork["display_node_id"]) == (SECOND, "sampler")
    compared = comfy.get(f"/midrun/jobs/{forks[0]['job_id']}/compare?with={forks[1]['job_id']}&step=3")
    assert [(one["node_id"], one["input"]) for one in compared["differences"]] == [("sampler", "cfg")]
    assert {one["display_node_id"] for one in compared["jobs"]} == {"sampler"}
    assert get(comfy, job_id, "sheet")[0] == 200


def test_an_edit_of_it_applies_from_where_the_second_of_them_stands(comfy: Comfy) -> None:
    job_id, _ = paused(comfy, "expand-edit", 9)
    assert put(comfy, job_id, ("sampler", "cfg", 1.5))[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert job["modified_params"]["sampler"]["cfg"]["from_step"] == 2
    assert comfy.probe("expand-edit")["done"] == 12, "what was done before was replayed"
    assert not torch.equal(latent(comfy, job["prompt_id"]), oracle(comfy))
    job = comfy.verb(job_id, "rewind", {"step": 1, "node_id": "sampler"})[1]
    assert job["modified_params"] == {}
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), oracle(comfy))


def test_another_schedule_leaves_the_first_of_them_as_it_was(comfy: Comfy) -> None:
    job_id, _ = paused(comfy, "expand-steps", 9)
    first = load(get(comfy, job_id, f"latent?node_id={FIRST}&step=6")[1])
    assert put(comfy, job_id, ("sampler", "steps", 8))[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    now = load(get(comfy, job_id, f"latent?node_id={FIRST}&step=6")[1])
    assert job["total_steps"] == 8 and torch.equal(first["latent_tensor"], now["latent_tensor"])


def test_the_node_that_it_is_shown_as_counts_not_the_one_that_made_it(comfy: Comfy) -> None:
    job_id, job = paused(comfy, "expand-shown", 9, shown_as="save")
    assert (job["node_id"], job["display_node_id"]) == (SECOND, "save")
    assert get(comfy, job_id, "latent?node_id=save")[0] == 200
    assert get(comfy, job_id, "latent?node_id=sampler")[0] == 404
    assert comfy.verb(job_id, "rewind", {"step": 1, "node_id": "save"})[0] == 200
    comfy.verb(job_id, "abort")
