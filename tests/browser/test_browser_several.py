"""Many jobs at once in the panel: the whole queue, and a selection."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from browser import RENDERERS, graph, needs_chromium, screen
from harness import Comfy
from test_control import pause_at, start

pytestmark = needs_chromium


def test_the_queue_is_paused_and_goes_on_and_a_selection_is_aborted(newest: Comfy, browser: Browser) -> None:
    with screen(browser, newest, RENDERERS[0]) as shown:
        first = start(newest, "bar-0", "3", seed=31)
        newest.wait_at_gate("bar-0", 3)
        waiting = [start(newest, f"bar-{n}", seed=31 + n) for n in (1, 2)]
        panel = shown.open_panel()
        card = {job_id: panel.locator(f'[data-job="{job_id}"] .midrun-open') for job_id in (first, *waiting)}
        expect(card[waiting[1]]).to_be_visible()
        shown.verb("pauseAll", panel).click()
        expect(panel.locator(".midrun-several-word")).to_have_text("Queue paused")
        expect(panel.locator(f'[data-job="{first}"]')).to_have_attribute("data-state", "paused")
        shown.picture("several-paused")
        picture, name = (
            card[first].locator(part).bounding_box() for part in (".midrun-thumb", ".midrun-name")
        )
        assert picture and name and picture["x"] + picture["width"] < name["x"], (
            "it does not lie over the text"
        )

        shown.verb("select", panel).click()
        expect(card[first]).to_have_attribute("aria-pressed", "false")
        for job_id in waiting:
            card[job_id].click()
        expect(panel.get_by_role("toolbar", name="Selected jobs")).to_contain_text("2 selected")
        shown.picture("several-selected")
        shown.verb("abortThese", panel).click()
        expect(shown.verb("really", panel)).to_have_text("Abort 2 jobs?")
        shown.verb("really", panel).press("Enter")
        for job_id in waiting:
            expect(panel.locator(f'[data-job="{job_id}"]')).to_have_attribute("data-state", "aborted")
        shown.verb("resumeThese", panel).click()
        expect(panel.get_by_role("alert")).to_contain_text("2 of 2 were refused: Cannot resume job")
        shown.picture("several-refused")
        shown.verb("select", panel).click()

        newest.open_gate("bar-0", 3)
        shown.verb("resumeAll", panel).click()
        expect(shown.verb("pauseAll", panel)).to_be_visible()
        newest.wait_for(first, "completed")
        card[first].click()
        shown.state("completed", panel)


def test_a_page_sees_that_a_job_of_another_client_stands_no_more(newest: Comfy, browser: Browser) -> None:
    job_id = newest.queue(graph("elsewhere", gates="3"), client_id="another page")
    pause_at(newest, job_id, "elsewhere", 3)
    standing = newest.get("/midrun/queue")["standing"]
    with screen(browser, newest, RENDERERS[0]) as shown:
        beside_run = shown.page.locator(".midrun-in-front")
        badge = shown.page.locator(".sidebar-icon-wrapper, .side-bar-button").filter(has_text=str(standing))
        expect(beside_run).to_have_text("Resume")
        expect(badge.first).to_be_visible()
        assert shown.page.title().startswith("⏸")
        newest.verb(job_id, "abort")
        newest.wait_for(job_id, "aborted")
        expect(beside_run).to_have_count(0)
        expect(badge).to_have_count(0)
        if standing == 1:
            assert not shown.page.title().startswith("⏸")
        expect(shown.tray).to_be_hidden()
