"""Midrun in a real browser: three frontends, on the canvas and in Nodes 2.0, against a real ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import FRONTENDS, HOSTILE, RENDERERS, Screen, edits, frontend_root, needs_chromium, screen
from playwright.sync_api import Browser, Locator, expect

import examples
from harness import Comfy

pytestmark = needs_chromium
# Of the example workflow.
LORA, POSITIVE, SAMPLER = "2", "3", "6"
SQUARE = "a blue square on a yellow ground"


@pytest.fixture(scope="module", params=FRONTENDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server with that frontend, on a base directory of its own."""
    root = ("--front-end-root", str(frontend_root(request.param)))
    server = Comfy(tmp_path_factory.mktemp("browser"), args=root).start()
    yield server
    server.stop()


# -- the whole story, in all six combinations ----------------------------------------------------------------


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_whole_story_by_mouse(served: Comfy, browser: Browser, renderer: str) -> None:
    forget(served)
    with screen(browser, served, renderer) as shown:
        page = shown.page
        shown.command("Comfy.NewBlankWorkflow")
        page.get_by_role("button", name="Midrun", exact=True).first.click()
        panel = shown.tray.bounding_box()
        assert panel is not None and panel["height"] > 700, "the panel is as high as there is room"
        shown.verb("example", shown.tray).click()
        page.wait_for_function("id => app.graph.getNodeById(id)?.type === 'MidrunKSampler'", arg=SAMPLER)
        shown.show(SAMPLER)
        shown.state("idle")
        height = shown.node.bounding_box()

        turnstile(served, "mouse", 4)
        shown.run()
        job_id = the_only(served)
        served.wait_at_gate("mouse", "turnstile")
        shown.state("running")
        shown.verb("primary").click()
        shown.state("paused")
        job = served.wait_for(job_id, "paused")
        assert (job["step"], job["pause_reason"], job["held"]) == (3, "user", True)
        expect(shown.node).to_contain_text("step 3 / 20")
        expect(shown.node).to_contain_text("Paused at step 3: you asked.")
        assert page.title().startswith("⏸ ")
        assert shown.node.bounding_box() == height, "the widget has one size in every state"
        shown.until_step_is_seen(job_id, 3)
        shown.picture(f"paused-{shown.version}-{renderer}")

        expect(shown.verb("step")).not_to_have_attribute("aria-disabled", "true")  # the pause was answered
        shown.verb("step").click()
        served.until(lambda: served.job(job_id)["step"] == 4, "the step")
        served.wait_for(job_id, "paused")
        shown.until_step_is_seen(job_id, 4)

        shown.verb("edit").click()
        change_by_mouse(shown, served, job_id)
        shown.verb("resumeWithChanges", shown.tray).click()
        ends_as_edited(shown, served, job_id, {"cfg": 7.5, "text": SQUARE})

        turnstile(served, "mouse", 3)
        shown.run()
        job_id = the_only(served, but=job_id)
        served.wait_at_gate("mouse", "turnstile")
        shown.state("running")
        shown.verb("abort").click()
        shown.dialog.get_by_role("combobox").fill(HOSTILE)
        shown.picture(f"abort-{shown.version}-{renderer}")
        shown.dialog.locator('[data-verb="confirm"]').click()
        is_aborted(shown, served, job_id, HOSTILE)
        shown.picture(f"aborted-{shown.version}-{renderer}")
        shown.dialog.locator('[data-verb="close"]').click()
        shown.dialog.wait_for(state="detached")
        expect(shown.node).to_contain_text(f"Aborted at step 2: {HOSTILE}")
        assert page.evaluate("window.hacked") is None


