"""Going back, forking, breakpoints, the chart and comparing, by mouse, in both renderers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

import graphs
from browser import IN_THE_PANEL, RENDERERS, Screen, graph, needs_chromium, screen
from harness import Comfy

pytestmark = needs_chromium
in_both = pytest.mark.parametrize("renderer", RENDERERS)
in_the_panel = pytest.mark.parametrize("renderer", IN_THE_PANEL)

PICTURES = {"method": "latent2rgb", "every": 1}


def quick(key: str, **more: Any) -> graphs.Graph:
    """A graph whose every step has a picture."""
    return graphs.base(
        key=key, **{"steps": 10, "cfg": 4.0, "preview": PICTURES, "probe": {"seconds": 0.05}} | more
    )


def queued(shown: Screen, given: graphs.Graph, name: str = "Test") -> tuple[str, dict[str, str]]:
    ids = shown.load(given, name)
    shown.show(ids["sampler"])
    return shown.queue(), ids


def opened(shown: Screen, job_id: str, tab: str | None = None) -> Locator:
    """That job in the panel."""
    panel = shown.open_panel()
    panel.locator(f'[data-job="{job_id}"] .midrun-open').click()
    if tab is not None:
        panel.locator(f'[data-tab="{tab}"]').click()
    return panel


def slide(shown: Screen, within: Locator, step: int) -> None:
    """Move the slider to the picture of that step, of pictures of each."""
    slider = within.locator('input[type="range"][max]').first
    slider.fill(str(step - 1))
    expect(within.locator(".midrun-label, .midrun-viewer-label").first).to_contain_text(f"step {step} ")


def kinds(comfy: Comfy, job_id: str) -> list[str]:
    return [event["kind"] for event in comfy.get(f"/midrun/jobs/{job_id}/events")["events"]]


def forks_of(comfy: Comfy, job_id: str) -> list[dict[str, Any]]:
    jobs = comfy.get("/midrun/jobs?limit=500")["jobs"]
    return [job for job in jobs if job["parent"] and job["parent"]["job_id"] == job_id]


@in_the_panel
def test_a_completed_job_goes_back_forth_and_on(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        key = f"back-{renderer}"
        job_id, ids = queued(shown, quick(key))
        newest.wait_for(job_id, "completed")
        panel = opened(shown, job_id)
        stage = panel.locator(".midrun-stage")
        rewind, undo = shown.verb("rewind", stage), shown.verb("undoRewind", stage)
        expect(rewind).to_have_attribute("aria-disabled", "true")
        expect(undo).to_have_count(0)
        slide(shown, stage, 4)
        expect(rewind).to_have_text("Rewind to step 4")
        rewind.click()
        shown.state("paused", panel)
        job = newest.job(job_id)
        assert (job["state"], job["step"], job["take"]["step"]) == ("paused", 4, 10)
        expect(stage).to_contain_text("Steps 5 to 10 from before the rewind")
        assert panel.locator(".midrun-bar-left").first.bounding_box()
        slide(shown, stage, 7)
        expect(stage).to_have_attribute("data-left-over", "")
        expect(rewind).to_have_attribute("aria-disabled", "true")
        shown.picture(f"rewound-{renderer}")
        undo.click()
        shown.verb("undoRewind", stage).wait_for(state="detached")
        job = newest.job(job_id)
        assert (job["step"], job["take"]) == (10, None)
        assert [one for one in kinds(newest, job_id) if one in ("rewind", "restore")] == ["rewind", "restore"]

        slide(shown, stage, 6)
        rewind.click()
        expect(stage).to_contain_text("Steps 7 to 10 from before the rewind")
        cfg = panel.locator(f'[data-node="{ids["sampler"]}"] [data-input="cfg"]')
        cfg.get_by_role("spinbutton").fill("7.5")
        shown.verb("resumeWithChanges", panel).click()
        job = newest.wait_for(job_id, "completed")
        assert newest.probe(key)["done"] == 10 + 4, "only what is later was computed"
        assert job["modified_params"][ids["sampler"]]["cfg"] == {"from": 4.0, "to": 7.5, "from_step": 6}
        expect(undo).to_have_count(0)
        shown.state("completed", panel)


@in_the_panel
def test_the_viewer_rewinds_by_a_key_and_dims_what_is_left_over(
    newest: Comfy, browser: Browser, renderer: str
) -> None:
    with screen(browser, newest, renderer) as shown:
        job_id, ids = queued(shown, quick(f"key-{renderer}", gates="6"))
        _edit_on_the_way(newest, job_id, f"key-{renderer}", ids["sampler"])
        panel = opened(shown, job_id)
        shown.verb("view", panel).click()
        shown.dialog.locator(".midrun-strip").wait_for()
        for _ in range(7):
            shown.page.keyboard.press("ArrowLeft")
        expect(shown.dialog.locator(".midrun-viewer-label")).to_contain_text("step 3 / 10")
        shown.page.keyboard.press("r")
        newest.wait_for(job_id, "paused")
        assert newest.job(job_id)["step"] == 3
        expect(shown.dialog.locator(".midrun-frame[data-left-over]")).to_have_count(7)
        shown.picture(f"viewer-rewound-{renderer}")
        _compare_with_what_is_left_over(shown)
        shown.page.keyboard.press("f")
        fork = shown.page.locator("dialog.midrun-dialog-fork[open]")
        fork.wait_for()
        shown.page.keyboard.press("Escape")
        fork.wait_for(state="detached")
        shown.page.keyboard.press("ArrowLeft")
        expect(shown.dialog.locator(".midrun-viewer-label")).to_contain_text("step 2 / 10")
        shown.verb("undoRewind", shown.dialog).click()
        newest.wait_for(job_id, "completed", "paused")
        newest.until(lambda: newest.job(job_id)["take"] is None, "the rewind to be taken back")
        assert newest.job(job_id)["step"] == 10


@in_the_panel
def test_a_grid_of_forks_its_family_and_what_differs(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        shown.expected = "422"  # of the fork that is refused
        key = f"grid-{renderer}"
        job_id, ids = queued(shown, quick(key, seed=7), f"Grid {renderer}")
        newest.wait_for(job_id, "completed")
        panel = opened(shown, job_id)
        slide(shown, panel.locator(".midrun-stage"), 6)
        shown.verb("fork", panel).click()
        dialog = shown.page.locator("dialog.midrun-dialog-fork[open]")
        first, second = dialog.locator('[data-axis="0"]'), dialog.locator('[data-axis="1"]')
        confirm = dialog.locator('[data-verb="confirm"]')
        expect(first.locator("select")).to_have_value(f'["{ids["sampler"]}","cfg"]')
        expect(first.get_by_role("textbox")).to_be_focused()
        expect(confirm).to_have_attribute("aria-disabled", "true")
        first.get_by_role("textbox").fill("3, five")
        expect(first).to_contain_text("“five” is not a possible value")
        first.get_by_role("textbox").fill("3, -5")
        confirm.click()
        expect(first.locator(".midrun-alert")).to_be_visible()
        shown.picture(f"fork-refused-{renderer}")
        assert forks_of(newest, job_id) == []
        first.get_by_role("textbox").fill("3, 7")
        second.locator("select").select_option(f'["{ids["sampler"]}","sampler_name"]')
        second.get_by_role("textbox").fill("euler, heun")
        expect(dialog).to_contain_text("4 new jobs.")
        shown.picture(f"fork-{renderer}")
        confirm.click()
        dialog.wait_for(state="detached")
        forks = forks_of(newest, job_id)
        assert len(forks) == 4 and all(fork["parent"]["step"] == 6 for fork in forks)
        done = [newest.wait_for(fork["job_id"], "completed") for fork in forks]
        changed = [job["modified_params"][ids["sampler"]] for job in done]
        assert sorted(
            (one["cfg"]["to"], one.get("sampler_name", {}).get("to", "euler")) for one in changed
        ) == [
            (3.0, "euler"),
            (3.0, "heun"),
            (7.0, "euler"),
            (7.0, "heun"),
        ]

        cards = panel.locator(f'.midrun-card[data-parent="{job_id}"][data-depth="1"]')
        expect(cards).to_have_count(4)
        expect(cards.first).to_contain_text("Fork from step 6 · cfg")
        parent, child = panel.locator(f'[data-job="{job_id}"]').bounding_box(), cards.first.bounding_box()
        assert parent and child and child["x"] > parent["x"] and child["y"] > parent["y"]
        shown.picture(f"family-{renderer}")
        fork_id = next(
            job["job_id"] for job in done if job["modified_params"][ids["sampler"]]["cfg"]["to"] == 7
        )
        panel.locator(f'[data-job="{fork_id}"] .midrun-open').click()
        lineage = shown.verb("parent", panel)
        expect(lineage).to_contain_text("at step 6")
        _compare(shown, newest, job_id, fork_id)
        lineage.click()
        expect(panel.locator(".midrun-lineage")).to_contain_text("4 forks")


def _edit_on_the_way(comfy: Comfy, job_id: str, key: str, sampler: str) -> None:
    comfy.wait_at_gate(key, 6)
    assert comfy.verb(job_id, "pause", query="?wait=30")[0] == 200
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {sampler: {"cfg": 7.5}})[0] == 200
    comfy.verb(job_id, "resume")
    comfy.wait_for(job_id, "completed")


def _compare_with_what_is_left_over(shown: Screen) -> None:
    """The pictures of both takes side by side, and the edit that only one of them has."""
    shown.verb("compare", shown.dialog).click()
    choice = shown.dialog.locator(".midrun-with")
    expect(choice.locator("option", has_text="left over")).to_have_count(7)
    choice.select_option("8")
    row = shown.dialog.locator(".midrun-differences tbody tr")
    expect(row.locator("td")).to_have_text(["KSampler (Midrun) · cfg", "4", "7.5"])
    expect(shown.dialog.locator(".midrun-viewer-side")).to_have_text(["step 8", "step 3"])
    shown.picture(f"compare-left-over-{shown.renderer}")
    choice.select_option("2")
    expect(row).to_have_count(0)
    shown.verb("compare", shown.dialog).click()


def _compare(shown: Screen, comfy: Comfy, job_id: str, fork_id: str) -> None:
    shown.verb("view", shown.tray).click()
    shown.dialog.locator(".midrun-strip").wait_for()
    shown.verb("compare", shown.dialog).click()
    shown.dialog.locator(".midrun-with").select_option(f"job:{job_id}")
    table = shown.dialog.locator(".midrun-differences")
    told = comfy.get(f"/midrun/jobs/{fork_id}/compare?with={job_id}&step=10")["differences"]
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(len(told))
    expect(rows.filter(has_text="cfg").locator("td")).to_have_text(["KSampler (Midrun) · cfg", "7", "4"])
    expect(shown.dialog.locator('.midrun-viewer-side[data-side="right"]')).to_have_text("This job")
    expect(shown.dialog.locator(".midrun-plot-steps > span")).to_have_text(["step 1", "step 10"])
    shown.dialog.locator(".midrun-viewer-other").wait_for()
    shown.page.wait_for_function(
        "[...document.querySelectorAll('.midrun-viewer-image')].every(one => one.naturalWidth)"
    )
    shown.picture(f"compare-{shown.renderer}")
    shown.page.keyboard.press("Escape")
    shown.dialog.wait_for(state="detached")
    with shown.page.context.expect_page() as sheet:
        shown.verb("sheet", shown.tray).click()
    sheet.value.wait_for_load_state()
    assert sheet.value.evaluate("document.images[0].naturalWidth") > 64
    sheet.value.close()


CLEAR = "rgba(0, 0, 0, 0)"
# The dot before a sentence: the colours of its edge and of its inside.
DOT = """one => {
    const { content, borderTopColor, backgroundColor } = getComputedStyle(one, "::before");
    return content === "none" ? null : [borderTopColor, backgroundColor];
}"""


@in_the_panel
def test_breakpoints_of_a_job(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        key = f"points-{renderer}"
        job_id, _ = queued(shown, quick(key, gates="2"))
        newest.wait_at_gate(key, 2)
        panel = opened(shown, job_id, "breakpoints")
        rows = panel.locator(".midrun-breakpoint")
        expect(rows).to_have_count(1)
        expect(rows.first).to_contain_text("When the model answers NaN")
        add, form = shown.verb("addBreakpoint", panel), panel.locator(".midrun-breakpoint-form")
        add.click()
        expect(form).to_contain_text("Enter a step")
        form.locator('[data-field="value"]').fill("5")
        add.click()
        expect(rows).to_have_count(2)
        form.locator('[data-field="kind"]').select_option("every")
        form.locator('[data-field="value"]').fill("3")
        form.locator('[data-field="action"]').select_option("log")
        add.click()
        expect(rows).to_have_count(3)
        form.locator('[data-field="kind"]').select_option("sigma_below")
        form.locator('[data-field="value"]').fill("0.5")
        form.locator('[data-field="action"]').select_option("ask")
        form.locator('[data-field="timeout"]').fill("20")
        shown.picture(f"breakpoint-ask-{renderer}")
        add.click()
        expect(rows).to_have_count(4)
        expect(rows.last).to_contain_text("When sigma falls below 0.5")
        expect(rows.last).to_contain_text("20 s to answer")
        rows.last.get_by_role("switch").uncheck()
        for kind, first, second in (("time", "01:00", "01:01"), ("heat", "90", "70")):
            form.locator('[data-field="kind"]').select_option(kind)
            field = "time" if kind == "time" else "number"
            expect(form.locator('[data-field="until"]')).to_have_attribute("type", field)
            form.locator('[data-field="value"]').fill(first)
            form.locator('[data-field="until"]').fill(second)
            shown.picture(f"breakpoint-{kind}-{renderer}")
            add.click()
            expect(rows.last).to_contain_text(first)
            expect(rows.last).to_contain_text(second)
            shown.verb("removeBreakpoint", rows.last).click()
            expect(rows).to_have_count(4)
        shown.verb("removeBreakpoint", rows.first).click()
        expect(rows).to_have_count(3)
        newest.until(lambda: len(newest.job(job_id)["breakpoints"]) == 3, "the breakpoint to go")
        told = [
            (one["kind"], one["value"], one["enabled"], one["action"])
            for one in newest.job(job_id)["breakpoints"]
        ]
        assert told == [
            ("step", 5, True, "pause"),
            ("every", 3, True, "log"),
            ("sigma_below", 0.5, False, "ask"),
        ]
        expect(panel.locator(".midrun-stop")).to_have_count(4)
        expect(panel.locator(".midrun-stop-logs")).to_have_count(3)
        dots = [rows.nth(at).locator(".midrun-sentence").evaluate(DOT) for at in range(3)]
        red = panel.locator(".midrun-stop:not(.midrun-stop-logs)").evaluate(
            "one => getComputedStyle(one).backgroundColor"
        )
        assert dots == [[red, red], [red, CLEAR], None], "in the list as on the bar; a ring logs only"
        newest.open_gate(key, 2)
        job = newest.wait_for(job_id, "paused")
        assert (job["step"], job["pause_reason"]) == (5, "breakpoint")
        expect(rows.first).to_contain_text("hit once")
        expect(rows.nth(1)).to_contain_text("hit once")
        shown.picture(f"breakpoints-{renderer}")
        rows.first.get_by_role("switch").uncheck()
        newest.until(lambda: not newest.job(job_id)["breakpoints"][0]["enabled"], "the toggle")
        expect(shown.verb("primary", panel)).not_to_have_attribute("aria-disabled", "true")
        shown.verb("primary", panel).click()
        newest.wait_for(job_id, "completed")


@in_both
def test_a_node_of_the_workflow_is_paused_before(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        given = graphs.slow_decode(quick(f"node-{renderer}"), f"node-{renderer}", 0.1)
        ids = shown.load(given, "Stops")
        shown.show(ids["decode"])
        node_menu(shown, ids["decode"], "Midrun: Pause before this node")
        carried = "id => app.graph.getNodeById(id).properties['Midrun.breakpoints']"
        assert shown.page.evaluate(carried, ids["decode"]) == [{"kind": "node"}]
        shown.picture(f"node-dot-{renderer}")
        assert _dots(shown, ids["decode"]) == 1
        kept = shown.page.evaluate("JSON.stringify((app.rootGraph ?? app.graph).serialize())")
        shown.load(quick(f"node-other-{renderer}"), "Other")
        shown.page.evaluate("graph => app.loadGraphData(JSON.parse(graph), true, true, 'Again')", kept)
        shown.show(ids["decode"])
        assert _dots(shown, ids["decode"]) == 1
        shown.show(ids["sampler"])
        job_id = shown.queue()
        job = newest.wait_for(job_id, "paused")
        assert (job["paused_before"], job["pause_reason"], job["step"]) == (ids["decode"], "breakpoint", 10)
        panel = opened(shown, job_id, "breakpoints")
        expect(panel).to_contain_text(f"Paused before node {ids['decode']}: a breakpoint.")
        expect(panel.locator('.midrun-breakpoint[data-kind="node"]')).to_contain_text("hit once")
        shown.picture(f"node-paused-{renderer}")
        shown.verb("primary", panel).click()
        newest.wait_for(job_id, "completed")

        shown.command("Workspace.ToggleSidebarTab.midrun")
        shown.show(ids["decode"])
        node_menu(shown, ids["decode"], "Midrun: Do not pause before this node")
        assert shown.page.evaluate(carried, ids["decode"]) is None
        assert _dots(shown, ids["decode"]) == 0


def _dots(shown: Screen, node_id: str) -> int:
    """How many dots are on the node: a badge on the canvas, a picture of CSS in Nodes 2.0."""
    if shown.renderer == "nodes2":
        drawn = """id => [...document.querySelectorAll(`.lg-node[data-node-id="${id}"]`)].filter(
            node => getComputedStyle(node, "::after").borderRadius === "50%").length"""
        shown.page.locator(f'.lg-node[data-node-id="{node_id}"]').wait_for()
        return shown.page.evaluate(drawn, node_id)
    badges = """id => app.graph.getNodeById(id).badges.map(
        badge => typeof badge === "function" ? badge() : badge).filter(badge => badge.text === "●").length"""
    return shown.page.evaluate(badges, node_id)


def node_menu(shown: Screen, node_id: str, label: str) -> None:
    """By the right mouse button on the node's title."""
    if shown.renderer == "nodes2":
        header = shown.page.locator(f'[data-node-id="{node_id}"] .lg-node-header').first
        header.click(button="right")
    else:
        at = shown.page.evaluate(
            """id => {
                const node = app.graph.getNodeById(id);
                const { scale, offset } = app.canvas.ds;
                const box = app.canvas.canvas.getBoundingClientRect();
                return [box.left + (node.pos[0] + 60 + offset[0]) * scale,
                    box.top + (node.pos[1] - 14 + offset[1]) * scale];
            }""",
            node_id,
        )
        shown.page.mouse.click(*at, button="right")
    item = shown.page.get_by_text(re.compile(f"^{re.escape(label)}$")).first
    item.wait_for()
    shown.picture(f"node-menu-{shown.renderer}")
    item.click()
    item.wait_for(state="hidden")


