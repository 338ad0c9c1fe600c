"""A job that waits for a choice: found in the panel, chosen by mouse and by keyboard, with a painted mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Browser, Locator, expect

import graphs
from browser import Screen, needs_chromium, screen
from harness import Comfy
from test_choosing import BATCH, pictures

pytestmark = needs_chromium


def waiting(shown: Screen, key: str, **terms: Any) -> tuple[str, dict[str, str]]:
    """A job that waits to be chosen from four pictures, and its nodes' ids."""
    graph = graphs.base(key=key, steps=3, latent={"batch": BATCH})
    graph["vae"] = graphs.node("TestVAE", seed=3)
    graph["decode"] = graphs.node("VAEDecode", samples=["sampler", 0], vae=["vae", 0])
    graph["choose"] = graphs.node("MidrunChoose", batch=["decode", 0], **terms)
    graph["picture"] = graphs.node("SaveImage", images=["choose", 0], filename_prefix=f"choose/{key}")
    graph["shown"] = graphs.node("MaskToImage", mask=["choose", 1])
    graph["mask"] = graphs.node("SaveImage", images=["shown", 0], filename_prefix=f"choose/{key}-mask")
    del graph["save"]
    ids = shown.load(graph)
    job_id = shown.queue()
    shown.comfy.wait_for(job_id, "paused")
    return job_id, ids


def dialog_of(shown: Screen) -> Locator:
    return shown.page.locator(".midrun-dialog-choose")


def test_two_of_four_are_chosen_by_keyboard_and_the_next_job_is_offered(
    newest: Comfy, browser: Browser
) -> None:
    with screen(browser, newest, "nodes2") as shown:
        first, ids = waiting(shown, "keys-1", most=2)
        second, _ = waiting(shown, "keys-2", most=2)
        panel = shown.open_panel()
        expect(shown.verb("openChoice", panel)).to_have_text("Choices: 2")
        expect(
            shown.page.locator(".sidebar-icon-wrapper, .side-bar-button").filter(has_text="2").first
        ).to_be_visible()
        shown.picture("choices-in-the-list")
        shown.verb("openChoice", panel).press("Enter")
        dialog = dialog_of(shown)
        expect(dialog.locator(".midrun-tile img")).to_have_count(BATCH)
        for key in ("1", "4", "3", "1"):  # a third is one too many; the first is taken back
            shown.page.keyboard.press(key)
        pressed = dialog.locator('.midrun-tick[aria-pressed="true"]')
        expect(pressed).to_have_count(1)
        shown.page.keyboard.press("2")
        shown.picture("choose")
        shown.page.keyboard.press("Enter")
        job = newest.wait_for(first, "completed")
        assert job["modified_params"][ids["choose"]]["chosen"]["to"] == "2, 4"
        assert len(pictures(newest, job["prompt_id"], ids["picture"])) == 2
        expect(dialog).to_contain_text("Jobs that wait for a choice: 1")
        dialog.locator('[data-number="3"] .midrun-tick').press("Space")
        dialog.locator('[data-verb="choose"]').press("Enter")
        newest.wait_for(second, "completed")
        expect(dialog).to_have_count(0)
        expect(shown.verb("openChoice", panel)).to_have_count(0)


def test_a_mask_is_painted_and_what_is_refused_is_told(newest: Comfy, browser: Browser) -> None:
    with screen(browser, newest, "canvas") as shown:
        job_id, ids = waiting(shown, "mask", paint=True)
        shown.show(ids["sampler"])
        shown.verb("primary").click()  # of the node
        dialog = dialog_of(shown)
        dialog.locator('[data-number="2"]').locator('[data-verb="paint"]').click()
        canvas = dialog.locator(".midrun-mask")
        shown.page.wait_for_function("document.querySelector('.midrun-paint img')?.naturalWidth > 0")
        box = canvas.bounding_box()
        assert box is not None
        mouse = shown.page.mouse
        mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.5)
        mouse.down()
        mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5, steps=4)
        mouse.up()
        shown.picture("choose-mask")
        expect(shown.verb("wipe", dialog)).not_to_have_attribute("aria-disabled", "true")
        dialog.locator('[data-verb="choose"]').click()
        job = newest.wait_for(job_id, "completed")
        assert job["modified_params"][ids["choose"]]["chosen"]["to"] == "2"
        (mask,) = pictures(newest, job["prompt_id"], ids["mask"])
        left, right = np.array_split(mask[..., 0] > 127, 2, axis=1)
        assert left.any() and not right.any()

        job_id, ids = waiting(shown, "mask-by-keys", paint=True)
        shown.show(ids["sampler"])
        shown.verb("primary").press("Enter")
        keys = shown.page.keyboard
        dialog.locator('[data-number="3"] .midrun-tick').focus()
        keys.press("Tab")
        keys.press("Enter")  # paint a mask
        expect(canvas).to_be_focused()
        shown.page.wait_for_function("document.querySelector('.midrun-paint img')?.naturalWidth > 0")
        for key in ("-", *["ArrowLeft"] * 10, "+", "Space", *["Shift+ArrowUp"] * 3):
            keys.press(key)
        expect(dialog.locator("#midrun-brush-at")).to_have_text("Brush at 18% across, 38% down")
        expect(dialog.locator(".midrun-brush")).to_be_visible()
        shown.picture("choose-mask-by-keys")
        keys.press("Enter")
        job = newest.wait_for(job_id, "completed")
        assert job["modified_params"][ids["choose"]]["chosen"]["to"] == "3"
        (mask,) = pictures(newest, job["prompt_id"], ids["mask"])
        rows, columns = np.nonzero(mask[..., 0] > 127)
        height, width = mask.shape[:2]
        assert 0.05 * width < columns.min() and columns.max() < 0.3 * width
        assert rows.min() < 0.4 * height and 0.45 * height < rows.max() < 0.6 * height
