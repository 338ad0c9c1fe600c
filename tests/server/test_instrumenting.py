"""Breakpoints on nodes, and watching every sampler, on a real server."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import graphs
from harness import ROOT, TEST_PACK, Comfy
from midrun.state.breakpoints.breakpoints import OF_A_NODE
from resuming import latent
from test_control import expected, pause_at
from test_editing import oracle_plain, put


def workflow(*node_ids: str) -> dict[str, Any]:
    """A workflow of the frontend whose nodes of these ids have a breakpoint; `a:b` is b in the subgraph a."""
    nodes: list[dict[str, Any]] = []
    subgraphs: list[dict[str, Any]] = []
    for node_id in node_ids:
        outer, _, inner = node_id.partition(":")
        told = {"properties": {OF_A_NODE: [{"kind": "node", "id": f"at-{node_id}"}]}}
        if inner and (known := [one for one in subgraphs if one["id"] == f"uuid-{outer}"]):
            known[0]["nodes"].append({"id": inner, "type": "X", **told})
        elif inner:
            subgraphs.append({"id": f"uuid-{outer}", "nodes": [{"id": inner, "type": "X", **told}]})
            nodes.append({"id": outer, "type": f"uuid-{outer}"})
        else:
            nodes.append({"id": node_id, "type": "X", **told})
    return {"nodes": nodes, "definitions": {"subgraphs": subgraphs}}


def queue(comfy: Comfy, graph: graphs.Graph, *node_ids: str) -> str:
    return comfy.queue(graph, extra_data={"extra_pnginfo": {"workflow": workflow(*node_ids)}})


def stops(comfy: Comfy, job_id: str) -> list[str]:
    """Before which nodes the job pauses on its way to the end; resumed each time."""
    seen = []
    while (job := comfy.wait_for(job_id, "paused", "completed"))["state"] == "paused":
        assert job["pause_reason"] == "breakpoint" and job["gpu_released"]
        seen.append(job["paused_before"])
        assert comfy.verb(job_id, "resume")[0] == 202
        comfy.until(
            lambda: (job := comfy.job(job_id))["state"] != "paused" or job["paused_before"] != seen[-1],
            "it to go on",
        )
    return seen


def standing(comfy: Comfy, job_id: str) -> list[dict[str, Any]]:
    """What is told of the wires, once it was looked at."""
    return comfy.until(lambda: comfy.job(job_id)["wires"], "the wires to be looked at")["values"]


def picture(comfy: Comfy, job_id: str, number: int) -> Image.Image:
    version = comfy.job(job_id)["wires"]["version"]
    return Image.open(io.BytesIO(comfy.fetch(f"/midrun/jobs/{job_id}/wires/{number}?v={version}")[2]))


def in_subgraph(graph: graphs.Graph) -> graphs.Graph:
    """The node `probe` is one of a subgraph."""
    graph = dict(graph)
    graph["7:3"] = graph.pop("probe")
    graph["sampler"]["inputs"]["model"] = ["7:3", 0]
    return graph


@pytest.mark.parametrize("policy", ["hold", "park"])
def test_a_job_pauses_before_any_node_and_computes_the_same(comfy: Comfy, policy: str) -> None:
    key = f"nodes-{policy}"
    graph = in_subgraph(graphs.base(key=key, queue_policy=policy))
    job_id = queue(comfy, graph, "save", "7:3", "sampler")
    assert stops(comfy, job_id) == ["7:3", "sampler", "save"]
    job = comfy.job(job_id)
    assert comfy.probe(key)["done"] == 6 and len(job["prompt_ids"]) == (1 if policy == "hold" else 4)
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))
    assert {one["id"]: one["hits"] for one in job["breakpoints"]} == {
        "nan": 0,
        "at-save": 1,
        "at-7:3": 1,
        "at-sampler": 1,
    }


def test_an_edit_made_before_the_sampler_applies_from_its_first_step(comfy: Comfy) -> None:
    job_id = queue(comfy, graphs.base(key="node-edit"), "sampler")
    comfy.wait_for(job_id, "paused")
    told = {value["name"]: value for value in standing(comfy, job_id)}
    prompts = dict.fromkeys(("positive", "negative"), "conditioning")
    kinds = {name: value["kind"] for name, value in told.items()}
    assert kinds == {"model": "other", "latent_image": "latent"} | prompts
    assert told["positive"]["tokens"] == told["positive"]["shape"][1] and told["positive"]["device"] == "cpu"
    assert comfy.call("GET", f"/midrun/jobs/{job_id}/wires/1")[0] == 404, "a model is no picture"
    assert put(comfy, job_id, ("sampler", "cfg", 1.5))[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), oracle_plain(comfy, 1.5, 1))
    nodes = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]
    assert set(nodes) == set(graphs.base())


def test_a_breakpoint_node_pauses_where_the_user_put_it(comfy: Comfy) -> None:
    sampled = expected(comfy)
    graph = graphs.base(key="placed")
    graph["stop"] = graphs.node("MidrunBreakpoint", value=["sampler", 0])
    graph["save"]["inputs"]["samples"] = ["stop", 0]
    job_id = comfy.queue(graph)
    job = comfy.wait_for(job_id, "paused")
    assert (job["paused_before"], job["step"], job["held"]) == ("stop", 6, True)
    (value,) = standing(comfy, job_id)
    assert (value["name"], value["kind"], value["type"]) == ("value", "latent", "LATENT")
    assert value["shape"] == list(sampled.shape) and value["dtype"] == "float32"
    assert value["mean"] == pytest.approx(float(sampled.mean()), abs=1e-4)
    assert picture(comfy, job_id, 1).size[0] > 1
    assert comfy.call("POST", f"/midrun/jobs/{job_id}/abort", {"mode": "finish"})[0] == 200
    comfy.wait_for(job_id, "aborted")
    assert torch.equal(latent(comfy, job_id), expected(comfy))


@pytest.mark.parametrize("inside", [False, True])
def test_what_cannot_be_looked_at_stops_nothing(comfy: Comfy, inside: bool) -> None:
    """Another pack's object that raises whatever it is asked for."""
    graph = graphs.base(key=f"odd-{inside}") | {"odd": graphs.node("TestOdd", inside=inside)}
    graph["stop"] = graphs.node("MidrunBreakpoint", value=["odd", 0])
    graph["end"] = graphs.node("PreviewAny", source=["stop", 0])
    job_id = comfy.queue(graph)
    job = comfy.wait_for(job_id, "paused")
    if not inside:
        assert [value["kind"] for value in standing(comfy, job_id)] == ["other"]
    assert comfy.verb(job_id, "resume")[0] == 202
    assert comfy.wait_for(job_id, "completed")["paused_before"] is None and job["paused_before"] == "stop"