@in_both
def test_every_sampler_is_watched_when_it_is_switched_on(
    newest: Comfy, browser: Browser, renderer: str
) -> None:
    with screen(browser, newest, renderer) as shown:
        try:
            panel = shown.open_panel()
            watch = shown.verb("watch", panel)
            expect(watch).not_to_be_checked()
            watch.click()
            newest.until(lambda: newest.get("/settings").get("Midrun.WatchEverything") is True, "the setting")
            expect(watch).to_be_checked()
            shown.picture(f"watching-{renderer}")
            ids = shown.load(graph(f"watched-{renderer}", watched=False))
            job_id = shown.queue()
            job = newest.wait_for(job_id, "completed")
            assert job["node_id"] == ids["sampler"]
            watch.click()
            newest.until(
                lambda: newest.get("/settings").get("Midrun.WatchEverything") is False, "the setting"
            )
        finally:
            newest.post("/api/settings", {"Midrun.WatchEverything": False})


@in_the_panel
def test_what_was_measured_is_a_chart_and_a_table(newest: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, newest, renderer) as shown:
        key = f"chart-{renderer}"
        job_id, _ = queued(shown, quick(key, gates="7"))
        newest.wait_at_gate(key, 7)
        panel = opened(shown, job_id, "chart")
        newest.open_gate(key, 7)
        newest.wait_for(job_id, "completed")
        points = panel.locator(".midrun-point")
        expect(points).to_have_count(10)
        measured = newest.get(f"/midrun/jobs/{job_id}/telemetry")["telemetry"]
        assert [one["step"] for one in measured] == list(range(1, 11))
        expect(panel.locator(".midrun-lines")).to_have_attribute(
            "aria-label", re.compile("Sigma, steps 1 to 10")
        )
        shown.picture(f"chart-{renderer}")
        panel.locator(".midrun-chart select").select_option("change")
        expect(panel.locator(".midrun-lines")).to_have_attribute("aria-label", re.compile("Relative change"))
        box = panel.locator(".midrun-lines").bounding_box()
        assert box
        panel.locator(".midrun-lines").click(position={"x": 1, "y": box["height"] / 2})
        expect(panel.locator(".midrun-plot-steps strong")).to_contain_text(
            "step 2:"
        )  # the first has none before it
        with shown.page.expect_download() as download:
            panel.locator(".midrun-csv").click()
        lines = download.value.path().read_text().splitlines()
        assert len(lines) == 11 and "sigma" in lines[0]
