"""The rooms keep apart, and what is public is documented."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml

from midrun import server_routes
from midrun.routes.errors import STATUS
from midrun.routes.handlers import Handlers, Needs

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (  # from the top: a module imports nothing of a room above its own, and no ring leads back to it
    "server_routes",
    "routes",
    "nodes",
    "nodes/foreign",
    "nodes/engine",
    "nodes/remembering",
    "nodes/previews",
    "nodes/comfyui",
    "state/sharing",
    "state/services",
    "state/reports",
    "state/bundles",
    "state/store",
    "state/job",
    "state/recording",
    "state/pictures",
    "state/workflow",
    "state/breakpoints",
    "state",
)
MODULES = [
    ROOT / "server_routes.py",
    *(path for wing in ("routes", "nodes", "state") for path in sorted((ROOT / wing).rglob("*.py"))),
]
FLEET = sorted((ROOT / "midrun_fleet").glob("*.py"))  # no part of the pack
BESIDE = sorted((ROOT / "midrun").rglob("*.py"))  # no part of what ComfyUI loads
BY_NAME = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in MODULES}
FORBIDDEN = {  # packages from outside, by wing
    "state": ("comfy", "comfy_api", "comfy_execution", "aiohttp", "server", "nodes", "execution"),
    "nodes": ("aiohttp", "server"),
    "routes": ("comfy", "comfy_api", "comfy_execution", "torch", "server", "nodes", "execution"),
}
TOOLS = [path.relative_to(ROOT).with_suffix("").as_posix() for path in sorted((ROOT / "tools").rglob("*.py"))]
FUNCTION_LINES, MODULE_LINES = 40, 300
LONGER = {  # module or function -> why it may be longer
    "state/store/migrations": "each migration is one text, which never changes again",
}


def imported(path: Path) -> tuple[set[str], set[str]]:
    """Names of what a module imports: of the pack's own modules, as in BY_NAME, and of others."""
    own: set[str] = set()
    others: set[str] = set()
    for found in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(found, ast.Import):
            others |= {alias.name for alias in found.names}
        elif isinstance(found, ast.ImportFrom) and not found.level:
            others.add(found.module or "")
        elif isinstance(found, ast.ImportFrom):
            room = path.parents[found.level - 1].relative_to(ROOT)
            base = (room / (found.module or "").replace(".", "/")).as_posix()
            names = {(Path(base) / alias.name).as_posix() for alias in found.names}
            own |= (names & BY_NAME.keys()) or {base}
    return own, others


def room_of(name: str) -> int:
    return ROOMS.index(name) if name in ROOMS else ROOMS.index(name.rpartition("/")[0])


@pytest.mark.parametrize("name", BY_NAME)
def test_a_module_imports_only_what_its_room_may_know(name: str) -> None:
    path = BY_NAME[name]
    own, others = imported(path)
    assert own <= BY_NAME.keys(), "what is imported is a module"
    assert all(room_of(other) >= room_of(name) for other in own)
    wing = name.split("/")[0]
    packages = {other.split(".")[0] for other in others}
    assert not packages & set(FORBIDDEN.get(wing, FORBIDDEN["routes"]))
    if wing == "routes" or name == "server_routes":
        assert not any(other.startswith("nodes") for other in own)
    if wing == "state" and not name.startswith("state/recording/"):
        assert "torch" not in packages
    if name not in ("nodes/engine/hooks", "nodes/engine/call", "nodes/engine/guider"):
        assert "comfy.patcher_extension" not in others
    assert "comfy_api.latest" not in others  # ComfyUI changes it without notice
    if name != "nodes/comfyui/queue":
        assert "prompt_queue" not in path.read_text(encoding="utf-8")


def test_no_ring_of_imports_leads_back_to_where_it_began() -> None:
    graph = {name: imported(path)[0] for name, path in BY_NAME.items()}
    done: set[str] = set()
    while ready := {name for name, own in graph.items() if name not in done and own <= done}:
        done |= ready
    assert done == graph.keys()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(ast.parse(BY_NAME[name].read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FLEET, ids=lambda path: path.stem)
def test_the_fleet_and_the_pack_import_nothing_of_each_other(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    levels = {found.level for found in ast.walk(tree) if isinstance(found, ast.ImportFrom)}
    others = {name.split(".")[0] for name in imported(path)[1]}
    allowed = {"fsspec"} | ({"ray"} if path.stem == "on_ray" else set())
    assert ast.get_docstring(tree) and levels <= {0, 1}
    assert others <= allowed | sys.stdlib_module_names | {"midrun_fleet"}


@pytest.mark.parametrize("path", BESIDE, ids=lambda path: path.stem)
def test_programs_beside_comfyui_need_nothing_that_is_not_pythons_own(path: Path) -> None:
    """Whatever one of them needs besides, it asks for by its own name, and says how to install it."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    own, others = imported(path)
    assert all(name.startswith("midrun") for name in own)
    assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names | {"mcp", "pydantic"}


@pytest.mark.parametrize(
    "name",
    [
        "__init__",
        "dev",
        *BY_NAME,
        *TOOLS,
        *(path.relative_to(ROOT).with_suffix("").as_posix() for path in (*FLEET, *BESIDE)),
    ],
)
def test_a_module_and_its_functions_are_short(name: str) -> None:
    source = (ROOT / f"{name}.py").read_text(encoding="utf-8")
    functions = [
        (found.name, (found.end_lineno or 0) - found.lineno + 1)
        for found in ast.walk(ast.parse(source))
        if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    too_long = [told for told in functions if told[1] > FUNCTION_LINES]
    is_short = len(source.splitlines()) <= MODULE_LINES and not too_long
    assert is_short is not (name in LONGER), f"{name} {too_long}"


def test_openapi_and_readme_describe_exactly_the_registered_routes() -> None:
    nothing: Any = MagicMock()
    pairs = {"bundles": (nothing, nothing), "sharing": (nothing, nothing)}
    needs = Needs(**{one.name: pairs.get(one.name, nothing) for one in fields(Needs)})
    registered = {(route.method, route.path) for route in server_routes.table(Handlers(needs))}
    paths = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["paths"]
    verbs = ("get", "post", "put", "delete")
    described = {(verb.upper(), path) for path, item in paths.items() for verb in item if verb in verbs}
    assert described == registered
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for method, path in registered:
        assert f"| {method} `{path}` |" in page


def test_the_documents_name_exactly_the_refusals_that_there_are() -> None:
    schemas = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["components"]["schemas"]
    codes = {"bad_request", *STATUS}
    assert set(schemas["Refusal"]["properties"]["code"]["enum"]) == codes
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert [code for code in codes if f"`{code}`" not in page] == []


def test_the_checks_before_a_commit_are_those_of_dev_py() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    commands = (ROOT / "dev.py").read_text(encoding="utf-8").split("checks = {")[1].split("if arguments")[0]
    run = re.findall(r'"([\w ]+)"(?:: |\] = )\("-m", "(\w+)"', commands)
    assert [(hook["name"], hook["entry"].split()[2]) for hook in hooks] == run
