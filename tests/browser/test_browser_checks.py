"""Checking a job by mouse, and what the panel says of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from browser import IN_THE_PANEL, needs_chromium, screen
from graphs import node
from harness import Comfy
from test_browser_travel import opened, queued, quick

pytestmark = [needs_chromium, pytest.mark.parametrize("renderer", IN_THE_PANEL[:1])]


def test_a_check_says_what_differs_and_what_changed(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        graph = quick("browser-check")
        graph["today"] = node("TestToday", model=["probe", 0], key="browser-check")
        graph["sampler"]["inputs"]["model"] = ["today", 0]
        job_id, _ = queued(shown, graph)
        newest.wait_for(job_id, "completed")
        panel = opened(shown, job_id)
        told = panel.locator("[data-check]")
        expect(told).to_have_count(0)
        shown.verb("check", panel).click()
        expect(told).to_contain_text("all answered exactly as on record")
        shown.picture("check-equal")

        newest.open_gate("browser-check", "patched")
        shown.verb("check", panel).click()
        expect(told).to_contain_text("step 1 is the first that is answered otherwise")
        expect(panel.locator("[data-changed]")).to_have_count(1)
        expect(panel.locator('[data-changed="patches"]')).to_contain_text("sharper")
        shown.picture("check-different")