def test_finishing_before_its_sampler_runs_again_keeps_what_was_sampled(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="early-end", gates="4", queue_policy="hold"))
    pause_at(comfy, job_id, "early-end", 4)
    put(comfy, job_id, ("sampler", "cfg", 1.5))  # so that it is run again
    stop = {"breakpoints": [{"kind": "node", "node_id": "sampler"}]}
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/breakpoints", stop)[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "paused")
    assert job["paused_before"] == "sampler" and job["held"]
    assert comfy.verb(job_id, "abort", {"mode": "finish"})[0] == 200
    job = comfy.wait_for(job_id, "aborted")
    assert comfy.output(job["prompt_id"]).is_file(), "what comes after the sampler ran"
    assert comfy.probe("early-end")["done"] == 3, "the sampler computed nothing more"


def test_a_job_paused_before_a_node_survives_a_restart(tmp_path: Path) -> None:
    server = Comfy(tmp_path).start()
    try:
        job_id = queue(server, graphs.base(key="node-crash", queue_policy="park"), "save")
        server.wait_for(job_id, "paused")
        stood = standing(server, job_id)
        server.get(f"/midrun/jobs/{job_id}/events")  # which waits for what is to be written
        server.kill()
        server.start()
        assert standing(server, job_id) == stood and stood[0]["name"] == "samples"
        assert picture(server, job_id, 1).size[0] > 1
        assert (job := server.job(job_id))["state"] == "paused" and job["paused_before"] == "save"
        assert stops(server, job_id) == ["save"]
        assert server.probe("node-crash")["done"] == 0  # replayed
    finally:
        server.stop()


def pictures(seed: int, watched: bool = True) -> graphs.Graph:
    graph = graphs.base(seed=seed, watched=watched)
    graph["drawn"] = graphs.node("EmptyImage", width=32, height=32, batch_size=1, color=seed)
    graph["turned"] = graphs.node("ImageInvert", image=["drawn", 0])
    graph["picture"] = graphs.node("SaveImage", images=["turned", 0], filename_prefix="instrumented")
    return graph