def change_by_mouse(shown: Screen, comfy: Comfy, job_id: str) -> None:
    cfg = param(shown, SAMPLER, "cfg")
    cfg.get_by_role("spinbutton").fill("7.5")
    expect(cfg).to_have_attribute("data-status", "unsaved")
    expect(param(shown, SAMPLER, "seed")).to_contain_text("after a rewind to KSampler (Midrun) #")
    text = param(shown, POSITIVE, "text")
    text.locator("textarea").fill(SQUARE)
    shown.verb("save", shown.tray).click()
    for one in (cfg, text):
        expect(one).to_have_attribute("data-status", "pending")
        expect(one.locator(".midrun-badge")).to_contain_text("modified")
    expect(cfg.locator("del")).to_have_text("5")
    expect(text.locator("del")).to_have_text("a red circle on a yellow ground")
    expect(shown.verb("edit")).to_have_text("Edit · 2")
    steps = param(shown, SAMPLER, "steps")
    steps.get_by_role("spinbutton").fill("24")
    shown.verb("save", shown.tray).click()
    expect(steps).to_have_attribute("data-status", "pending")
    wanted = {f"{SAMPLER}.cfg": (7.5, None), f"{POSITIVE}.text": (SQUARE, None)}
    assert edits(comfy, job_id) == wanted | {f"{SAMPLER}.steps": (24, None)}
    shown.picture(f"editor-{shown.version}-{shown.renderer}")
    shown.verb("undo", steps).click()
    expect(steps).not_to_have_attribute("data-status", "pending")
    assert edits(comfy, job_id) == wanted


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_whole_story_by_keyboard_alone(served: Comfy, browser: Browser, renderer: str) -> None:
    forget(served)
    with screen(browser, served, renderer) as shown:
        keyboard, page = shown.page.keyboard, shown.page
        shown.command("Comfy.NewBlankWorkflow")  # whose key the frontend has left to the browser
        page.locator("body").press("F4")
        shown.tray.wait_for()
        tab_to(shown, '[data-verb="example"]')
        keyboard.press("Enter")
        page.wait_for_function("id => app.graph.getNodeById(id)?.type === 'MidrunKSampler'", arg=SAMPLER)

        turnstile(served, "keys", 4)
        page.locator("body").press("Control+Enter")
        job_id = the_only(served)
        served.wait_at_gate("keys", "turnstile")
        shown.state("running", shown.tray)
        keyboard.press("F8")
        served.wait_for(job_id, "paused")
        page.wait_for_function("document.title.startsWith('⏸ ')")
        keyboard.press("F9")
        served.until(lambda: served.job(job_id)["step"] == 4, "the step")
        served.wait_for(job_id, "paused")

        tab_to(shown, f'[data-job="{job_id}"] .midrun-open')
        keyboard.press("Enter")
        shown.until_step_is_seen(job_id, 4, shown.tray)
        tab_to(shown, f'[data-node="{SAMPLER}"] [data-input="cfg"] input')
        keyboard.press("ArrowUp")
        keyboard.press("ArrowUp")
        keyboard.press("Enter")
        served.until(lambda: edits(served, job_id), "the edit")
        assert edits(served, job_id) == {f"{SAMPLER}.cfg": (5.2, None)}
        tab_to(shown, f'[data-node="{SAMPLER}"] [data-input="denoise"] input')
        keyboard.press("ArrowDown")
        keyboard.press("Enter")
        served.until(lambda: len(edits(served, job_id)) == 2, "the second edit")
        expect(param(shown, SAMPLER, "denoise")).to_have_attribute("data-status", "pending")
        tab_to(shown, '[data-input="denoise"] [data-verb="undo"]', back=True)
        keyboard.press("Enter")
        served.until(lambda: len(edits(served, job_id)) == 1, "the undo")
        tab_to(shown, f'[data-node="{POSITIVE}"] [data-input="text"] textarea')
        keyboard.press("Control+a")
        keyboard.type(SQUARE)
        keyboard.press("Control+Enter")  # saves, and queues nothing
        served.until(lambda: len(edits(served, job_id)) == 2, "the prompt")
        expect(param(shown, POSITIVE, "text").locator(".midrun-badge")).to_contain_text("modified")
        assert the_only(served) == job_id
        tab_to(shown, '[data-verb="resumeWithChanges"]')
        keyboard.press("Enter")
        ends_as_edited(shown, served, job_id, {"cfg": 5.2, "text": SQUARE}, keys=True)

        turnstile(served, "keys", 3)
        page.locator("body").press("Control+Enter")
        job_id = the_only(served, but=job_id)
        served.wait_at_gate("keys", "turnstile")
        page.wait_for_function("document.querySelector('.midrun-state[data-state=running]')")
        keyboard.press("Shift+F8")
        shown.dialog.wait_for()
        keyboard.press("Escape")
        shown.dialog.wait_for(state="detached")
        keyboard.press("Shift+F8")
        shown.dialog.wait_for()
        keyboard.type("by keyboard")
        keyboard.press("Enter")
        is_aborted(shown, served, job_id, "by keyboard")
        keyboard.press("Enter")
        shown.dialog.wait_for(state="detached")


