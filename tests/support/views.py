"""Every view of Midrun on one page, one after the other, for what must hold in all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, expect

import graphs
from browser import Screen
from harness import Comfy
from test_control import start
from test_lens import painted
from test_timetravel import completed

PICTURES = {"method": "latent2rgb", "every": 1}
STEPS = 6
# Only what is in sight of the list is drawn.
SCROLL_TO = """async (list, id) => {
    const drawn = () => list.querySelector(`[data-job="${id}"]`);
    for (let top = 0; top < list.scrollHeight && !drawn(); top += 200) {
        list.scrollTop = top;
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    }
    drawn()?.scrollIntoView({ block: "nearest" });
}"""
SELECT = "id => app.canvas.select(app.graph.getNodeById(id))"
# Told to the page as the server tells it: what takes another machine, or another model, to come true.
TELL = "job => window.comfyAPI.api.api.dispatchCustomEvent('midrun.job', job)"
FOREIGN: dict[str, Any] = {
    "imported": {
        "differences": [
            {"code": "torch", "name": "torch", "message": "PyTorch is 2.13.0 here; it was 2.4.1."}
        ],
        "wants_check": True,
        "checked": {"evaluation": 4, "difference": 0.00012, "largest": 3.5},
    },
    "exactness": {"kind": "recomputes", "because": "EasyCache", "evaluations": 3, "seconds": 4.5},
}
FOUND: dict[str, Any] = {
    "id": "c1",
    "state": "done",
    "verdict": "different",
    "compared": 6,
    "total": 6,
    "first": {"step": 2, "evaluation": 2, "node_id": "sampler", "difference": 0.02},
    "largest": {"step": 2, "evaluation": 2, "node_id": "sampler", "difference": 0.02},
    "earlier": 2,
    "error": None,
    "changed": [
        {"code": "torch", "name": "torch", "arithmetic": True, "message": "PyTorch is 2.13.0; it was 2.4.1."}
    ],
}


@dataclass(frozen=True)
class Jobs:
    """Ids of jobs, one of each kind; `paused` is that of the workflow on the canvas, with its nodes' ids."""

    paused: str
    nodes: dict[str, str]
    completed: str
    fork: str
    aborted: str
    failed: str
    choice: str
    wired: str
    grid: str


def jobs_on(shown: Screen) -> Jobs:
    """One job of each kind. The paused one is of the demo model, and its workflow is on the canvas."""
    comfy = shown.comfy
    done = completed(comfy, "views", steps=STEPS, preview=PICTURES, seed=301)
    made = comfy.verb(done, "fork", {"step": 3, "params": {"sampler": {"cfg": 2.0}}})[1]["jobs"][0]["job_id"]
    comfy.wait_for(made, "completed")
    failed = start(comfy, "views-fail", seed=302, probe={"fail_at": 2})
    comfy.wait_for(failed, "failed")
    grid = comfy.post("/midrun/drafts", _drafts())["grid"]
    choice = comfy.queue(_choosing("views-choose"))
    comfy.wait_for(choice, "paused")
    wired = comfy.queue(_wired("views-wired"))
    comfy.wait_for(wired, "paused")
    nodes = shown.load(painted("a (red:1.2) circle on a blue background"), "Views")
    shown.show(nodes["sampler"])
    paused = shown.queue()
    comfy.wait_for(paused, "paused")
    for draft in comfy.get(f"/midrun/jobs?grid={grid}")["jobs"]:
        comfy.wait_for(draft["job_id"], "paused")
    return Jobs(paused, nodes, done, made, _aborted(comfy), failed, choice, wired, grid)


def _drafts() -> dict[str, Any]:
    return {
        "prompt": graphs.base(key="views-drafts", steps=STEPS, preview=PICTURES),
        "vary": {"sampler": {"seed": [311, 312, 313]}},
        "step": 2,
    }


def _choosing(key: str) -> graphs.Graph:
    """Waits to be chosen from three pictures, on which a mask can be painted."""
    graph = graphs.base(key=key, steps=2, seed=304, latent={"batch": 3})
    graph["vae"] = graphs.node("TestVAE", seed=3)
    graph["decode"] = graphs.node("VAEDecode", samples=["sampler", 0], vae=["vae", 0])
    graph["choose"] = graphs.node("MidrunChoose", batch=["decode", 0], paint=True, wait_minutes=60.0)
    graph["picture"] = graphs.node("SaveImage", images=["choose", 0], filename_prefix=f"choose/{key}")
    del graph["save"]
    return graph


