"""What the MCP server says where it cannot start, and what an agent hears of a job."""

from __future__ import annotations

import subprocess
import sys

from harness import ROOT
from midrun.midrun.agent import brief
from test_store import view


def test_without_the_package_mcp_it_says_what_to_install() -> None:
    command = [sys.executable, "-S", "-m", "midrun.mcp"]  # -S: no package is installed
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True)
    assert done.returncode == 1 and 'pip install "mcp>=2,<3"' in done.stderr
    assert done.stdout == "", "that is the client's"


def test_a_job_is_told_in_few_words() -> None:
    told = brief(view("j").to_json())
    assert told == {"job_id": "j", "state": "queued", "step": 0}
