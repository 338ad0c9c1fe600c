"""The rooms keep apart, and what is public is documented."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from midrun import breakpoint_routes, compare_routes, server_routes, telemetry_routes, travel_routes

ROOT = Path(__file__).resolve().parent.parent
ON_EVENT_LOOP = [path for path in sorted(ROOT.glob("*.py")) if path.stem not in ("__init__", "dev")]
ROUTES = tuple(f".{path.stem}" for path in ON_EVENT_LOOP)
MODULES = [
    *ON_EVENT_LOOP,
    *sorted((ROOT / "nodes").glob("*.py")),
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
    room = path.parent.name if path.parent != ROOT else "routes"
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