def _wired(key: str) -> graphs.Graph:
    """Pauses before the latent is saved, with a value on the wire."""
    graph = graphs.base(key=key, steps=2, seed=305)
    graph["stop"] = graphs.node("MidrunBreakpoint", value=["sampler", 0])
    graph["save"]["inputs"]["samples"] = ["stop", 0]
    return graph


def _aborted(comfy: Comfy) -> str:
    job_id = start(comfy, "views-abort", gates="2", seed=303)
    comfy.wait_at_gate("views-abort", 2)
    comfy.verb(job_id, "abort", {"reason": "the composition is off"})
    comfy.wait_for(job_id, "aborted")
    return job_id


def views(shown: Screen, jobs: Jobs) -> Iterator[str]:
    """The name of each view, once it is on the page; it goes when the next one is asked for."""
    yield "node"
    panel = shown.open_panel()
    yield from _list(shown, panel, jobs)
    yield from _detail(shown, panel, jobs)
    yield from _overlays(shown, panel, jobs)


def _list(shown: Screen, panel: Locator, jobs: Jobs) -> Iterator[str]:
    card = _card(panel, jobs.paused)
    card.hover()
    shown.verb("primary", card).wait_for()
    yield "list"
    done = _card(panel, jobs.completed)
    done.locator(".midrun-open").focus()
    shown.verb("remove", done).click()
    shown.verb("really", done).wait_for()
    yield "list, deleting"
    panel.locator('[data-filter="running"]').click()
    panel.locator(".midrun-none").wait_for()
    yield "list, nothing in it"
    panel.locator('[data-filter="all"]').click()
    shown.verb("select", panel).click()
    _card(panel, jobs.paused).locator(".midrun-open").click()
    yield "list, selecting"
    shown.verb("abortThese", panel).click()
    shown.verb("really", panel).wait_for()
    yield "list, sure?"
    shown.verb("select", panel).click()
    panel.locator('[data-verb="import"]').set_input_files(
        {"name": "broken.midrun", "mimeType": "application/zip", "buffer": b"no zip"}
    )
    panel.locator(".midrun-incoming[role=alert]").wait_for()
    yield "list, a file refused"
    shown.verb("dismiss", panel).click()


def _detail(shown: Screen, panel: Locator, jobs: Jobs) -> Iterator[str]:
    _open(shown, panel, jobs.paused, "parameters")
    sampler = panel.locator(f'[data-node="{jobs.nodes["sampler"]}"]')
    sampler.locator('[data-input="cfg"]').get_by_role("spinbutton").fill("9")
    shown.verb("save", panel).click()
    expect(sampler.locator('[data-input="cfg"]')).to_have_attribute("data-status", "pending")
    sampler.locator('[data-input="steps"]').get_by_role("spinbutton").fill("7")
    expect(panel.locator(".midrun-counts")).to_have_text("1 unsaved · 1 change pending")
    yield "parameters"
    shown.verb("undo", sampler.locator('[data-input="steps"]')).click()
    group = panel.locator(f'[data-node="{jobs.nodes["positive"]}"]')
    shown.verb("lens", group).click()
    group.locator('[data-word="red"]').click()
    expect(group.locator(".midrun-heat")).to_be_visible(timeout=30_000)
    yield "lens"
    panel.locator('[data-tab="breakpoints"]').click()
    form = panel.locator(".midrun-breakpoint-form")
    for kind, fields in (("step", {"value": "5"}), ("time", {})):
        form.locator('[data-field="kind"]').select_option(kind)
        for name, value in fields.items():
            form.locator(f'[data-field="{name}"]').fill(value)
        form.get_by_role("button").last.click()
    expect(panel.locator(".midrun-breakpoint")).to_have_count(2)  # and that of the node
    form.locator(".midrun-note").wait_for()
    yield "breakpoints"
    panel.locator('[data-tab="log"]').click()
    panel.locator(".midrun-log li").first.wait_for()
    yield "log"
    panel.locator('[data-tab="chart"]').click()
    panel.locator(".midrun-lines").wait_for()
    yield "chart"
    shown.verb("back", panel).click()
    for name, job_id, more in (
        ("an imported job, paused", jobs.paused, FOREIGN),
        ("a check", jobs.fork, {"check": FOUND}),
        ("an aborted job", jobs.aborted, {}),
        ("a failed job", jobs.failed, {}),
        ("wires", jobs.wired, {}),
    ):
        _open(shown, panel, job_id)
        if more:
            shown.page.evaluate(TELL, {**shown.comfy.job(job_id), **more})
        yield name
        shown.verb("back", panel).click()
    _open(shown, panel, jobs.completed)
    shown.command("Midrun.ToggleTimeline")
    shown.page.locator(".midrun-timeline-root .midrun-plot-area").wait_for()
    yield "timeline"
    shown.command("Midrun.ToggleTimeline")
    shown.page.locator(".midrun-timeline-root").wait_for(state="detached")
    shown.verb("back", panel).click()