def test_pictures_keep_the_user_s_workflow(comfy: Comfy) -> None:
    job_id = queue(comfy, pictures(61), "turned", "picture")
    assert set(stops(comfy, job_id)) == {"turned", "picture"}
    with Image.open(comfy.output(comfy.job(job_id)["prompt_id"], "picture")) as image:
        assert json.loads(image.info["workflow"]) == workflow("turned", "picture")
        stopped = image.tobytes()
    plain = pictures(61)
    plain["picture"]["inputs"]["filename_prefix"] = "plain"
    with Image.open(comfy.output(queue(comfy, plain), "picture")) as image:
        assert image.tobytes() == stopped


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server without Midrun."""
    server = Comfy(tmp_path_factory.mktemp("bare"), packs=(TEST_PACK,)).start()
    yield server
    server.stop()


def test_without_breakpoints_every_picture_is_what_it_is_without_midrun(comfy: Comfy, bare: Comfy) -> None:
    graph = pictures(62, watched=False)
    breaks = workflow("turned")
    breaks["nodes"][0]["properties"][OF_A_NODE][0]["enabled"] = False
    extra = {"extra_pnginfo": {"workflow": breaks}}
    ours = comfy.output(comfy.queue(graph, extra_data=extra), "picture").read_bytes()
    assert bare.output(bare.queue(graph, extra_data=extra), "picture").read_bytes() == ours


def drawn(seed: int, text: str) -> graphs.Graph:
    """Text to picture with a LoRA, by ComfyUI's own nodes; half of them in the subgraph 7."""
    sampling = {"seed": seed, "steps": 4, "cfg": 5.0, "sampler_name": "dpmpp_sde", "scheduler": "normal"}
    links = {"positive": ["7:2", 0], "negative": ["negative", 0], "latent_image": ["latent", 0]}
    lora = {"lora_name": "demo.safetensors", "strength_model": 0.8}
    return {
        "demo": graphs.node("TestDemoModel"),
        "7:1": graphs.node("LoraLoaderModelOnly", model=["demo", 0], **lora),
        "7:2": graphs.node("CLIPTextEncode", clip=["demo", 1], text=text),
        "negative": graphs.node("CLIPTextEncode", clip=["demo", 1], text=""),
        "latent": graphs.node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "7:3": graphs.node("KSampler", model=["7:1", 0], denoise=1.0, **links, **sampling),
        "decode": graphs.node("VAEDecode", samples=["7:3", 0], vae=["demo", 2]),
        "picture": graphs.node("SaveImage", images=["decode", 0], filename_prefix="drawn"),
    }


def add_demo_lora(comfy: Comfy) -> None:
    directory = comfy.base / "models" / "loras"
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(
        ROOT / "demo_model" / "loras" / "midrun_demo_hollow.safetensors", directory / "demo.safetensors"
    )


def test_stops_before_decode_encode_and_lora_change_no_picture_and_leave_no_trace(
    comfy: Comfy, bare: Comfy
) -> None:
    for server in (comfy, bare):
        add_demo_lora(server)
    before = ("decode", "7:2", "7:1")
    stopped = [(seed, f"a red circle {seed}") for seed in (1, 2)]
    pixels = []
    for seed, text in stopped:
        job_id = queue(comfy, drawn(seed, text), *before)
        cached = {"7:1"} if seed == 2 else set()  # such a node does not run
        assert set(stops(comfy, job_id)) == set(before) - cached
        with Image.open(comfy.output(comfy.job(job_id)["prompt_id"], "picture")) as image:
            pixels.append(image.tobytes())
    ours, theirs = [], []
    for files, server in ((ours, comfy), (theirs, bare)):
        for seed, text in stopped:
            extra = {"extra_pnginfo": {"workflow": {"nodes": [], "seed": seed}}}
            files.append(server.output(server.queue(drawn(seed, text), extra_data=extra), "picture"))
    assert [file.read_bytes() for file in ours] == [file.read_bytes() for file in theirs]
    for file, stopped_pixels in zip(ours, pixels, strict=True):
        with Image.open(file) as image:
            assert image.tobytes() == stopped_pixels


@pytest.fixture
def watching(comfy: Comfy) -> Iterator[Comfy]:
    comfy.post("/settings", {"Midrun.WatchEverything": True})
    yield comfy
    comfy.post("/settings", {"Midrun.WatchEverything": False})


@pytest.mark.parametrize("change", [graphs.advanced, graphs.custom, graphs.custom_advanced, graphs.tiles])
def test_every_sampler_is_watched_without_a_node_of_midrun(watching: Comfy, change: Any) -> None:
    comfy, key = watching, f"everything-{change.__name__}"
    graph = change(graphs.base(watched=False, key=key, gates="3"))
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, key, 3)
    nodes = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]
    assert set(nodes) == set(graph)
    status, told = comfy.verb(job_id, "resume", {"prompt": graph})  # as the frontend has it
    assert status == 202, told
    job = comfy.wait_for(job_id, "completed")
    stock = change(graphs.base(watched=False))
    comfy.post("/settings", {"Midrun.WatchEverything": False})
    stock_id = comfy.queue(stock)
    assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, stock_id))
    assert comfy.call("GET", f"/midrun/jobs/{stock_id}")[0] == 404
