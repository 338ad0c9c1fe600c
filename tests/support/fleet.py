"""What a test of the fleet needs: a ComfyUI that workers can begin, with Midrun and the test pack in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from copies import LAUNCHER
from harness import ROOT, TEST_PACK, comfyui_path, install

MAIN = """import runpy, sys
sys.argv[:1] = [{launcher!r}, {tree!r}]
runpy.run_path({launcher!r}, run_name="__main__")
"""


def setup_of(place: Path) -> dict[str, Any]:
    """The fields of a Setup: all that belongs to it lies in `place`."""
    tree, base = place / "comfyui", place / "base"
    tree.mkdir(parents=True)
    main = MAIN.format(launcher=str(LAUNCHER), tree=str(comfyui_path()))
    (tree / "main.py").write_text(main, encoding="utf-8")
    (base / "custom_nodes").mkdir(parents=True)
    install(ROOT, base / "custom_nodes" / "ComfyUI-Midrun")
    install(TEST_PACK, base / "custom_nodes" / TEST_PACK.name)
    arguments = ("--cpu", "--disable-api-nodes", "--base-directory", str(base))
    return {
        "comfyui": str(tree),
        "python": sys.executable,
        "store": f"file://{(place / 'store').as_posix()}",
        "base": str(place / "workers"),
        "arguments": arguments,
        "gpus": 0.0,
        "drain_s": 15.0,
    }
