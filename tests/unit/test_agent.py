"""What the MCP server says where it cannot start, and what an agent hears of a job."""

from __future__ import annotations

import subprocess
import sys

from harness import ROOT
from midrun.midrun.agent import LARGEST, WEEKS, brief, short_ledger
from midrun.state.ledger import Figures, Row, to_json
from test_store import view


def test_without_the_package_mcp_it_says_what_to_install() -> None:
    command = [sys.executable, "-S", "-m", "midrun.mcp"]  # -S: no package is installed
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True)
    assert done.returncode == 1 and 'pip install "mcp>=2,<3"' in done.stderr
    assert done.stdout == "", "that is the client's"


def test_a_job_is_told_in_few_words() -> None:
    told = brief(view("j").to_json())
    assert told == {"job_id": "j", "state": "queued", "step": 0}


def test_a_long_ledger_is_told_in_few_rows() -> None:
    rows = [Row(f"2026-W{n % 52:02}", f"w{n}", "m", "", Figures(float(n))) for n in range(300)]
    told = short_ledger(to_json(rows))
    assert told["total"]["computed_s"] == sum(range(300)) and told["left_out"] == {"workflow": 280}
    assert [row["workflow"] for row in told["by_workflow"]] == [f"w{299 - n}" for n in range(LARGEST)]
    assert [row["week"] for row in told["by_week"]] == [f"2026-W{51 - n}" for n in range(WEEKS)]
