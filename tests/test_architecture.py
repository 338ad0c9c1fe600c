"""The rooms keep apart, and what is public is documented."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml

import graphs
from harness import Comfy
from midrun import breakpoint_routes, compare_routes, server_routes, telemetry_routes, travel_routes

ROOT = Path(__file__).resolve().parent.parent
ON_EVENT_LOOP = [path for path in sorted(ROOT.glob("*.py")) if path.stem not in ("__init__", "dev")]
ROUTES = tuple(f".{path.stem}" for path in ON_EVENT_LOOP)
MODULES = [
    *ON_EVENT_LOOP,
    *sorted((ROOT / "nodes").rglob("*.py")),
    *sorted((ROOT / "state").glob("*.py")),
]


def imported(path: Path) -> set[str]:
    """What a module imports, relative imports as `.room.module` from the pack's root."""
    names: set[str] = set()
    for found in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(found, ast.Import):
            names |= {alias.name for alias in found.names}
        elif isinstance(found, ast.ImportFrom):
            room = path.parent.name if found.level == 1 and path.parent != ROOT else ""
            prefix = "." + room + ("." if room else "") if found.level else ""
            names |= (
                {f"{prefix}{found.module}"} if found.module else {prefix + name.name for name in found.names}
            )
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_what_its_room_may_know(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0] if path.parent != ROOT else "routes"
    forbidden = {
        "state": (".nodes", *ROUTES, "comfy", "aiohttp", "server", "nodes", "execution"),
        "nodes": (*ROUTES, "aiohttp", "server"),
        "routes": (".nodes", "comfy", "torch", "server", "nodes", "execution"),
    }[room]
    for name in imported(path):
        for banned in forbidden:
            assert name != banned and not name.startswith(
                (banned + ".", "comfy_api" if banned == "comfy" else "\0")
            )
    if room == "state" and path.stem not in ("recording", "item_file", "tensor_file", "disk_recording"):
        assert "torch" not in imported(path)
    if path.stem not in ("hooks", "sampling"):
        assert "comfy.patcher_extension" not in imported(path)
    assert "comfy_api.latest" not in imported(path)  # ComfyUI changes it without notice
    if path.stem != "queue":
        assert "prompt_queue" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.stem != "__init__"], ids=lambda path: path.stem
)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_openapi_and_readme_describe_exactly_the_registered_routes() -> None:
    routes = server_routes.Routes(None, None, None, None, lambda request: {}, dict)  # type: ignore[arg-type]
    travel = travel_routes.TravelRoutes(None, None, routes.keeps_history)  # type: ignore[arg-type]
    breaks = breakpoint_routes.BreakpointRoutes(None)  # type: ignore[arg-type]
    telemetry = telemetry_routes.TelemetryRoutes(None)  # type: ignore[arg-type]
    compare = compare_routes.CompareRoutes(None, None, None)  # type: ignore[arg-type]
    tables = (one.table() for one in (routes, travel, breaks, telemetry, compare))
    registered = {(route.method, route.path) for table in tables for route in table}
    paths = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["paths"]
    verbs = ("get", "post", "put", "delete")
    described = {(verb.upper(), path) for path, item in paths.items() for verb in item if verb in verbs}
    assert described == registered
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for method, path in registered:
        assert f"| {method} `{path}` |" in readme


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
    nodes = {
        name: comfy.get(f"/object_info/{name}")[name]
        for name in ("MidrunKSampler", "MidrunAttach", "MidrunBreakpoint", "MidrunKept", "MidrunDemoModel")
    }
    locale = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    for name, info in nodes.items():
        assert (ROOT / "web" / "docs" / f"{name}.md").is_file() and name in locale
        assert info["category"] == "sampling/midrun" and info["display_name"] == locale[name]["display_name"]
        for kind, inputs in info["input"].items():
            for key, spec in inputs.items():
                assert kind == "hidden" or key == "noise_seed" or spec[1].get("tooltip"), (name, key)
        help_page = comfy.call("GET", f"/extensions/ComfyUI-Midrun/docs/{name}.md")
        assert help_page[0] == 200


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
