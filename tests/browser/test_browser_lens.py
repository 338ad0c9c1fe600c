"""What a word of a prompt does, chosen by mouse and by keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from browser import IN_THE_PANEL, needs_chromium, screen
from harness import Comfy
from test_browser_travel import opened, queued
from test_lens import painted

pytestmark = [needs_chromium, pytest.mark.parametrize("renderer", IN_THE_PANEL[:1])]


def test_a_word_is_chosen_and_its_heat_map_seen(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        job_id, ids = queued(shown, painted("a (red:1.2) circle on a blue background"))
        newest.wait_for(job_id, "paused")
        panel = opened(shown, job_id)
        group = panel.locator(f'.midrun-group[data-node="{ids["positive"]}"]')
        shown.verb("lens", group).click()
        words = group.locator("[data-word]")
        expect(words).to_have_text(["a", "red", "circle", "on", "blue", "background"])
        group.locator('[data-word="red"]').click()
        told, picture = group.locator("[data-lens]"), group.locator(".midrun-heat")
        expect(told).to_contain_text("Without “red”, the answer at step 3 differs by", timeout=30_000)
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") >= 256
        shown.picture("lens")

        group.locator('[data-word="circle"]').focus()
        shown.page.keyboard.press("Enter")
        expect(told).to_contain_text("Without “circle”", timeout=30_000)
        expect(group.locator('[data-word="circle"]')).to_have_attribute("aria-pressed", "true")
        assert newest.job(job_id)["state"] == "paused"
        shown.verb("lens", group).click()
        expect(words).to_have_count(0)
