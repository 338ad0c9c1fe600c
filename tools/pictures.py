"""`python dev.py pictures`: the pictures of the README and of the help pages, on the demo model.

Each function is one picture. They are taken in the newest frontend, in Nodes 2.0, of the example workflows.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import sync_playwright

from browser import FRONTENDS, Screen, frontend_root, launch, screen
from harness import ROOT, Comfy
from picture_files import animate, save
from picture_scene import SAMPLER, SIZE, box, load, paused, whole_graph

README, HELP = ROOT / "docs", ROOT / "web" / "docs"
MOST_BYTES = 600_000  # all of them together
# Of the example workflows.
POSITIVE, DEMO_MODEL = "3", "1"
SQUARE = "a blue square on a yellow ground"


def tour(shown: Screen) -> None:
    """The README's first picture: paused, edited, resumed; in moving pictures, and the editor alone."""
    job_id = paused(shown)
    frames, times = [], []

    def frame(milliseconds: int) -> None:
        shown.page.wait_for_timeout(150)
        frames.append(shown.page.screenshot())
        times.append(milliseconds)

    shown.verb("edit").click()
    shown.until_step_is_seen(job_id, 6, shown.tray)
    frame(1500)
    text = shown.tray.locator(f'[data-node="{POSITIVE}"] textarea')
    text.evaluate("one => one.scrollIntoView({ block: 'center' })")
    frame(900)
    text.fill(SQUARE)
    shown.verb("save", shown.tray).click()
    shown.tray.locator(f'[data-node="{POSITIVE}"] [data-status="pending"]').first.wait_for()
    shown.page.mouse.move(900, 700)
    frame(2000)
    save(README / "edit.webp", frames[-1])
    shown.verb("resumeWithChanges", shown.tray)
    for step in range(7, 21):
        shown.comfy.verb(job_id, "step")
        shown.comfy.until(lambda step=step: shown.comfy.job(job_id)["step"] == step, f"step {step}")
        if step < 20:
            shown.until_step_is_seen(job_id, step)
            frame(350)
        else:
            shown.comfy.verb(job_id, "resume")
    shown.comfy.wait_for(job_id, "completed")
    shown.state("completed")
    shown.page.wait_for_timeout(1000)
    frame(3000)
    animate(README / "tour.webp", frames, times)


def node(shown: Screen) -> None:
    """The sampler node, paused."""
    paused(shown)
    shown.show(SAMPLER)
    shown.page.wait_for_timeout(500)
    save(HELP / "MidrunKSampler.webp", shown.page.screenshot(clip=box(shown, SAMPLER)))


def jobs(shown: Screen) -> None:
    """The panel with jobs in several states."""
    for seed, end in ((11, "completed"), (12, "aborted"), (13, "paused")):
        job_id = paused(shown, seed)
        if end == "aborted":
            shown.comfy.verb(job_id, "abort", {"reason": "the wrong colour"})
        elif end == "completed":
            shown.comfy.verb(job_id, "resume")
        shown.comfy.wait_for(job_id, end)
    shown.open_panel()
    shown.tray.locator(".midrun-card").nth(2).wait_for()
    shown.page.wait_for_timeout(600)
    shown.tray.locator(".midrun-card").first.hover()
    place = shown.tray.bounding_box()
    assert place is not None
    save(README / "jobs.webp", shown.page.screenshot(clip={**place, "height": 392}))


def viewer(shown: Screen) -> None:
    """Two steps in full size, with the divider between them."""
    job_id = paused(shown)
    shown.comfy.verb(job_id, "resume")
    shown.comfy.wait_for(job_id, "completed")
    shown.state("completed")
    for step in range(1, 21):  # so that each has a picture in the strip
        shown.comfy.fetch(f"/midrun/jobs/{job_id}/preview?step={step}")
    shown.verb("view").click()
    shown.page.keyboard.press("c")
    shown.dialog.get_by_role("combobox").select_option("4")
    shown.page.wait_for_timeout(1500)
    save(README / "viewer.webp", shown.page.screenshot())