def _card(panel: Locator, job_id: str) -> Locator:
    panel.locator(".midrun-list").evaluate(SCROLL_TO, job_id)
    return panel.locator(f'[data-job="{job_id}"]')


def _open(shown: Screen, panel: Locator, job_id: str, tab: str | None = None) -> None:
    _card(panel, job_id).locator(".midrun-open").click()
    shown.verb("back", panel).wait_for()
    if tab is not None:
        panel.locator(f'[data-tab="{tab}"]').click()


def _overlays(shown: Screen, panel: Locator, jobs: Jobs) -> Iterator[str]:
    _open(shown, panel, jobs.completed)
    shown.verb("view", panel).click()
    yield from _viewer(shown, jobs)
    yield from _forms(shown, panel, jobs)
    openers: tuple[tuple[str, Callable[[], None]], ...] = (
        ("ledger", lambda: shown.verb("ledger", panel).click()),
        ("board", lambda: shown.verb("board", panel).click()),
        ("choose", lambda: shown.verb("openChoice", panel).click()),
    )
    shown.verb("back", panel).click()
    for name, opens in openers:
        opens()
        dialog = shown.page.locator(f"dialog.midrun-dialog-{name}[open]")
        dialog.wait_for()
        if name == "ledger":
            dialog.locator("tfoot").wait_for()
        yield name
        if name == "choose":
            dialog.locator('[data-number="2"] .midrun-tick').hover()
            dialog.locator('[data-number="2"] [data-verb="paint"]').click()
            dialog.locator(".midrun-mask").press("Space")
            yield "paint"
        _leave(shown)


def _viewer(shown: Screen, jobs: Jobs) -> Iterator[str]:
    viewer = shown.page.locator("dialog.midrun-dialog-viewer[open]")
    viewer.locator(".midrun-strip").wait_for()
    yield "viewer"
    shown.page.keyboard.press("b")
    viewer.locator(".midrun-find").wait_for()
    yield "finder"
    shown.page.keyboard.press("Escape")
    viewer.locator(".midrun-find").wait_for(state="detached")
    shown.verb("compare", viewer).click()
    viewer.locator(".midrun-with").select_option(f"job:{jobs.fork}")
    viewer.locator(".midrun-curve .midrun-lines").wait_for()
    yield "compare"
    _leave(shown)


def _forms(shown: Screen, panel: Locator, jobs: Jobs) -> Iterator[str]:
    """With the completed job open, then with the paused one."""
    stage = panel.locator(".midrun-stage")
    shown.verb("fork", stage).click()
    fork = shown.page.locator("dialog.midrun-dialog-fork[open]")
    fork.locator('[data-axis="0"] select').select_option(index=1)
    fork.locator('[data-axis="0"] input').fill("no number")
    yield "fork"
    _leave(shown)
    shown.verb("more", panel.locator(".midrun-summary")).click()
    shown.dialog.wait_for()
    yield "more"
    _leave(shown)
    shown.verb("back", panel).click()
    _open(shown, panel, jobs.paused)
    shown.verb("abort", panel.locator(".midrun-summary")).click()
    shown.dialog.wait_for()
    yield "abort"
    _leave(shown)
    shown.page.evaluate(
        """id => {
            const widget = app.graph.getNodeById(id).widgets.find(one => one.name === "cfg");
            widget.value = 3;
            widget.callback?.(3);
            app.extensionManager.workflow.activeWorkflow.changeTracker.checkState?.();
            app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState?.();
        }""",
        jobs.nodes["sampler"],
    )
    shown.verb("canvas").click()
    shown.dialog.wait_for()
    yield "canvas"
    _leave(shown)
    shown.page.evaluate(SELECT, jobs.nodes["sampler"])
    shown.command("Midrun.DraftSeeds")
    shown.dialog.wait_for()
    yield "draft form"
    _leave(shown)


def _leave(shown: Screen) -> None:
    shown.page.keyboard.press("Escape")
    shown.dialog.wait_for(state="detached")
