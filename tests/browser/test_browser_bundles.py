"""Exporting and importing jobs by mouse, in both renderers, and what is told of them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser import IN_THE_PANEL, Screen, needs_chromium, screen
from bundles import files_in, sealed, with_job, zipped
from harness import Comfy
from test_browser_travel import opened, queued, quick
from test_control import pause_at

pytestmark = [needs_chromium, pytest.mark.parametrize("renderer", IN_THE_PANEL)]

DROP = """([selector, content, name]) => {
    const bytes = Uint8Array.from(atob(content), one => one.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name));
    const panel = document.querySelector(selector);
    const fire = (type) => panel.dispatchEvent(
        new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
    return [fire("dragover"), fire("drop")];
}"""


def exported(shown: Screen, panel: Locator, place: Path) -> Path:
    """What the button of the open job gives."""
    with shown.page.expect_download() as download:
        shown.verb("export", panel).click()
    assert download.value.suggested_filename.endswith(".midrun")
    download.value.save_as(place)
    return place


def shown_job(panel: Locator) -> str:
    """The id of the job that is open, by its link."""
    return (panel.locator('[data-verb="export"]').get_attribute("href") or "").split("/")[-2]


def elsewhere(told: dict[str, Any]) -> None:
    """As of another machine, and with a model that answers otherwise."""
    told["surroundings"]["values"] |= {"torch": "2.4.1+cu124", "comfyui": "0.3.1"}
    odd = {"name": "Odd-Pack", "version": "1", "nodes": ["OddNode"], "code": None}
    told["surroundings"]["packs"].append(odd)
    for node in told["job"]["prompt"].values():
        if node["class_type"] == "TestModel":
            node["inputs"]["seed"] = 2


def test_a_job_is_exported_imported_and_goes_on(
    newest: Comfy, browser: Browser, renderer: str, tmp_path: Path
) -> None:
    with screen(browser, newest, renderer) as shown:
        key = f"bundles-{renderer}"
        job_id, _ = queued(shown, quick(key, gates="6"))
        pause_at(newest, job_id, key, 6)
        panel = opened(shown, job_id)
        file = exported(shown, panel, tmp_path / "job.midrun")
        expect(panel.locator(".midrun-elsewhere")).to_have_count(0)
        shown.verb("back", panel).click()
        shown.picture(f"import-{renderer}")

        changed = tmp_path / "changed.midrun"
        changed.write_bytes(zipped(sealed(with_job(files_in(file.read_bytes()), elsewhere))))
        client = shown.page.evaluate("app.api.clientId")
        with shown.page.expect_request(f"{newest.url}/api/midrun/jobs/import") as asked:
            panel.locator('[data-verb="import"]').set_input_files(changed)
        assert asked.value.header_value("Midrun-Client") == client
        shown.state("paused", panel)
        expect(panel.locator("[data-difference]")).to_have_count(2)
        expect(panel.locator(".midrun-elsewhere")).to_contain_text("is asked once more and compared")
        expect(panel.locator('[data-difference="torch"]')).to_contain_text("was 2.4.1+cu124 where the job")
        other = shown_job(panel)
        assert other != job_id and newest.job(other)["imported"]["wants_check"]
        shown.picture(f"differences-{renderer}")
        shown.verb("primary", panel).click()
        newest.wait_for(other, "completed")
        told = "Here the model answers evaluation 5 otherwise than where it was recorded, by "
        expect(panel.locator(".midrun-summary")).to_contain_text(told)
        expect(panel.locator("[data-checked]")).to_have_count(0)  # it says the same
        expect(panel.locator("[data-difference]")).to_have_count(0)
        shown.picture(f"checked-{renderer}")


def test_a_file_is_dropped_on_the_panel_and_a_bad_one_is_refused(
    newest: Comfy, browser: Browser, renderer: str, tmp_path: Path
) -> None:
    with screen(browser, newest, renderer) as shown:
        shown.expected = "422"
        key = f"dropped-{renderer}"
        job_id, _ = queued(shown, quick(key, gates="4"))
        pause_at(newest, job_id, key, 4)
        panel = opened(shown, job_id)
        file = exported(shown, panel, tmp_path / "job.midrun")
        shown.verb("back", panel).click()
        nodes = shown.page.evaluate("(app.rootGraph ?? app.graph).nodes.length")
        drop(shown, file.read_bytes()[:-1], "broken.midrun")
        expect(panel.get_by_role("alert")).to_contain_text("broken.midrun: Nothing was imported: the file is")
        shown.picture(f"refused-{renderer}")
        shown.verb("dismiss", panel).click()
        expect(panel.get_by_role("alert")).to_have_count(0)
        drop(shown, file.read_bytes(), "job.midrun")
        shown.state("paused", panel)
        assert shown_job(panel) != job_id
        assert (
            shown.page.evaluate("(app.rootGraph ?? app.graph).nodes.length") == nodes
        )  # ComfyUI saw none of it


def drop(shown: Screen, content: bytes, name: str) -> None:
    told = [".midrun-panel-root .midrun-tray", base64.b64encode(content).decode(), name]
    assert shown.page.evaluate(DROP, told) == [False, False]  # both were taken