# -- parts of it ---------------------------------------------------------------------------------------------


def ends_as_edited(
    shown: Screen, comfy: Comfy, job_id: str, wanted: dict[str, Any], keys: bool = False
) -> None:
    """It pauses once more by itself, where the example's `pause_at_step` says, with a toast; then it ends."""
    job = comfy.until(lambda: _paused_at(comfy, job_id, 6), "the pause at step 6")
    assert job["pause_reason"] == "breakpoint"
    shown.page.get_by_text("Paused at step 6: a breakpoint.").and_(
        shown.page.locator(":not(.midrun-panel-root *, .midrun-widget *)")
    ).first.wait_for()
    if keys:
        shown.page.locator("body").press("F8")
    else:
        shown.verb("primary").click()
    job = comfy.wait_for(job_id, "completed")
    nodes = {"cfg": SAMPLER, "text": POSITIVE}
    assert edits(comfy, job_id) == {f"{nodes[name]}.{name}": (value, 4) for name, value in wanted.items()}
    shown.page.wait_for_function("!document.title.startsWith('⏸ ')")
    told = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    kinds = [event["kind"] for event in told]
    assert {"queued", "pause", "stopped", "resume", "complete"} <= {*kinds}, kinds
    changed = {edit["input"] for event in told for edit in event["detail"].get("edits", ())}
    assert changed > {*wanted}, "and what was undone"
    history = comfy.get("/history")
    (run,) = [history[one] for one in job["prompt_ids"] if one in history]
    assert run["prompt"][2][POSITIVE]["inputs"]["text"] == SQUARE, "ComfyUI ran the edited prompt"
    assert run["status"]["completed"] and run["outputs"]


def is_aborted(shown: Screen, comfy: Comfy, job_id: str, reason: str) -> None:
    """The dialog says what is left, where, and shows it; the server has recorded it."""
    result = shown.dialog.locator("[data-result]")
    result.wait_for()
    expect(result).to_contain_text(f"Aborted at step 2: {reason}")
    kept = comfy.until(lambda: _kept(comfy, job_id), "the partial result")
    expect(result.locator(".midrun-path")).to_have_text(kept["latent"])
    shown.page.wait_for_function("document.querySelector('.midrun-result')?.naturalWidth > 0")
    assert result.get_by_role("link").get_attribute("download") == ""
    job = comfy.job(job_id)
    assert (job["state"], job["abort_reason"], job["step"]) == ("aborted", reason, 2)
    assert comfy.get("/midrun/failures")["failures"][0]["reason"] == reason


def param(shown: Screen, node_id: str, name: str) -> Locator:
    return shown.tray.locator(f'[data-node="{node_id}"] [data-input="{name}"]')


def turnstile(comfy: Comfy, key: str, at: int) -> None:
    """The evaluation with that number, from 1, will wait to be interrupted."""
    comfy.post(f"/midrun_test/turnstile?key={key}&at={at}")


def forget(comfy: Comfy) -> None:
    """As on a server that has just been installed."""
    for job in comfy.get("/midrun/jobs?limit=500")["jobs"]:
        if job["state"] not in ("completed", "aborted"):
            comfy.verb(job["job_id"], "abort")
        comfy.until(
            lambda: comfy.call("DELETE", f"/midrun/jobs/{job['job_id']}")[0] in (204, 404),  # noqa: B023
            "the job to go",
        )


def the_only(comfy: Comfy, but: str = "") -> str:
    """The only job on the server, another left out."""
    ids = comfy.until(
        lambda: [
            job["job_id"] for job in comfy.get("/midrun/jobs?limit=500")["jobs"] if job["job_id"] != but
        ],
        "a job",
    )
    assert len(ids) == 1, ids
    return ids[0]


def _paused_at(comfy: Comfy, job_id: str, step: int) -> dict[str, Any] | None:
    job = comfy.job(job_id)
    return job if (job["state"], job["step"]) == ("paused", step) else None


def _kept(comfy: Comfy, job_id: str) -> dict[str, Any] | None:
    told = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    return next((event["detail"] for event in told if event["kind"] == "kept"), None)


def tab_to(shown: Screen, selector: str, back: bool = False) -> None:
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
