"""What is on the page when a picture is taken: an example workflow, a paused job, and where its nodes are."""

from __future__ import annotations

from playwright.sync_api import FloatRect, ViewportSize

from browser import Screen
from harness import ROOT

SIZE: ViewportSize = {"width": 1360, "height": 900}
EXAMPLES = ROOT / "example_workflows"
SAMPLER = "6"  # of the example workflows
# Neither a map nor a message lies over what is to be seen.
TIDY = '[data-testid="minimap"], .minimap-main-container, .p-toast, [role="region"] > ol { display: none; }'


def load(shown: Screen, name: str, scale: float = 0.66) -> None:
    """An example workflow, with all its nodes in sight beside the panel."""
    text = (EXAMPLES / f"{name}.json").read_text(encoding="utf-8")
    shown.page.evaluate(
        "([text, name]) => app.loadGraphData(JSON.parse(text), true, true, name)", [text, name]
    )
    shown.page.evaluate(  # not by Playwright, to which any refusal of the policy is its own
        "text => document.head.append(Object.assign(document.createElement('style'), { textContent: text }))",
        TIDY,
    )
    shown.page.wait_for_timeout(500)
    shown.page.evaluate(
        """scale => {
            app.canvas.ds.scale = scale;
            app.canvas.ds.offset[0] = 400 / scale;
            app.canvas.ds.offset[1] = 170 / scale;
            app.canvas.setDirty(true, true);
        }""",
        scale,
    )


def paused(shown: Screen, seed: int = 7) -> str:
    """The example, paused by itself after step 6; its job. ComfyUI samples no seed twice in succession."""
    load(shown, "Pause and edit")
    shown.page.evaluate(
        """([id, seed]) => {
            app.graph.getNodeById(id).widgets.find(one => one.name === "seed").value = seed;
        }""",
        [SAMPLER, seed],
    )
    job_id = shown.queue()
    shown.comfy.wait_for(job_id, "paused")
    shown.state("paused")
    shown.until_step_is_seen(job_id, 6)
    return job_id


def box(shown: Screen, node_id: str, margin: float = 8) -> FloatRect:
    """Where a node is on the page."""
    found = shown.page.locator(f'[data-node-id="{node_id}"]').first.bounding_box()
    assert found is not None
    return around([found], margin)


def whole_graph(shown: Screen) -> FloatRect:
    boxes = [one.bounding_box() for one in shown.page.locator("[data-node-id]").all()]
    return around([one for one in boxes if one is not None], 10)


def around(boxes: list[FloatRect], margin: float) -> FloatRect:
    left, top = min(one["x"] for one in boxes), min(one["y"] for one in boxes)
    right = max(one["x"] + one["width"] for one in boxes)
    bottom = max(one["y"] + one["height"] for one in boxes)
    left, top = max(0, left - margin), max(0, top - margin)
    return {
        "x": left,
        "y": top,
        "width": min(right + margin, SIZE["width"]) - left,
        "height": min(bottom + margin, SIZE["height"]) - top,
    }
