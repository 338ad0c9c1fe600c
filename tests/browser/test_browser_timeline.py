"""The timeline in the bottom panel: one cursor for all views, branches, and thousands of steps.

With MIDRUN_FULL=1 it is scrubbed for longer, and no task in the page may take over 50 ms of the processor.
"""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import Browser, Locator, expect

import crowd
from browser import RENDERERS, Screen, needs_chromium, screen
from harness import Comfy
from test_timetravel import completed

pytestmark = needs_chromium

FULL = bool(os.environ.get("MIDRUN_FULL"))
PICTURES = {"method": "latent2rgb", "every": 1}
# Whether anything was painted, and how many colours.
PAINTED = """() => {
    const canvas = document.querySelector(".midrun-canvas");
    if (!canvas?.width) return 0;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let at = 0; at < data.length; at += 4)
        if (data[at + 3]) seen.add(`${data[at]} ${data[at + 1]} ${data[at + 2]}`);
    return seen.size;
}"""

COUNT_PAINTED = """() => {
    window.painted = 0;
    app.canvas.onDrawForeground = () => { window.painted += 1; };
}"""
TWO_FRAMES = "async () => { for (const _ of [1, 2]) await new Promise(requestAnimationFrame); }"


def opened(shown: Screen) -> Locator:
    """The timeline, by its key, with something painted."""
    shown.page.keyboard.press("Shift+F4")
    timeline = shown.page.locator(".midrun-timeline-root")
    timeline.locator(".midrun-plot-area").wait_for()
    shown.page.wait_for_function(f"({PAINTED})() > 4")
    return timeline


def lane(timeline: Locator, job_id: str) -> Locator:
    return timeline.locator(f'.midrun-lane[data-job="{job_id}"]')


def test_one_cursor_goes_through_steps_and_branches(newest: Comfy, browser: Browser) -> None:
    job_id = completed(newest, "line", steps=10, preview=PICTURES, seed=91)
    asked = {"step": 4, "vary": {"sampler": {"cfg": [2.5, 6.5]}}}
    forks = [job["job_id"] for job in newest.post(f"/midrun/jobs/{job_id}/fork", asked)["jobs"]]
    for fork in forks:
        newest.wait_for(fork, "completed")
    with screen(browser, newest, RENDERERS[0]) as shown:
        timeline = opened(shown)
        cursor = timeline.get_by_role("slider", name="Step that is looked at")
        lane(timeline, job_id).locator(".midrun-lane-name").click()
        expect(timeline.locator(".midrun-timeline")).to_have_attribute("data-job", job_id)
        expect(timeline.locator(".midrun-still").first).to_be_visible()
        panel = shown.open_panel()
        panel.locator(f'[data-job="{job_id}"] .midrun-open').click()
        label = panel.locator(".midrun-label")

        cursor.focus()
        for key, step in (("ArrowLeft", 9), ("Home", 1), ("PageUp", 10), ("PageDown", 1), ("]", 4)):
            if key == "]":
                lane(timeline, forks[0]).locator(".midrun-lane-name").click()
                cursor.focus()
            shown.page.keyboard.press(key)
            expect(cursor).to_have_attribute("aria-valuenow", str(step))
            if key != "]":
                expect(label).to_contain_text(f"step {step} ")
        expect(cursor).to_have_attribute("aria-valuetext", re.compile("forked here"))
        expect(panel.locator(".midrun-lineage")).to_contain_text("at step 4")  # the panel follows
        shown.picture("timeline-fork")

        _leaves_the_canvas_alone(shown, cursor)
        _drag(shown, cursor, 0.25, 0.85)
        expect(cursor).to_have_attribute("aria-valuenow", "9")
        expect(label).to_contain_text("step 9 ")
        _is_clear_over_the_pictures(timeline)
        _compare(shown, timeline, forks)
        shown.page.keyboard.press("ArrowLeft")
        expect(cursor).to_have_attribute("aria-valuenow", "8")
        shown.verb("rewind", timeline).click()
        newest.wait_for(forks[0], "paused")
        assert newest.job(forks[0])["step"] == 8
        expect(shown.verb("undoRewind", timeline)).to_be_visible()
        shown.picture("timeline-rewound")
        shown.page.keyboard.press("Shift+F4")
        expect(timeline).to_have_count(0)


def _drag(shown: Screen, area: Locator, start: float, end: float) -> None:
    """With the left button, along the curves."""
    box = area.bounding_box()
    assert box is not None
    height = box["y"] + box["height"] - 8
    shown.page.mouse.move(box["x"] + start * box["width"], height)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + end * box["width"], height, steps=6)
    shown.page.mouse.up()


