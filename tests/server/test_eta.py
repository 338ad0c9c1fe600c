"""How long what is left of a job takes, on a real server: what nodes took is learned from live work."""

from __future__ import annotations

from typing import Any

import graphs
from harness import Comfy

DECODE_S = 0.6
OF_A_WORKFLOW = {"extra_pnginfo": {"workflow": {"id": "eta", "nodes": []}}}


def queued(comfy: Comfy, key: str, seed: int, gates: str = "", prefix: str = "latents/eta") -> str:
    graph = graphs.slow_decode(graphs.base(key=key, gates=gates, seed=seed), key, DECODE_S)
    graph["save"]["inputs"]["filename_prefix"] = prefix
    return comfy.queue(graph, extra_data=OF_A_WORKFLOW)


def timing(comfy: Comfy, job_id: str) -> dict[str, Any]:
    return comfy.job(job_id)["timing"]


def test_a_later_job_knows_how_long_its_nodes_take(comfy: Comfy) -> None:
    comfy.clear()
    first = queued(comfy, "eta-1", 70)
    comfy.wait_for(first, "completed")
    assert timing(comfy, first)["eta_s"] is None
    running = queued(comfy, "eta-2", 71, gates="3")
    comfy.wait_at_gate("eta-2", 3)
    now = timing(comfy, running)
    assert now["eta_s"] >= DECODE_S + now["mean_step_s"] * 4 - 0.01 and not now["eta_rough"]
    waiting = queued(comfy, "eta-3", 72)
    assert timing(comfy, waiting)["eta_s"] >= DECODE_S and not timing(comfy, waiting)["eta_rough"]
    comfy.verb(running, "pause", query="?wait=30")
    paused = comfy.wait_for(running, "paused")["timing"]
    assert paused["eta_s"] >= DECODE_S and not paused["eta_rough"]
    comfy.open_gate("eta-2", 3)
    comfy.wait_for(waiting, "completed")
    replayed = comfy.verb(running, "resume")[1]["timing"]
    assert replayed["eta_s"] >= DECODE_S
    decoding = comfy.until(
        lambda: (job := comfy.job(running))["step"] == 6 and job["state"] == "running" and job,
        "the nodes after the sampler",
    )
    assert 0 <= decoding["timing"]["eta_s"] < DECODE_S * 4
    comfy.wait_for(running, "completed")
    listed = comfy.get("/midrun/jobs?limit=3")["jobs"]
    assert all(job["timing"]["eta_s"] is None for job in listed if job["state"] == "completed")