def timeline(shown: Screen) -> None:
    """A job that was edited on its way, with three forks; the cursor at the edit."""
    job_id = paused(shown)
    shown.comfy.call("PUT", f"/midrun/jobs/{job_id}/params", {POSITIVE: {"text": SQUARE}})
    shown.comfy.verb(job_id, "resume")
    shown.comfy.wait_for(job_id, "completed")
    asked = {"step": 9, "vary": {SAMPLER: {"cfg": [2.0, 9.0, 12.0]}}}
    for fork in shown.comfy.post(f"/midrun/jobs/{job_id}/fork", asked)["jobs"]:
        shown.comfy.wait_for(fork["job_id"], "completed")
    for step in range(1, 21):
        shown.comfy.fetch(f"/midrun/jobs/{job_id}/preview?step={step}")
    shown.page.keyboard.press("Shift+F4")
    panel = shown.page.locator(".midrun-timeline-root")
    panel.locator(f'.midrun-lane[data-job="{job_id}"] .midrun-lane-name').click()
    panel.locator(".midrun-plot-area").focus()
    shown.page.keyboard.press("Home")
    for _ in range(6):
        shown.page.keyboard.press("ArrowRight")
    shown.page.wait_for_load_state("networkidle")
    shown.page.wait_for_timeout(500)
    save(README / "timeline.webp", panel.screenshot())


def canvas(shown: Screen) -> None:
    """Changes made on the canvas, offered."""
    paused(shown)
    shown.page.evaluate(
        """([sampler, positive, text]) => {
            const set = (id, name, value) => {
                const widget = app.graph.getNodeById(id).widgets.find(one => one.name === name);
                widget.value = value;
                widget.callback?.(value);
            };
            set(sampler, "cfg", 7); set(positive, "text", text);
            const tracker = app.extensionManager.workflow.activeWorkflow.changeTracker;
            (tracker.captureCanvasState ?? tracker.checkState).call(tracker);
        }""",
        [SAMPLER, POSITIVE, SQUARE],
    )
    shown.verb("canvas").click()
    shown.dialog.wait_for()
    shown.page.wait_for_timeout(300)
    save(README / "canvas.webp", shown.page.screenshot())


def abort(shown: Screen) -> None:
    """What is left of a job that was aborted."""
    paused(shown)
    shown.verb("abort").click()
    shown.dialog.get_by_role("combobox").fill("the wrong colour")
    shown.dialog.locator('[data-verb="confirm"]').click()
    shown.dialog.locator(".midrun-path").wait_for()
    shown.page.wait_for_timeout(400)
    place = shown.dialog.bounding_box()
    assert place is not None
    save(README / "abort.webp", shown.page.screenshot(clip=place))


def demo_model(shown: Screen) -> None:
    """The demo model's node, and what it painted."""
    job_id = paused(shown, 21)
    shown.comfy.verb(job_id, "resume")
    shown.comfy.wait_for(job_id, "completed")
    shown.page.wait_for_timeout(1000)
    save(HELP / "MidrunDemoModel.webp", shown.page.screenshot(clip=whole_graph(shown)))


def attach(shown: Screen) -> None:
    """Midrun Attach, and the sampler that it makes debuggable."""
    load(shown, "Any sampler", 0.55)
    shown.queue()
    shown.state("paused")
    shown.page.get_by_text("Job queued").wait_for(state="hidden")
    shown.page.wait_for_timeout(800)
    save(HELP / "MidrunAttach.webp", shown.page.screenshot(clip=whole_graph(shown)))


def breakpoint_(shown: Screen) -> None:
    """Midrun Breakpoint on the wire to a VAE Decode."""
    load(shown, "Pause and edit")
    shown.page.evaluate(
        """() => {
            const graph = app.graph, sampler = graph.getNodeById(6), decode = graph.getNodeById(7);
            sampler.widgets.find(one => one.name === "pause_at_step").value = 0;
            const node = LiteGraph.createNode("MidrunBreakpoint");
            node.pos = [decode.pos[0], decode.pos[1] + 560];
            graph.add(node);
            sampler.connect(0, node, 0);
            node.connect(0, decode, 0);
        }"""
    )
    shown.queue()
    shown.state("paused")
    shown.page.get_by_text("Job queued").wait_for(state="hidden")
    shown.page.wait_for_timeout(800)
    save(HELP / "MidrunBreakpoint.webp", shown.page.screenshot(clip=whole_graph(shown)))


