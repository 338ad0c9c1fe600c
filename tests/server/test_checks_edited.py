"""Checking a job that was edited, or whose sampler is given another latent: what is asked, and told."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import save_file

import graphs
from graphs import Graph, node
from harness import Comfy
from test_checks import checked, command, complete
from test_control import pause_at
from test_editing import put
from test_schedule_ends import end_here, stopped
from test_schedule_ends import in_series as one_after_another


def edited(comfy: Comfy, graph: Graph, key: str, gate: int, edit: tuple[str, str, Any]) -> dict[str, Any]:
    """The check of a job that was edited when it came to that evaluation."""
    graph["probe"]["inputs"] |= {"key": key, "gates": str(gate)}
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, key, gate)
    assert put(comfy, job_id, edit)[0] == 200
    comfy.verb(job_id, "resume")
    comfy.open_gate(key, gate)
    comfy.wait_for(job_id, "completed")
    return checked(comfy, job_id)


def test_an_edit_in_a_later_sampler_or_in_the_middle_of_a_step_leaves_out_what_came_before(
    comfy: Comfy,
) -> None:
    check = edited(comfy, graphs.in_series(graphs.base()), "check-later", 9, ("positive", "seed", 12))
    assert (check["verdict"], check["earlier"], check["changed"]) == ("equal", 8, []), check
    assert [one["node_id"] for one in check["evaluations"]] == ["second"] * 4
    check = edited(comfy, graphs.base("heun"), "check-middle", 5, ("sampler", "cfg", 6.0))
    assert (check["verdict"], check["earlier"], check["compared"]) == ("equal", 5, 6), check


def test_what_sampled_after_a_sampler_that_an_edit_cut_short_is_asked(comfy: Comfy) -> None:
    job_id = stopped(comfy, one_after_another({}), "check-cut")
    end_here(comfy, job_id)
    comfy.verb(job_id, "resume")
    comfy.open_gate("check-cut", 4)
    job = comfy.wait_for(job_id, "completed")
    check = checked(comfy, job_id)
    assert (check["state"], check["verdict"], check["earlier"]) == ("done", "equal", 3), check
    assert check["compared"] == job["evaluations"] == 5 and check["changed"] == []


def test_a_latent_that_is_another_is_told_though_the_answers_are_equal(comfy: Comfy) -> None:
    def put_latent(value: float) -> None:
        content = {
            "latent_tensor": torch.full((1, 4, 16, 16), value),
            "latent_format_version_0": torch.ones(1),
        }
        save_file(content, comfy.base / "input" / "checked.latent")

    put_latent(1.0)
    graph = graphs.base(key="check-latent", denoise=0.6)
    job_id = complete(comfy, {**graph, "latent": node("LoadLatent", latent="checked.latent")})
    assert checked(comfy, job_id)["changed"] == [] and command(comfy, job_id).returncode == 0
    put_latent(1.5)
    check = checked(comfy, job_id)
    assert check["verdict"] == "equal" and [one["code"] for one in check["changed"]] == ["given"]
    assert "latent that it begins with" in check["message"] and command(comfy, job_id).returncode == 1
