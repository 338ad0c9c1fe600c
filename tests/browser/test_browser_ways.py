"""What cannot be edited where the job stands is edited by one click."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser import IN_THE_PANEL, needs_chromium, screen
from harness import Comfy
from test_browser_travel import opened, queued
from test_control import pause_at
from test_ways import in_series

pytestmark = [needs_chromium, pytest.mark.parametrize("renderer", IN_THE_PANEL)]


def row(panel: Locator, node_id: str, name: str) -> Locator:
    return panel.locator(f'[data-node="{node_id}"] [data-input="{name}"]')


def _beside_its_name(row: Locator) -> tuple[float, float]:
    """Where in its row the control of an input is."""
    around, name, control = (
        one.bounding_box() for one in (row, row.locator("label"), row.get_by_role("spinbutton"))
    )
    assert around and name and control
    assert name["x"] + name["width"] <= control["x"]
    assert control["y"] <= name["y"] + name["height"] / 2 <= control["y"] + control["height"]
    return control["x"] - around["x"], control["y"] - around["y"]


def test_a_sampler_that_is_done_is_edited_by_a_rewind_to_it(
    newest: Comfy, browser: Browser, renderer: str
) -> None:
    with screen(browser, newest, renderer) as shown:
        key = f"ways-{renderer}"
        job_id, ids = queued(shown, in_series(key, gates="9"))
        job = pause_at(newest, job_id, key, 9)
        assert job["node_id"] == ids["second"]
        panel = opened(shown, job_id)
        cfg, own = row(panel, ids["sampler"], "cfg"), row(panel, ids["second"], "cfg")
        name = f"KSampler (Midrun) #{ids['sampler']}"
        expect(cfg).to_contain_text(f"after a rewind to {name}, step 0")
        expect(own).to_contain_text("from the next step")
        way = shown.verb("rewindWithEdit", panel)
        expect(way).to_have_count(0)
        was = _beside_its_name(own)
        own.get_by_role("spinbutton").fill("3.5")
        expect(own).to_have_attribute("data-status", "unsaved")
        assert _beside_its_name(own) == was, "it moved while it was edited"
        expect(way).to_have_count(0)
        cfg.get_by_role("spinbutton").fill("7.5")
        expect(way).to_have_text(f"Rewind to {name}, step 0, with this edit")
        shown.picture(f"way-{renderer}")
        way.click()
        expect(cfg).to_have_attribute("data-status", "pending")
        expect(way).to_have_count(0)
        job = newest.job(job_id)
        assert (job["state"], job["node_id"], job["step"]) == ("paused", ids["sampler"], 0)
        assert list(job["modified_params"]) == [ids["sampler"]]
        expect(own).to_have_attribute("data-status", "unsaved")  # which was not asked for
        shown.verb("resumeWithChanges", panel).click()
        job = newest.wait_for(job_id, "completed")
        assert job["modified_params"][ids["sampler"]]["cfg"] == {"from": 4.0, "to": 7.5, "from_step": 0}

        shown.state("completed", panel)  # and once more, where the job has ended
        seed = row(panel, ids["second"], "seed")
        expect(seed.get_by_role("spinbutton")).to_be_editable()
        expect(panel).to_contain_text("the job has ended; a change rewinds it")
        seed.get_by_role("spinbutton").fill("77")
        expect(way).to_have_text(f"Rewind to KSampler (Midrun) #{ids['second']}, step 0, with this edit")
        way.click()
        shown.state("paused", panel)
        job = newest.job(job_id)
        assert (job["node_id"], job["step"]) == (ids["second"], 0)
        assert job["modified_params"][ids["second"]]["seed"]["to"] == 77
