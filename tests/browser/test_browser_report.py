"""The report of a job, opened from a file without network; and the ledger in the panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

import graphs
from browser import HOSTILE, RENDERERS, needs_chromium, screen
from harness import Comfy

pytestmark = needs_chromium
STEPS, STOP = 8, 5
PREFIX = f"latents/{HOSTILE}"


def aborted(comfy: Comfy) -> str:
    """A job with an edit, and texts that are markup."""
    graph = graphs.base(key="report", steps=STEPS, pause_at_step=STOP, seed=77)
    pnginfo = {"workflow": {"id": "w", "name": HOSTILE}}
    job_id = comfy.queue(graph, extra_data={"extra_pnginfo": pnginfo})
    comfy.wait_for(job_id, "paused")
    edits = {"save": {"filename_prefix": PREFIX}, "sampler": {"cfg": 7.5}}
    status, answer = comfy.call("PUT", f"/midrun/jobs/{job_id}/params", edits)
    assert status == 200, answer
    comfy.verb(job_id, "abort", {"reason": HOSTILE})
    comfy.wait_for(job_id, "aborted")
    return job_id


def saved(comfy: Comfy, job_id: str, place: Path) -> Path:
    status, headers, content = comfy.fetch(f"/midrun/jobs/{job_id}/report")
    assert (
        status == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and len(content) < 5_000_000
    )
    place.write_bytes(content)
    return place


def test_a_report_opens_without_network_and_is_scrubbed_by_keyboard_and_mouse(
    newest: Comfy, browser: Browser, tmp_path: Path
) -> None:
    file = saved(newest, aborted(newest), tmp_path / "report.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    told: list[Any] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url) if request.url[:5] == "http:" else None)
    page.goto(file.as_uri())
    step, position = page.locator(".step:visible"), page.locator("#told")
    expect(position).to_contain_text(f"Step {STOP} of {STEPS}")
    for key, number in (("ArrowLeft", 4), ("Home", 1), ("ArrowRight", 2), ("End", STOP), ("PageUp", 1)):
        page.keyboard.press(key)
        expect(position).to_contain_text(f"Step {number} of")
        expect(step).to_have_count(1)
        expect(step.locator("figcaption")).to_contain_text(f"Step {number} of")
    assert step.locator("img").evaluate("image => image.complete && image.naturalWidth > 0")
    page.locator("#range").focus()
    page.keyboard.press("ArrowRight")
    expect(position).to_contain_text("Step 2 of")
    page.get_by_role("button", name="A step on").click()
    expect(position).to_contain_text("Step 3 of")
    page.locator("[data-row]").nth(3).click()
    expect(position).to_contain_text("Step 4 of")
    page.locator("#range").click(position={"x": 1, "y": 8})
    expect(position).to_contain_text("Step 1 of")

    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.locator("header")).to_contain_text(f"Aborted after step {STOP} of {STEPS}: {HOSTILE}")
    expect(page.get_by_role("cell", name=PREFIX)).to_be_visible()
    expect(page.get_by_role("cell", name="7.5", exact=True)).to_be_visible()
    assert page.evaluate("window.hacked") is None and page.locator("script").count() == 1
    assert told == [], "no request, no error, nothing that the policy had to refuse"
    context.close()


def test_the_foot_of_the_panel_tells_what_was_spared_and_opens_the_ledger(
    newest: Comfy, browser: Browser
) -> None:
    job_id = aborted(newest)
    with screen(browser, newest, RENDERERS[0]) as shown:
        panel = shown.open_panel()
        card = panel.locator(f'[data-job="{job_id}"]')
        card.hover()
        assert f"/midrun/jobs/{job_id}/report" in (shown.verb("report", card).get_attribute("href") or "")
        foot = shown.verb("ledger", panel)
        expect(foot).to_contain_text("of GPU time spared")
        foot.press("Enter")
        dialog = shown.page.get_by_role("dialog", name="What became of the GPU's time")
        expect(dialog.locator("tbody tr")).not_to_have_count(0)
        dialog.get_by_role("button", name="Workflow").click()
        expect(dialog.get_by_role("rowheader", name=HOSTILE)).to_be_visible()
        dialog.get_by_role("button", name="Reason").click()
        expect(dialog.get_by_role("rowheader", name=HOSTILE)).to_be_visible()
        assert "/midrun/ledger?format=csv" in (dialog.get_by_text("As CSV").get_attribute("href") or "")
        shown.picture("ledger")
        shown.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(foot).to_be_focused()
