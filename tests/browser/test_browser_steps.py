"""More steps for a completed job, the step at which something appears, and that at which two jobs part."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

import graphs
from browser import RENDERERS, needs_chromium, screen
from harness import Comfy
from test_gallery import img2img
from test_timetravel import completed

pytestmark = needs_chromium

PICTURES = {"method": "latent2rgb", "every": 1}


def test_a_completed_job_gets_more_steps_and_is_compared_with_what_it_was(
    newest: Comfy, browser: Browser
) -> None:
    with screen(browser, newest, RENDERERS[0]) as shown:
        shown.expected = "422"  # of what is refused
        job_id = completed(newest, "more-here", steps=6, preview=PICTURES, seed=77)
        panel = shown.open_panel()
        card = panel.locator(f'[data-job="{job_id}"]')
        card.hover()
        shown.verb("more", card).click()
        count = shown.dialog.get_by_role("spinbutton")
        expect(count).to_be_focused()
        expect(count).to_have_value("12")
        expect(shown.dialog).to_contain_text("not the picture that so many steps from the beginning")
        shown.picture("more-steps")
        count.fill("0")
        expect(shown.verb("confirm", shown.dialog)).to_have_attribute("aria-disabled", "true")
        count.fill("9999")
        count.press("Enter")
        expect(shown.dialog.get_by_role("alert")).to_contain_text("above its maximum, 10000")
        shown.page.keyboard.press("Escape")
        shown.dialog.wait_for(state="detached")

        card.locator(".midrun-open").click()
        shown.verb("more", panel.locator(".midrun-summary")).click()
        shown.dialog.get_by_role("spinbutton").fill("3")
        shown.verb("confirm", shown.dialog).click()
        expect(panel.locator(".midrun-summary .midrun-step")).to_have_text("step 9 / 9")
        shown.state("completed", panel)
        expect(panel.locator(".midrun-lineage")).to_contain_text("at step 6")
        assert newest.probe("more-here")["done"] == 6 + 3
        shown.picture("more-done")

        shown.verb("view", panel).click()
        shown.page.keyboard.press("Home")
        shown.verb("compare", shown.dialog).click()
        shown.dialog.locator(".midrun-with").select_option(f"job:{job_id}")
        curve = shown.dialog.locator(".midrun-curve")
        expect(curve).to_contain_text("Both are identical up to here.")
        expect(shown.verb("parting", curve)).to_have_count(0)


def test_the_step_is_found_by_keys_and_forked_from_the_one_before(newest: Comfy, browser: Browser) -> None:
    with screen(browser, newest, RENDERERS[0]) as shown:
        job_id = completed(newest, "found", steps=10, preview=PICTURES, seed=78)
        panel = shown.open_panel()
        panel.locator(f'[data-job="{job_id}"] .midrun-open').click()
        shown.verb("view", panel).click()
        shown.dialog.locator(".midrun-strip").wait_for()
        keys, label = shown.page.keyboard, shown.dialog.locator(".midrun-viewer-label")
        asked = shown.dialog.get_by_role("group", name="Find the step").get_by_role("status")
        keys.press("b")
        expect(asked).to_have_text("Is it there at step 5?")
        expect(label).to_contain_text("step 5 / 10")
        shown.picture("find-step")
        keys.press("n")
        expect(asked).to_have_text("Is it there at step 7?")
        keys.press("ArrowLeft")
        keys.press("ArrowLeft")
        expect(asked).to_have_text("Step 5 is settled. Look at steps 6 to 9.")
        keys.press("y")  # tells nothing
        keys.press("ArrowRight")
        keys.press("ArrowRight")
        keys.press("y")
        expect(asked).to_have_text("Is it there at step 6?")
        keys.press("Backspace")
        expect(asked).to_have_text("Is it there at step 7?")
        shown.verb("yes", shown.dialog).click()
        shown.verb("no", shown.dialog).click()
        expect(asked).to_have_text("It first appears at step 7.")
        expect(label).to_contain_text("step 7 / 10")
        shown.picture("found-step")
        expect(shown.verb("forkBefore", shown.dialog)).to_have_text(re.compile("Fork from step 6"))
        keys.press("f")
        fork = shown.page.locator("dialog.midrun-dialog-fork[open]")
        expect(fork.get_by_role("spinbutton")).to_have_value("6")
        fork.locator('[data-axis="0"] input').fill("7")
        fork.locator('[data-verb="confirm"]').click()
        fork.wait_for(state="detached")
        keys.press("Escape")
        expect(asked).to_have_count(0)
        expect(shown.dialog).to_be_visible()
        made = lambda: [  # noqa: E731
            job
            for job in newest.get("/midrun/jobs?limit=500")["jobs"]
            if job["parent"] == {"job_id": job_id, "step": 6, "node_id": "sampler"}
        ]
        newest.wait_for(newest.until(made, "the fork")[0]["job_id"], "completed")

        shown.verb("compare", shown.dialog).click()
        shown.dialog.locator(".midrun-with").select_option(f"job:{made()[0]['job_id']}")
        curve = shown.dialog.locator(".midrun-curve")
        expect(curve).to_contain_text("They part at step 7.")
        keys.press("End")
        expect(curve).to_contain_text("step 10:")
        shown.picture("curve")
        shown.verb("parting", curve).click()
        expect(label).to_contain_text("step 7 / 10")
        plot = curve.get_by_role("img")
        expect(plot).to_have_attribute(
            "aria-label", re.compile("Difference by step, steps 1 to 10: from 0 to")
        )
        plot.click(position={"x": 1, "y": 5})
        expect(label).to_contain_text("step 1 / 10")


def test_a_held_job_is_looked_at_as_its_own_vae_decodes_it_where_that_is_there(
    newest: Comfy, browser: Browser
) -> None:
    with screen(browser, newest, RENDERERS[0]) as shown:
        shown.expected = "409"  # without a VAE
        held = {"pause_at_step": 3, "queue_policy": "hold", "preview": PICTURES}
        size = "document.querySelector('.midrun-viewer-image')?.naturalWidth"
        panel = shown.open_panel()
        for graph, pixels in (
            (img2img(newest, "found-full", **held), 128),
            (graphs.base(key="found-rough", **held), 16),
        ):
            job_id = newest.queue(graph)
            newest.wait_for(job_id, "paused")
            panel.locator(f'[data-job="{job_id}"] .midrun-open').click()
            shown.verb("view", panel).click()
            shown.dialog.locator(".midrun-strip").wait_for()
            shown.page.keyboard.press("b")
            expect(shown.dialog.get_by_role("status")).to_have_text("Is it there at step 1?")
            shown.page.wait_for_function(f"{size} === {pixels}")
            shown.page.keyboard.press("Escape")
            shown.page.wait_for_function(f"{size} === 16")
            shown.page.keyboard.press("Escape")
            shown.dialog.wait_for(state="detached")
            newest.verb(job_id, "abort")
            shown.verb("back", panel).click()
