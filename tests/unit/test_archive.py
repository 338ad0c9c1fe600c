"""What the registry would take and show: the archive's files, the metadata, the pictures, no false address.

The rules of pyproject.toml are those of `comfy node validate` and of the registry's specification; `python
dev.py test` runs the former, too, where it can be had.
"""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

import archive
from archive import ROOT

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml.")

MOST_BYTES = 8_000_000
AT_THE_TOP = {
    *("__init__.py", "server_routes.py", "pyproject.toml", "requirements.txt", "openapi.yaml"),
    *("README.md", "CHANGELOG.md", "LICENSE"),
    *("nodes", "routes", "state", "web", "locales", "demo_model", "example_workflows", "subgraphs"),
    *("midrun", "midrun_fleet", "docs"),
}
AT_RUN_TIME = ("nodes", "routes", "state", "web", "locales", "demo_model", "example_workflows", "subgraphs")
ACCELERATORS = {
    *("GPU :: NVIDIA CUDA", "GPU :: AMD ROCm", "GPU :: Intel Arc", "GPU :: Apple Metal"),
    "NPU :: Huawei Ascend",
}
SYSTEMS = ("Microsoft", "POSIX", "MacOS", "OS Independent")
PLANNED = "github.com/comfyui-midrun"  # where the repository will be
FOR_DEVELOPERS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "docs/decisions/")


@pytest.fixture(scope="module")
def files() -> list[str]:
    try:
        return archive.files()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("This is no git repository, so nobody can tell what the archive would hold.")


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_archive_holds_what_runs_and_what_a_user_reads(files: list[str]) -> None:
    assert {name.split("/")[0] for name in files} == AT_THE_TOP
    needless = re.compile(r"(nodes|state|web)/.*README\.md|web/package\.json")
    for name in archive.tracked():
        if name.startswith(tuple(f"{folder}/" for folder in AT_RUN_TIME)) and not needless.fullmatch(name):
            assert name in files
    assert all(name in files for name in archive.tracked() if name.startswith("midrun"))


def test_every_python_file_can_be_read_on_any_windows(files: list[str]) -> None:
    """As comfy-test wants it: in the encoding that Windows takes where nobody names one."""
    for name in (name for name in files if name.endswith(".py")):
        (ROOT / name).read_text(encoding="utf-8").encode("cp1252")


def test_the_archive_is_small(files: list[str], tmp_path: Path) -> None:
    place = archive.write(tmp_path / "midrun.zip")
    assert place.stat().st_size < MOST_BYTES
    with zipfile.ZipFile(place) as written:
        assert written.namelist() == [f"midrun/{name}" for name in files]


def test_every_link_in_the_archive_leads_to_a_file_of_it(files: list[str]) -> None:
    for page in (name for name in files if name.endswith(".md")):
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img src=\"([^\"]+)\"", text):
            place = link[0] or link[1]
            if not place.startswith("http"):
                name = (beside(page) / place).resolve().relative_to(ROOT).as_posix()
                found = any(one == name or one.startswith(f"{name}/") for one in files)
                assert found or name.startswith(FOR_DEVELOPERS), (page, place)


def beside(page: str) -> Path:
    """From where a page's links lead. The frontend reads those of help pages from one folder."""
    return ROOT / "web" / "docs" if page.startswith("web/docs/") else (ROOT / page).parent


def test_the_registry_takes_the_metadata_without_a_warning(project: dict) -> None:
    about = project["project"]
    assert re.fullmatch(r"[a-z](?:[-_.]?[a-z0-9])*", about["name"]) and "comfy" not in about["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", about["version"]) and about["license"] == {"file": "LICENSE"}
    told = [one.partition(" :: ")[::2] for one in about["classifiers"]]
    environments = {value for kind, value in told if kind == "Environment"}
    assert environments and environments <= ACCELERATORS
    assert all(value.startswith(SYSTEMS) for kind, value in told if kind == "Operating System")
    assert about["dependencies"] == (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert about["urls"].keys() == {"Repository", "Documentation", "Issues"}
    comfy = project["tool"]["comfy"]
    assert comfy["PublisherId"] and comfy["DisplayName"]
    assert re.fullmatch(r">=\d+\.\d+\.\d+", comfy["requires-comfyui"])


def test_the_pictures_that_the_registry_shows_are_there_and_fit(project: dict) -> None:
    shown = {}
    for kind in ("Icon", "Banner"):
        name = project["tool"]["comfy"][kind].partition("/main/")[2]
        assert name in archive.tracked()
        with Image.open(ROOT / name) as picture:
            shown[kind] = picture.size
            assert picture.format == "PNG"
    assert shown["Icon"][0] == shown["Icon"][1] <= 400
    assert shown["Banner"][0] * 9 == shown["Banner"][1] * 21


def test_the_address_that_is_only_planned_is_in_the_metadata_alone(files: list[str]) -> None:
    """Whoever reads on leads nobody to what does not exist."""
    for name in (*files, *FOR_DEVELOPERS[:2]):
        if name.endswith((".md", ".py", ".js", ".json", ".yaml", ".toml")) and name != "pyproject.toml":
            assert PLANNED not in (ROOT / name).read_text(encoding="utf-8"), name


def test_one_version_is_told_everywhere(project: dict) -> None:
    version = project["project"]["version"]
    newest = re.search(r"^## \[(\d[\d.]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    described = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["info"]["version"]
    fleet = tomllib.loads((ROOT / "midrun_fleet" / "pyproject.toml").read_text(encoding="utf-8"))
    assert newest and newest[1] == described == fleet["project"]["version"] == version == archive.version()
