"""The archive that ComfyUI's registry would have: what git has, without what .comfyignore names.

`python dev.py pack [FILE]` writes it. Unzipped in `custom_nodes`, it is the folder `midrun`, as the registry
installs it. Standard library and git only.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "midrun"  # the registry's id


def tracked() -> list[str]:
    """All files that git has, and that are there. Raises CalledProcessError outside a git repository."""
    return [name for name in _git("ls-files", "--cached") if (ROOT / name).is_file()]


def files() -> list[str]:
    left_out = set(_git("ls-files", "--cached", "--ignored", "--exclude-from=.comfyignore"))
    return [name for name in tracked() if name not in left_out]


def write(place: Path) -> Path:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in files():
            archive.write(ROOT / name, f"{FOLDER}/{name}")
    return place


def version() -> str:
    found = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    return found[1] if found else "0"


def _git(*arguments: str) -> list[str]:
    told = subprocess.run(["git", *arguments, "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [name for name in told.decode().split("\0") if name]


def main(arguments: list[str]) -> int:
    place = write(Path(arguments[0]) if arguments else Path(f"{FOLDER}-{version()}.zip"))
    print(f"{place}: {place.stat().st_size / 1e6:.1f} MB, to be unzipped in ComfyUI/custom_nodes.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