def _leaves_the_canvas_alone(shown: Screen, cursor: Locator) -> None:
    """LiteGraph, which paints at every key that is let go, paints at none of the cursor's.

    Now and then it paints by itself, so that it may be looked at a second time.
    """
    shown.page.evaluate(COUNT_PAINTED)
    painted = []
    for _ in range(5):
        before = shown.page.evaluate("window.painted")
        for key in ("Home", "ArrowRight", "ArrowRight", "0", "ArrowLeft"):
            shown.page.keyboard.press(key)
        expect(cursor).to_have_attribute("aria-valuenow", "2")
        shown.page.evaluate(TWO_FRAMES)
        painted.append(shown.page.evaluate("window.painted") - before)
        if not painted[-1]:
            break
    assert painted[-1] == 0, painted
    before = shown.page.evaluate("window.painted")
    shown.page.keyboard.press("Shift")  # which is none of the timeline's
    shown.page.wait_for_function("before => window.painted > before", arg=before)


def _is_clear_over_the_pictures(timeline: Locator) -> None:
    """The cursor has a ground, which begins where the film strip ends."""
    line, film = timeline.locator(".midrun-cursor-line"), timeline.locator(".midrun-film")
    position, image = line.evaluate(
        "one => [getComputedStyle(one).backgroundPosition, getComputedStyle(one).backgroundImage]"
    )
    above, below = line.bounding_box(), film.bounding_box()
    assert above and below
    assert "gradient" in image
    assert float(position.split()[1].removesuffix("px")) == pytest.approx(
        below["y"] + below["height"] - above["y"], abs=1
    )
    assert line.evaluate("one => getComputedStyle(one).backgroundColor") == "rgba(0, 0, 0, 0)"


def _compare(shown: Screen, timeline: Locator, forks: list[str]) -> None:
    """A click on the other branch compares with it, at the step of the cursor."""
    area = timeline.locator(".midrun-plot-area")
    box, row = area.bounding_box(), lane(timeline, forks[1]).bounding_box()
    assert box is not None
    assert row is not None
    shown.page.mouse.click(box["x"] + 0.6 * box["width"], row["y"] + row["height"] / 2)
    expect(shown.dialog.locator(".midrun-with")).to_have_value(f"job:{forks[1]}")
    expect(shown.dialog.locator(".midrun-viewer-label")).to_contain_text("step 9 ")
    expect(shown.dialog.locator(".midrun-differences tbody tr").filter(has_text="cfg")).to_have_count(1)
    shown.picture("timeline-compare")
    shown.page.keyboard.press("Escape")
    shown.dialog.wait_for(state="detached")


def test_the_viewer_opens_with_its_step_in_sight_on_the_strip(newest: Comfy, browser: Browser) -> None:
    job_id = completed(newest, "strip", steps=30, preview=PICTURES, seed=95)
    with screen(browser, newest, RENDERERS[0]) as shown:
        panel = shown.open_panel()
        panel.locator(f'[data-job="{job_id}"] .midrun-open').click()
        for step in (30, 29):
            shown.verb("view", panel).click()
            current = shown.dialog.locator(".midrun-frame[aria-current]")
            expect(current).to_have_text(str(step))
            expect(current).to_be_in_viewport(ratio=1)
            shown.page.keyboard.press("ArrowLeft")
            shown.page.keyboard.press("Escape")
            shown.dialog.wait_for(state="detached")


def test_thousands_of_steps_and_many_branches_cost_no_element_each(newest: Comfy, browser: Browser) -> None:
    job_id = completed(newest, "crowd-line", steps=3, preview=PICTURES, seed=92)
    made = newest.until(lambda: newest.job(job_id)["preview_url"], "a picture")
    picture = made.split("&v=")[0]
    with screen(browser, newest, RENDERERS[0]) as shown:
        shown.open_panel()
        crowd.family(shown, 2000, 50, picture)
        timeline = opened(shown)
        lane(timeline, "big").locator(".midrun-lane-name").click()
        expect(timeline.locator(".midrun-still").first).to_be_visible()
        told = crowd.scrub(shown, 240 if FULL else 12)
        assert told["elements"] < 300
        expect(timeline.locator(".midrun-plot-area")).to_have_attribute("aria-valuenow", "2000")
        shown.picture("timeline-crowd")
        if FULL:
            print(f"\nscrubbed: {told}")
            assert told["busy_ms"] < 50, told
