"""A few random kills of the server; `python dev.py bench --soak` does a hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from endurance import soak


@pytest.mark.timeout(1200)
def test_jobs_of_a_server_that_is_killed_at_random_moments_end_as_if_it_had_not_been(tmp_path: Path) -> None:
    figures = soak(tmp_path, 4, seed=3)
    jobs = figures["jobs"]
    assert figures["kills"]["all"] == 4
    assert jobs["equal"] == jobs["ended"] > 0, figures
    assert (jobs["stuck"], jobs["evaluations_no_stock_run_has"]) == (0, 0), figures
    restarts = figures["restarts"]
    assert restarts["told_otherwise"] == restarts.get("false", 0) == 0 < restarts["jobs_compared"], figures
