"""`comfy node validate`, where a warning counts as a failure: `validate.py FOLDER`, comfy-cli's packages.

It checks pyproject.toml, and Python files for what the registry does not want. It exits 0 with warnings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def comfy(folder: str, *arguments: str, at: Path = ROOT) -> tuple[int, str]:
    """Run comfy-cli with a home of its own, in which it keeps settings; its exit code and words."""
    with tempfile.TemporaryDirectory() as home:
        own = {"PYTHONPATH": folder, "HOME": home, "USERPROFILE": home, "DO_NOT_TRACK": "1"}
        command = [sys.executable, "-m", "comfy_cli", "--skip-prompt", *arguments]
        done = subprocess.run(command, cwd=at, env={**os.environ, **own}, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def main(folder: str) -> int:
    code, told = comfy(folder, "node", "validate")
    if code or "warning" in told.lower():
        print(told.strip())
        return code or 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
