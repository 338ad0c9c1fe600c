"""What a real server tells is what its documents say."""

from __future__ import annotations

import json

import yaml

import graphs
from harness import ROOT, Comfy


def test_openapi_describes_the_job_that_the_server_sends(comfy: Comfy) -> None:
    job_id = comfy.queue(graphs.base(key="openapi", steps=1))
    job = comfy.wait_for(job_id, "completed")
    schemas = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["components"]["schemas"]
    assert set(job) == set(schemas["Job"]["required"]) == set(schemas["Job"]["properties"])
    assert set(job["telemetry"]) == set(schemas["Telemetry"]["required"])
    assert set(job["timing"]) == set(schemas["Job"]["properties"]["timing"]["properties"])
    event = comfy.get(f"/midrun/jobs/{job_id}/events")["events"][0]
    assert set(event) == set(schemas["Event"]["required"])


def test_every_node_has_help_a_locale_and_tooltips(comfy: Comfy) -> None:
    nodes = {name: comfy.get(f"/object_info/{name}")[name] for name in graphs.NODES}
    locale = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    for name, info in nodes.items():
        assert (ROOT / "web" / "docs" / f"{name}.md").is_file() and name in locale
        assert info["category"] == "sampling/midrun" and info["display_name"] == locale[name]["display_name"]
        for kind, inputs in info["input"].items():
            for key, spec in inputs.items():
                assert kind == "hidden" or key == "noise_seed" or spec[1].get("tooltip"), (name, key)
        for page in (f"{name}.md", f"{name}/de.md", f"{name}/fr.md"):  # where the frontend looks
            assert comfy.call("GET", f"/extensions/ComfyUI-Midrun/docs/{page}")[0] == 200


def test_the_midrun_ksampler_has_the_inputs_of_ksampler_in_its_order(comfy: Comfy) -> None:
    ours = comfy.get("/object_info/MidrunKSampler")["MidrunKSampler"]
    stock = comfy.get("/object_info/KSampler")["KSampler"]
    assert ours["input_order"]["required"] == stock["input_order"]["required"]
    assert ours["input_order"]["optional"] == [
        "pause_at_step",
        "queue_policy",
        "preview_method",
        "preview_every",
        "preview_max_size",
    ]
    assert ours["output"] == stock["output"]


def test_nodes_are_found_by_other_words_where_comfyui_has_such_words(comfy: Comfy) -> None:
    has_words = "search_aliases" in comfy.get("/object_info/KSampler")["KSampler"]
    looked_for = {
        "MidrunKSampler": {"pause", "resume", "step", "debug", "inspect", "preview", "checkpoint"},
        "MidrunBreakpoint": {"breakpoint", "pause", "debug", "inspect"},
        "MidrunChoose": {"choose", "pick"},
    }
    for name, words in looked_for.items():
        told = comfy.get(f"/object_info/{name}")[name]
        assert set(told.get("search_aliases") or ()) >= (words if has_words else set())


def test_comfyui_offers_the_blueprint(comfy: Comfy) -> None:
    offered = comfy.get("/global_subgraphs")
    ours = {
        key: one["name"]
        for key, one in offered.items()
        if one["info"]["node_pack"].endswith("ComfyUI-Midrun")
    }
    assert list(ours.values()) == [path.stem for path in (ROOT / "subgraphs").glob("*.json")]
    blueprint = json.loads(comfy.get(f"/global_subgraphs/{next(iter(ours))}")["data"])
    (inside,) = blueprint["definitions"]["subgraphs"]
    (host,) = blueprint["nodes"]
    assert host["type"] == inside["id"]
    for node in inside["nodes"]:
        info = comfy.get(f"/object_info/{node['type']}")[node["type"]]["input"]
        known = info["required"] | info.get("optional", {})
        assert {slot["name"] for slot in node["inputs"]} == known.keys(), node["type"]
