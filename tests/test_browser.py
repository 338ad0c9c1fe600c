"""Midrun in a real browser: three frontends, on the canvas and in Nodes 2.0, against a real ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import FRONTENDS, HOSTILE, RENDERERS, Screen, edits, frontend_root, graph, needs_chromium, screen
from playwright.sync_api import Browser, expect

import examples
from harness import Comfy

pytestmark = needs_chromium


@pytest.fixture(scope="module", params=FRONTENDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server with that frontend, on a base directory of its own."""
    root = ("--front-end-root", str(frontend_root(request.param)))
    server = Comfy(tmp_path_factory.mktemp("browser"), args=root).start()
    yield server
    server.stop()


def events(comfy: Comfy, job_id: str) -> list[str]:
    return [event["kind"] for event in comfy.get(f"/midrun/jobs/{job_id}/events")["events"]]


# -- the whole story, in all six combinations ----------------------------------------------------------------


@pytest.mark.parametrize("renderer", RENDERERS)
def test_pause_edit_undo_resume_and_abort_by_mouse(served: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, served, renderer) as shown:
        key = f"mouse-{renderer}"
        ids = shown.load(graph(key, gates="4"))
        shown.show(ids["sampler"])
        shown.state("idle")
        height = shown.node.bounding_box()
        job_id = shown.queue()
        served.wait_at_gate(key, 4)
        shown.state("running")
        shown.verb("primary").click()
        shown.state("paused")
        job = served.wait_for(job_id, "paused")
        assert (job["step"], job["pause_reason"], job["held"]) == (3, "user", True)
        expect(shown.node).to_contain_text("step 3 / 10")
        expect(shown.node).to_contain_text("Paused at step 3: you asked.")
        assert shown.page.title().startswith("⏸ ")
        assert shown.node.bounding_box() == height, "the widget has one size in every state"
        shown.picture(f"paused-{renderer}")

        expect(shown.verb("step")).not_to_have_attribute("aria-disabled", "true")  # the pause was answered
        shown.verb("step").click()
        served.until(lambda: served.job(job_id)["step"] == 4, "the step")
        served.wait_for(job_id, "paused")

        _edit_by_mouse(shown, served, job_id, ids)
        shown.verb("resumeWithChanges", shown.tray).click()
        job = served.wait_for(job_id, "completed")
        shown.state("completed")
        assert edits(served, job_id) == {f"{ids['sampler']}.cfg": (7.5, 4)}
        assert not shown.page.title().startswith("⏸ ")
        assert "pause" in events(served, job_id)
        core = served.get("/history")
        assert sum(any(one in core for one in [run]) for run in job["prompt_ids"]) == 1, (
            "one row in the history"
        )

        shown.load(graph(f"{key}-2", gates="3"))
        shown.show(ids["sampler"])
        job_id = shown.queue()
        served.wait_at_gate(f"{key}-2", 3)
        shown.state("running")
        shown.verb("abort").click()
        shown.dialog.get_by_role("combobox").fill(HOSTILE)
        shown.picture(f"abort-{renderer}")
        shown.dialog.locator('[data-verb="confirm"]').click()
        job = served.wait_for(job_id, "aborted")
        assert job["abort_reason"] == HOSTILE
        shown.state("aborted")
        expect(shown.node).to_contain_text(f"Aborted at step 2: {HOSTILE}")
        assert shown.page.evaluate("window.hacked") is None