def drafts(shown: Screen) -> None:
    """The board: twelve seeds after step 6, two of them ticked."""
    load(shown, "Pause and edit")
    prompt = shown.page.evaluate("app.graphToPrompt().then(one => one.output)")
    asked = {"prompt": prompt, "vary": {SAMPLER: {"seed": [*range(1, 13)]}}, "step": 6}
    ids = [job["job_id"] for job in shown.comfy.post("/midrun/drafts", asked)["jobs"]]
    shown.comfy.wait_for(ids[-1], "paused")
    shown.verb("board", shown.open_panel()).click()
    shown.page.wait_for_function("[...document.querySelectorAll('.midrun-tick img')].length === 12")
    shown.page.keyboard.type("27")
    save(README / "drafts.webp", shown.dialog.screenshot())


def choose(shown: Screen) -> None:
    """Midrun Choose, before a batch of four is saved: its dialog with one ticked."""
    load(shown, "Pause and edit")
    shown.page.evaluate(
        """() => {
            const graph = app.graph, [sampler, decode, save] = [6, 7, 8].map(id => graph.getNodeById(id));
            sampler.widgets.find(one => one.name === "pause_at_step").value = 0;
            graph.getNodeById(5).widgets.find(one => one.name === "batch_size").value = 4;
            const node = LiteGraph.createNode("MidrunChoose");
            graph.add(node);
            decode.connect(0, node, 0);
            node.connect(0, save, 0);
        }"""
    )
    job_id = shown.queue()
    shown.comfy.wait_for(job_id, "paused")
    shown.verb("openChoice", shown.open_panel()).click()
    shown.page.wait_for_function("[...document.querySelectorAll('.midrun-tick img')].length === 4")
    shown.page.keyboard.type("2")
    shown.page.wait_for_load_state("networkidle")
    save(HELP / "MidrunChoose.webp", shown.dialog.screenshot())


PICTURES: tuple[Callable[[Screen], None], ...] = (
    *(tour, node, canvas, abort, jobs, timeline, viewer, drafts, demo_model, attach, breakpoint_, choose),
)

# -- parts ---------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py pictures", description=__doc__)
    names = [one.__name__.rstrip("_") for one in PICTURES]
    parser.add_argument("--only", default=",".join(names), help="some of " + ", ".join(names))
    chosen = parser.parse_args().only.split(",")
    root = ("--front-end-root", str(frontend_root(FRONTENDS[-1])))
    settings = {"Comfy.Minimap.Visible": False, "Comfy.Workflow.WorkflowTabsPosition": "Topbar"}
    with tempfile.TemporaryDirectory(prefix="midrun-pictures-") as base, sync_playwright() as playwright:
        comfy = Comfy(Path(base), packs=(ROOT,), args=root).start()
        chromium = launch(playwright)
        try:
            for take in PICTURES:
                if take.__name__.rstrip("_") not in chosen:
                    continue
                with screen(chromium, comfy, "nodes2", settings) as shown:
                    shown.page.set_viewport_size(SIZE)
                    take(shown)
                    for job in comfy.get("/midrun/jobs")["jobs"]:
                        comfy.call("POST", f"/midrun/jobs/{job['job_id']}/abort", {})
                        comfy.call("DELETE", f"/midrun/jobs/{job['job_id']}")
        finally:
            chromium.close()
            comfy.stop()
    made = [*README.glob("*.webp"), *HELP.glob("*.webp")]
    for file in sorted(made):
        print(f"{file.stat().st_size // 1000:5} kB  {file.relative_to(ROOT)}")
    total = sum(file.stat().st_size for file in made)
    print(f"{total // 1000:5} kB  together")
    if total > MOST_BYTES:
        raise SystemExit(f"That is more than {MOST_BYTES // 1000} kB.")


if __name__ == "__main__":
    main()
