"""Midrun in a real browser: what is the same in every frontend, with the newest of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import crowd
import graphs
from browser import FRONTENDS, HOSTILE, RENDERERS, edits, frontend_root, graph, needs_chromium, screen
from browser import wait_until_ready as ready
from harness import Comfy

pytestmark = needs_chromium
# Counts what our files start: timers, frames, listeners and requests, told by the stack.
COUNT_WORK = """
window.work = [];
const ours = () => /ComfyUI-Midrun/.test(new Error().stack);
for (const name of ["setTimeout", "setInterval", "requestAnimationFrame", "fetch"]) {
    const real = window[name];
    window[name] = function (...args) { if (ours()) window.work.push(name); return real.apply(this, args); };
}
const listen = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (...args) {
    if (ours()) window.work.push("listen " + args[0]);
    return listen.apply(this, args);
};
"""
# Three widgets of the graph on screen, one of which was used up when sampling began.
CHANGE = """([sampler, positive]) => {
    const set = (id, name, value) => {
        const widget = app.graph.getNodeById(id).widgets.find(one => one.name === name);
        widget.value = value;
        widget.callback?.(value);
    };
    set(sampler, "cfg", 6.5); set(sampler, "seed", 99); set(positive, "seed", 12);
    app.extensionManager.workflow.activeWorkflow.changeTracker.checkState?.();
    app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState?.();
}"""


def test_a_page_without_jobs_does_no_work(tmp_path: Path, browser: Browser) -> None:
    server = Comfy(tmp_path, args=("--front-end-root", str(frontend_root(FRONTENDS[-1])))).start()
    requested: list[str] = []

    def prepare(page: Page) -> None:
        page.add_init_script(COUNT_WORK)
        page.on("request", lambda request: requested.append(request.url))

    try:
        with screen(browser, server, "canvas", prepare=prepare) as shown:
            begun = [
                f"listen {name}"
                for name in (
                    *("midrun.job", "midrun.preview", "midrun.queue"),
                    *("reconnecting", "reconnected", "status"),
                )
            ]
            begun.append("fetch")
            shown.page.wait_for_function("begun => begun.every(one => window.work.includes(one))", arg=begun)
            shown.page.wait_for_load_state("networkidle")
            registered = shown.page.evaluate("window.work")
            assert {*registered} - {"setTimeout"} == {*begun}  # fetchApi's own timeout
            shown.page.mouse.move(300, 300)
            shown.page.evaluate("app.graph.change(); app.canvas.setDirty(true, true)")
            time.sleep(2)
            assert shown.page.evaluate("window.work") == registered
            asked = [one for one in requested if "/midrun/" in one or one.endswith("/i18n")]
            assert len([one for one in asked if "/midrun/" in one]) == 1
            expect(shown.page.locator('link[href*="midrun.css"]')).to_have_count(1)

            example = shown.open_panel().locator('[data-verb="example"]')
            example.focus()
            shown.page.route("**/midrun/jobs*", lambda route: None)  # an answer that does not come
            with shown.page.expect_request("**/midrun/jobs*"):  # the list is read again
                shown.page.evaluate("app.api.dispatchEvent(new CustomEvent('status'))")
            shown.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
            expect(example).to_be_focused()
    finally:
        server.stop()


def test_the_page_recovers_from_a_killed_server_and_resumes(tmp_path: Path, browser: Browser) -> None:
    server = Comfy(tmp_path, args=("--front-end-root", str(frontend_root(FRONTENDS[-1])))).start()
    try:
        with screen(browser, server, "nodes2") as shown:
            shown.expected = "net::ERR_"  # refused, or reset where a request was under way
            ids = shown.load(graph("killed", gates="4"))
            shown.show(ids["sampler"])
            shown.open_panel()
            job_id = shown.queue()
            server.wait_at_gate("killed", 4)
            shown.verb("primary").click()
            shown.state("paused")
            server.kill()
            server.start()
            shown.tray.locator(f'[data-job="{job_id}"] .midrun-open').click()
            cfg = shown.tray.locator('[data-input="cfg"]')
            cfg.get_by_role("spinbutton").fill("5")
            shown.verb("save", shown.tray).click()
            expect(cfg).to_have_attribute("data-status", "pending", timeout=30_000)
            assert server.job(job_id)["held"] is False
            shown.verb("resumeWithChanges", shown.tray).click()
            server.wait_at_gate("killed", 4)  # counted anew by a new process
            server.open_gate("killed", 4)
            server.wait_for(job_id, "completed")
            shown.state("completed")
            assert edits(server, job_id) == {f"{ids['sampler']}.cfg": (5, 3)}
    finally:
        server.stop()


@pytest.mark.parametrize("renderer", RENDERERS)
def test_changes_on_the_canvas_are_offered_badged_and_resumed_with(
    newest: Comfy, browser: Browser, renderer: str
) -> None:
    with screen(browser, newest, renderer) as shown:
        key = f"canvas-{renderer}"
        ids = shown.load(graph(key, gates="4"))
        shown.show(ids["sampler"])
        job_id = shown.queue()
        newest.wait_at_gate(key, 4)
        shown.verb("primary").click()
        shown.state("paused")
        expect(shown.verb("canvas")).to_have_count(0)
        shown.page.evaluate(CHANGE, [ids["sampler"], ids["positive"]])
        expect(shown.verb("canvas")).to_have_text("Resume with 2 changes from the canvas")
        badged = """() => app.graph._nodes.filter(node => node.badges.map(
            badge => typeof badge === "function" ? badge() : badge).some(
            badge => badge.text?.includes("1 change"))).map(node => String(node.id))"""
        assert sorted(shown.page.evaluate(badged)) == sorted([ids["sampler"], ids["positive"]])
        shown.picture(f"canvas-offer-{renderer}")
        shown.verb("canvas").click()
        expect(shown.dialog.locator("tbody tr")).to_have_count(2)
        expect(shown.dialog).to_contain_text("cfg")
        shown.picture(f"canvas-confirm-{renderer}")
        shown.dialog.locator('[data-verb="confirm"]').click()
        newest.wait_for(job_id, "completed")
        assert edits(newest, job_id) == {
            f"{ids['sampler']}.cfg": (6.5, 3),
            f"{ids['positive']}.seed": (12, 3),
        }
        assert shown.page.evaluate(badged) == []


def test_changes_of_a_canvas_are_not_offered_when_another_is_on_screen(
    newest: Comfy, browser: Browser
) -> None:
    with screen(browser, newest, "canvas") as shown:
        ids = shown.load(graph("left", gates="4"))
        shown.show(ids["sampler"])
        job_id = shown.queue()
        newest.wait_at_gate("left", 4)
        shown.verb("primary").click()
        shown.state("paused")
        shown.open_panel().locator(f'[data-job="{job_id}"] .midrun-open').click()
        shown.page.evaluate(CHANGE, [ids["sampler"], ids["positive"]])
        offer = shown.verb("canvas", shown.tray)
        expect(offer).to_have_text("Resume with 2 changes from the canvas")
        shown.load(graph("right"), name="Another")
        expect(offer).to_have_count(0)
        newest.verb(job_id, "abort")


def test_keys_go_on_where_something_went(newest: Comfy, browser: Browser) -> None:
    job_id = newest.queue(graph("keys-go-on", steps=4))
    newest.wait_for(job_id, "completed")
    focused = (
        "[document.activeElement?.dataset.verb, document.activeElement?.closest('.midrun-card')?.dataset.job]"
    )
    with screen(browser, newest, "canvas") as shown:
        shown.open_panel().locator(f'[data-job="{job_id}"] .midrun-open').press("Enter")
        shown.page.wait_for_function(f"{focused}[0] === 'primary'")
        shown.verb("back", shown.tray).press("Enter")
        shown.page.wait_for_function(f"{focused}[1] === '{job_id}'")


def test_steps_that_no_picture_was_made_of_are_shown_and_gone_back_to(
    newest: Comfy, browser: Browser
) -> None:
    with screen(browser, newest, "canvas") as shown:
        ids = shown.load(graph("between", gates="7", preview={"every": 4}))
        shown.show(ids["sampler"])
        job_id = shown.queue()
        newest.wait_at_gate("between", 7)
        shown.verb("primary").click()
        shown.state("paused")
        shown.until_step_is_seen(job_id, 6)
        shown.verb("view").click()
        frames = shown.dialog.locator(".midrun-frame")
        expect(frames).to_have_count(6)
        expect(frames.nth(4).locator("img")).to_have_count(0)
        shown.page.keyboard.press("ArrowLeft")
        expect(shown.dialog.locator(".midrun-viewer-label")).to_contain_text("step 5 / 10 · latent2rgb")
        expect(frames.nth(4).locator("img")).to_have_count(1)
        shown.picture("viewer-between")
        shown.page.keyboard.press("r")
        newest.until(lambda: newest.job(job_id)["step"] == 5, "the rewind")
        newest.verb(job_id, "abort")


def test_the_viewer_by_mouse_and_keys(newest: Comfy, browser: Browser) -> None:
    with screen(browser, newest, "canvas") as shown:
        ids = shown.load(graph("viewer", gates="7", seed=77))
        shown.show(ids["sampler"])
        job_id = shown.queue()
        newest.wait_at_gate("viewer", 7)
        shown.verb("primary").click()
        shown.state("paused")
        newest.until(lambda: len(newest.get(f"/midrun/jobs/{job_id}/previews")["previews"]) > 2, "pictures")
        shown.verb("view").click()
        shown.dialog.wait_for()
        label = shown.dialog.locator(".midrun-viewer-label")
        expect(label).to_contain_text("Intermediate Preview · step 6 / 10")
        shown.page.keyboard.press("ArrowLeft")
        shown.page.keyboard.press("ArrowLeft")
        expect(label).not_to_contain_text("step 6 /")
        shown.page.keyboard.press("c")
        divider = shown.dialog.get_by_role("slider", name="Divider")
        expect(divider).to_have_attribute("aria-valuenow", "50")
        box = divider.bounding_box()
        assert box is not None
        shown.page.mouse.move(box["x"] + 12, box["y"] + 200)
        shown.page.mouse.down()
        shown.page.mouse.move(box["x"] - 88, box["y"] + 200, steps=5)
        shown.page.mouse.up()
        expect(divider).not_to_have_attribute("aria-valuenow", "50")
        shown.picture("viewer-compare")
        before = divider.get_attribute("aria-valuenow")
        divider.press("ArrowRight")
        expect(divider).not_to_have_attribute("aria-valuenow", before or "")
        shown.page.keyboard.press("+")
        shown.page.keyboard.press("+")
        expect(shown.dialog.locator(".midrun-viewer-frame")).to_have_attribute("data-crisp", "")
        shown.picture("viewer-zoom")
        shown.page.keyboard.press("1")
        shown.page.keyboard.press("End")
        expect(label).to_contain_text("step 6 / 10")
        shown.page.keyboard.press("Space")
        newest.wait_for(job_id, "completed")
        shown.page.keyboard.press("Escape")
        shown.dialog.wait_for(state="detached")
        expect(shown.page.locator(".midrun-overlays")).to_have_count(0)
        assert shown.page.evaluate("document.activeElement?.dataset.verb") == "view", "the focus came back"


def test_markup_in_titles_prompts_and_errors_is_text(newest: Comfy, browser: Browser) -> None:
    hostile = graph(HOSTILE, probe={"fail_at": 3, "seconds": 0.05})
    hostile["sampler"]["_meta"] = {"title": HOSTILE}
    extra = {"extra_pnginfo": {"workflow": {"id": HOSTILE, "name": HOSTILE}}}
    job_id = newest.queue(hostile, extra_data=extra)
    newest.wait_for(job_id, "failed")
    with screen(browser, newest, "nodes2") as shown:
        shown.open_panel()
        card = shown.tray.locator(f'[data-job="{job_id}"]')
        expect(card).to_contain_text(HOSTILE)
        expect(card).to_contain_text("simulated failure of the model")
        card.locator(".midrun-open").click()
        expect(shown.tray.locator('[data-node="sampler"]')).to_contain_text(HOSTILE)
        shown.tray.locator("summary").click()
        shown.tray.locator('[data-input="key"] input').wait_for()
        expect(shown.tray.locator('[data-input="key"] input')).to_have_value(HOSTILE)
        shown.tray.locator('[data-tab="log"]').click()
        expect(shown.tray.locator(".midrun-log")).to_contain_text("simulated failure")
        shown.picture("failed-log")
        assert shown.page.evaluate("window.hacked") is None
        expect(shown.tray.locator("img[src='x'], script")).to_have_count(0)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_sampler_behind_an_attach_has_the_widget_while_its_job_lives(
    newest: Comfy, browser: Browser, renderer: str
) -> None:
    with screen(browser, newest, renderer) as shown:
        key = f"attach-{renderer}"
        ids = shown.load(graphs.behind_attach(graph(key, gates="4", watched=False)))
        shown.show(ids["sampler"])
        size = "id => [...app.graph.getNodeById(id).size].map(Math.round)"
        before = shown.page.evaluate(size, ids["sampler"])
        expect(shown.page.locator(".midrun-node")).to_have_count(0)
        job_id = shown.queue()
        newest.wait_at_gate(key, 4)
        shown.state("running")
        shown.verb("primary").click()
        shown.state("paused")
        shown.picture(f"attach-{renderer}")
        shown.verb("primary").click()
        newest.wait_for(job_id, "completed")
        shown.page.locator(".midrun-widget").wait_for(state="detached")
        left = "id => app.graph.getNodeById(id).widgets.filter(one => one.name === 'midrun').length"
        assert shown.page.evaluate(left, ids["sampler"]) == 0
        if renderer == "nodes2":  # on the canvas ComfyUI's own preview stays in it
            assert shown.page.evaluate(size, ids["sampler"]) == before


@pytest.mark.parametrize("renderer", RENDERERS)
def test_inside_a_subgraph_after_a_reload_and_with_another_tab_open(
    newest: Comfy, browser: Browser, renderer: str
) -> None:
    with screen(browser, newest, renderer) as shown:
        key = f"inside-{renderer}"
        ids = shown.load(graph(key, gates="4"))
        shown.page.evaluate(
            """id => { app.graph.convertToSubgraph(new Set([app.graph.getNodeById(id)])); }""", ids["sampler"]
        )
        shown.step_inside()
        job_id = shown.queue()
        newest.wait_at_gate(key, 4)
        assert ":" in newest.job(job_id)["node_id"]
        shown.state("running")
        shown.verb("primary").click()
        shown.state("paused")
        shown.picture(f"subgraph-{renderer}")
        held = shown.page.evaluate("JSON.stringify((app.rootGraph ?? app.graph).serialize())")

        shown.load(graph(f"{key}-other"))
        expect(shown.page.locator(".midrun-node:visible")).to_have_count(1)
        shown.state("idle")

        shown.page.reload()
        ready(shown.page)
        shown.page.evaluate("graph => app.loadGraphData(JSON.parse(graph), true, true, 'Again')", held)
        shown.step_inside()
        shown.state("paused")
        expect(shown.page.locator(".midrun-node")).to_have_count(1)
        assert shown.page.evaluate(WIDGETS) == ["midrun"]
        shown.verb("primary").click()
        newest.wait_for(job_id, "completed")
        shown.state("completed")


# Those of ours that the sampler on screen has.
WIDGETS = """() => app.canvas.graph._nodes.find(node => node.type === "MidrunKSampler")
    .widgets.map(widget => widget.name).filter(name => name.startsWith("midrun"))"""


def test_the_panel_filters_deletes_and_speaks_french(newest: Comfy, browser: Browser) -> None:
    ends = newest.queue(graph("french-done", steps=1))
    newest.wait_for(ends, "completed")
    with screen(browser, newest, "canvas", {"Comfy.Locale": "fr", "Comfy.ColorPalette": "light"}) as shown:
        shown.open_panel()
        expect(shown.tray.locator(".midrun-footer")).to_contain_text("sur le disque")
        shown.tray.locator('[data-filter="done"]').click()
        card = shown.tray.locator(f'[data-job="{ends}"]')
        expect(card).to_contain_text("Terminé")
        expect(shown.tray.locator('.midrun-card:not([data-state="completed"])')).to_have_count(0)
        card.hover()
        shown.picture("panel-french-light")
        card.locator('[data-verb="remove"]').click()
        card.locator('[data-verb="really"]').click()
        card.wait_for(state="detached")
        assert newest.call("GET", f"/midrun/jobs/{ends}")[0] == 404


def test_a_card_has_its_buttons_where_the_mouse_or_the_focus_is(newest: Comfy, browser: Browser) -> None:
    failing = {"fail_at": 1}
    ended = [
        newest.queue(graph(f"card-{number}", steps=1, seed=number, probe=probe))
        for number, probe in enumerate((None, failing, None))
    ]
    for job_id in ended:
        newest.wait_for(job_id, "failed" if job_id == ended[1] else "completed")
    with screen(browser, newest, "canvas") as shown:
        shown.open_panel()
        first, second, third = (shown.tray.locator(f'[data-job="{job_id}"]') for job_id in ended)
        first.locator(".midrun-open").focus()
        second.hover()
        for card in (first, second):
            expect(card.locator('[data-verb="primary"]')).to_be_visible()
        expect(shown.tray.locator(".midrun-card").get_by_role("toolbar")).to_have_count(2)
        why, buttons = (second.locator(one).bounding_box() for one in (".midrun-why", ".midrun-hover"))
        assert why and buttons
        assert why["y"] + why["height"] <= buttons["y"], "the buttons lie over the reason"
        shown.page.keyboard.press("Tab")
        expect(first.locator('[data-verb="primary"]')).to_be_focused()
        third.hover()
        expect(first.locator('[data-verb="primary"]')).to_be_focused()
        expect(second.locator(".midrun-hover")).to_have_count(0)


def test_thousands_of_jobs_come_in_pages_and_only_what_is_in_sight_is_drawn(
    newest: Comfy, browser: Browser
) -> None:
    """With MIDRUN_FULL=1 there are ten thousand, and no task takes over 50 ms of the processor."""
    full = bool(os.environ.get("MIDRUN_FULL"))
    count = 10_000 if full else 1000
    with screen(browser, newest, "canvas") as shown:
        shown.open_panel()
        scrolled = crowd.scroll_pages(shown, count)
        assert scrolled["used_again"] > 0
        assert scrolled["most_cards"] < 20
        assert scrolled["last"] == count, "the list ends with the oldest job"
        shown.picture("panel-thousands")
        worked = crowd.hear_and_filter(shown, count)
        if full:
            print(f"\nscrolled: {scrolled}\nheard and filtered: {worked}")
            assert max(scrolled["busy_ms"], worked["busy_ms"]) < 50, (scrolled, worked)