def _edit_by_mouse(shown: Screen, comfy: Comfy, job_id: str, ids: dict[str, str]) -> None:
    shown.verb("edit").click()
    shown.tray.wait_for()
    param = shown.tray.locator(f'[data-node="{ids["sampler"]}"] [data-input="cfg"]')
    param.get_by_role("spinbutton").fill("7.5")
    expect(param).to_have_attribute("data-status", "unsaved")
    seed = shown.tray.locator(f'[data-node="{ids["sampler"]}"] [data-input="seed"]')
    expect(seed).to_contain_text("used at step 0")
    shown.verb("save", shown.tray).click()
    expect(param).to_have_attribute("data-status", "pending")
    expect(param.locator("del")).to_have_text("4")
    assert edits(comfy, job_id) == {f"{ids['sampler']}.cfg": (7.5, None)}
    steps = shown.tray.locator(f'[data-node="{ids["sampler"]}"] [data-input="steps"]')
    steps.get_by_role("spinbutton").fill("12")
    shown.verb("save", shown.tray).click()
    expect(steps).to_have_attribute("data-status", "pending")
    shown.picture(f"editor-{shown.renderer}")
    shown.verb("undo", steps).click()
    expect(steps).not_to_have_attribute("data-status", "pending")
    assert edits(comfy, job_id) == {f"{ids['sampler']}.cfg": (7.5, None)}


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_same_by_keyboard_alone(served: Comfy, browser: Browser, renderer: str) -> None:
    with screen(browser, served, renderer) as shown:
        keyboard, key = shown.page.keyboard, f"keys-{renderer}"
        ids = shown.load(graph(key, gates="4"))
        before = {job["job_id"] for job in served.get("/midrun/jobs")["jobs"]}
        shown.page.locator("body").press("Control+Enter")
        served.wait_at_gate(key, 4)
        (job_id,) = {job["job_id"] for job in served.get("/midrun/jobs")["jobs"]} - before
        shown.page.wait_for_function("id => document.querySelector('.midrun-state[data-state=running]')")
        keyboard.press("F8")
        served.wait_for(job_id, "paused")
        shown.page.wait_for_function("document.title.startsWith('⏸ ')")
        keyboard.press("F9")
        served.until(lambda: served.job(job_id)["step"] == 4, "the step")
        served.wait_for(job_id, "paused")
        keyboard.press("F4")
        shown.tray.wait_for()
        _tab_to(shown, f'[data-job="{job_id}"] .midrun-open')
        keyboard.press("Enter")
        _tab_to(shown, f'[data-node="{ids["sampler"]}"] [data-input="cfg"] input')
        keyboard.press("ArrowUp")
        keyboard.press("ArrowUp")
        keyboard.press("Enter")
        served.until(lambda: edits(served, job_id), "the edit")
        assert edits(served, job_id) == {f"{ids['sampler']}.cfg": (4.2, None)}
        _tab_to(shown, '[data-input="denoise"] input')
        keyboard.press("ArrowDown")
        keyboard.press("Enter")
        served.until(lambda: len(edits(served, job_id)) == 2, "the second edit")
        expect(shown.tray.locator('[data-input="denoise"]')).to_have_attribute("data-status", "pending")
        _tab_to(shown, '[data-input="denoise"] [data-verb="undo"]', back=True)
        keyboard.press("Enter")
        served.until(lambda: len(edits(served, job_id)) == 1, "the undo")
        _tab_to(shown, '[data-verb="resumeWithChanges"]')
        keyboard.press("Enter")
        served.wait_for(job_id, "completed")
        assert edits(served, job_id) == {f"{ids['sampler']}.cfg": (4.2, 4)}

        shown.load(graph(f"{key}-2", gates="3"))
        shown.page.locator("body").press("Control+Enter")
        served.wait_at_gate(f"{key}-2", 3)
        shown.page.wait_for_function("document.querySelector('.midrun-state[data-state=running]')")
        keyboard.press("Shift+F8")
        shown.dialog.wait_for()
        keyboard.press("Escape")
        shown.dialog.wait_for(state="detached")
        keyboard.press("Shift+F8")
        shown.dialog.wait_for()
        keyboard.type("by keyboard")
        keyboard.press("Enter")
        shown.dialog.wait_for(state="detached")
        job = served.until(lambda: _newest_in(served, "aborted"), "the abort", timeout=10)
        assert job["abort_reason"] == "by keyboard"
        failures = served.get("/midrun/failures")["failures"]
        assert failures[0]["reason"] == "by keyboard", failures[:2]


def _newest_in(comfy: Comfy, state: str) -> dict[str, Any] | None:
    newest = comfy.get("/midrun/jobs?limit=1")["jobs"][0]
    return newest if newest["state"] == state else None


def _tab_to(shown: Screen, selector: str, back: bool = False) -> None:
    """Press Tab until the focus is there; a keyboard user has nothing else."""
    for _ in range(150):
        if shown.page.evaluate("selector => !!document.activeElement?.matches(selector)", selector):
            return
        shown.page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"Tab does not reach {selector}")


# -- the example workflows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", examples.names())
def test_an_example_opens_as_it_was_saved(served: Comfy, browser: Browser, name: str) -> None:
    workflow = examples.saved(name)
    with screen(browser, served, "nodes2") as shown:
        shown.expected = "https://api.comfy.org"  # the oldest frontend looks nodes up there
        output = shown.page.evaluate(
            """async workflow => {
                await app.loadGraphData(workflow, true, true, 'Example');
                return (await app.graphToPrompt()).output;
            }""",
            workflow,
        )
        shown.picture(f"example-{name}")
    plain = {key: {part: node[part] for part in ("class_type", "inputs")} for key, node in output.items()}
    assert plain == examples.as_prompt(served, workflow)
