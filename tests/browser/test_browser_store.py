"""Jobs of other servers in the panel: seen while they live, taken over once their server is dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import graphs
from browser import FRONTENDS, IN_THE_PANEL, frontend_root, needs_chromium, screen
from harness import Comfy
from test_control import pause_at

pytestmark = needs_chromium


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Comfy, Comfy]]:
    """Servers with one store, the second one with a page."""
    environ = {"MIDRUN_STORE": f"file://{(tmp_path / 'store').as_posix()}"}
    root = ("--front-end-root", str(frontend_root(FRONTENDS[-1])))
    one = Comfy(tmp_path / "one", environ=environ)
    other = Comfy(tmp_path / "other", args=root, environ=environ)
    yield one.start(), other.start()
    for comfy in (one, other):
        comfy.stop()


def test_a_job_of_a_dead_server_is_taken_over(two: tuple[Comfy, Comfy], browser: Browser) -> None:
    one, other = two
    with screen(browser, other, IN_THE_PANEL[0]) as shown:
        panel = shown.open_panel()
        expect(panel.locator(".midrun-others")).to_have_count(0)
        job_id = one.queue(graphs.base(steps=8, key="away", gates="4,5"))
        pause_at(one, job_id, "away", 4)
        row = panel.locator(f'.midrun-others [data-job="{job_id}"]')
        take = row.locator('[data-verb="take"]')
        expect(row).to_contain_text("3/8", timeout=60_000)  # while the panel is open
        expect(take).to_be_disabled(timeout=60_000)  # its server lives
        shown.picture("others-alive")
        one.kill()
        expect(take).to_be_enabled(timeout=60_000)
        shown.picture("others-dead")
        take.click()
        shown.state("paused", panel)
        expect(panel.locator(".midrun-detail")).to_contain_text("3", timeout=60_000)
        shown.picture("others-taken")
        for gate in (4, 5):
            other.open_gate("away", gate)
        shown.verb("primary", panel).click()
        other.wait_for(job_id, "completed")
        shown.verb("back", panel).click()
        expect(panel.locator(".midrun-others")).to_have_count(0, timeout=60_000)
