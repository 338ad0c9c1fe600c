"""`python dev.py comfy-test`: ComfyUI's own tests with Midrun in it, then the public tool comfy-test.

Its arguments are two folders, with what ComfyUI's tests need besides and with comfy-test; then, for a part of
it, `tool` or some of ComfyUI's tests, such as `tests-unit`. All work on a copy of ComfyUI in which the
registry's archive is unpacked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import archive
from harness import ROOT, Comfy, comfyui_path

SUPPORT = ROOT / "tests" / "support"
OWN = ("models", "input", "output", "temp", "user", "custom_nodes", ".git", ".venv", "venv")  # a user's
QUIET = ("-o", "addopts=", "--continue-on-collection-errors", "--tb", "line", "-W", "ignore")
SUITES = ("tests-unit", "tests/execution")
# main.py of the copy: ComfyUI's own tests start it, where torchvision may need to be mended first.
MAIN = """import runpy, sys
sys.path.insert(1, {support!r})
from launch_comfyui import mend_torchvision
kept = mend_torchvision()
runpy.run_path("comfyui_main.py", run_name="__main__")
"""
# Not: the levels that run workflows, in a browser that they download; validation, which takes what ComfyUI
# keeps beside a seed for the next value, of its own KSampler, too; and javascript, which is not usual, and
# refuses the stylesheet in the page's head and the dialogs in its body, where ours have to be.
SETTINGS = """[test]
levels = ["syntax", "install", "registration", "instantiation"]
[test.platforms]
platforms = ["linux-cpu"]
"""


def copy_of_comfyui(place: Path) -> Path:
    """With Midrun, but without models."""
    tree, source = place / "ComfyUI", comfyui_path()
    shutil.copytree(source, tree, ignore=lambda folder, _: OWN if Path(folder) == source else ())
    for name in ("models", "input", "output", "custom_nodes"):
        (tree / name).mkdir()
    (tree / "main.py").rename(tree / "comfyui_main.py")
    (tree / "main.py").write_text(MAIN.format(support=str(SUPPORT)), encoding="utf-8")
    with zipfile.ZipFile(archive.write(place / "midrun.zip")) as packed:
        packed.extractall(tree / "custom_nodes")
    return tree


def run_suite(tree: Path, folder: str, chosen: list[str], pack: Path | None) -> dict[str, Any]:
    """What became of those tests: as of tests/support/with_midrun.py."""
    told = tree.parent / "outcomes.json"
    told.unlink(missing_ok=True)
    own = {"PYTHONPATH": os.pathsep.join((folder, str(SUPPORT))), "MIDRUN_OUTCOMES": str(told)}
    own["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    own["MIDRUN_PACK"] = str(pack or "")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "with_midrun",
        "-p",
        "no:cacheprovider",
        "-q",
        *QUIET,
        *chosen,
    ]
    subprocess.run(command, cwd=tree, env={**os.environ, **own})
    return json.loads(told.read_text(encoding="utf-8"))


def suites(tree: Path, folder: str, names: list[str]) -> int:
    """Each of ComfyUI's tests passes with Midrun, or fails without it, too."""
    pack, away = tree / "custom_nodes" / archive.FOLDER, tree.parent / "away"
    blamed: list[str] = []
    for name in names:
        found = run_suite(tree, folder, [name], pack)
        shutil.move(pack, away)
        without = run_suite(tree, folder, found["failed"], None)["failed"] if found["failed"] else []
        shutil.move(away, pack)
        print(
            f"{name} with Midrun: {found['passed']} passed, {found['skipped']} skipped, "
            f"{len(found['failed'])} failed, {len(without)} of these without Midrun, too",
            flush=True,
        )
        blamed += [one for one in found["failed"] if one not in without]
        blamed += [] if found["passed"] else [f"{name}, of which no test passed"]
    print(*(f"wrong: {one}" for one in blamed), sep="\n")
    return bool(blamed)


def tool(tree: Path, folder: str) -> int:
    """comfy-test's levels that need no download, attached to a server of ours."""
    place = tree.parent / "comfy-test"
    place.mkdir()
    (place / "comfy-test.toml").write_text(SETTINGS, encoding="utf-8")
    os.environ["MIDRUN_COMFYUI"] = str(tree)
    server = Comfy(tree, packs=()).start()
    try:
        (place / "server.log").write_text(_of_packs(server.tail(10**7)), encoding="utf-8")
        command = [sys.executable, "-m", "comfy_test", "run", "--server-url", server.url]
        command += ["--config", str(place / "comfy-test.toml")]
        own = {"PYTHONPATH": folder, "COMFY_TEST_LOGS_DIR": str(place), "TMPDIR": str(place)}
        at = tree / "custom_nodes" / archive.FOLDER
        return subprocess.run(command, cwd=at, env={**os.environ, **own}).returncode
    finally:
        server.stop()


def _of_packs(log: str) -> str:
    """Without what it says of ComfyUI's own nodes, for some of which the environment lacks a package."""
    own = re.compile(r"comfy_extras|IMPORT FAILED: nodes_")
    return "\n".join(line for line in log.splitlines() if not own.search(line))


def main(folders: list[str], chosen: list[str]) -> int:
    with tempfile.TemporaryDirectory() as place:
        tree = copy_of_comfyui(Path(place))
        names = [name for name in chosen or SUITES if name != "tool"]
        code = suites(tree, folders[0], names) if names else 0
        return tool(tree, folders[1]) or code if not chosen or "tool" in chosen else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:3], sys.argv[3:]))
