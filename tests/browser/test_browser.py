"""Midrun in a real browser: three frontends, on the canvas and in Nodes 2.0, against a real ComfyUI."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

import examples
from browser import FRONTENDS, HOSTILE, RENDERERS, Screen, edits, frontend_root, graph, needs_chromium, screen
from browser import wait_until_ready as ready
from harness import Comfy
from story import (
    POSITIVE,
    SAMPLER,
    SQUARE,
    change_by_mouse,
    ends_as_edited,
    forget,
    is_aborted,
    param,
    tab_to,
    the_only,
    turnstile,
)
from test_loops_of_others import loop

pytestmark = needs_chromium


@pytest.fixture(scope="module", params=FRONTENDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server with that frontend."""
    if request.param == FRONTENDS[-1]:
        yield request.getfixturevalue("newest_server")
        return
    root = ("--front-end-root", str(frontend_root(request.param)))
    server = Comfy(tmp_path_factory.mktemp("browser"), args=root).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def oldest_or_newest(served: Comfy) -> Comfy:
    """What holds in both holds in the one between; with MIDRUN_FULL=1 that is looked at, too."""
    if FRONTENDS[1] in " ".join(served.args) and not os.environ.get("MIDRUN_FULL"):
        pytest.skip("with MIDRUN_FULL=1: an older and a newer frontend are looked at")
    return served


TAB = '.midrun-tab-button, [data-testid="midrun-tab-button"]'  # of the sidebar
SHOWS_OPTIONS = """id => {
    const node = app.graph.getNodeById(id), options = ["pause_at_step", "queue_policy", "preview_every"];
    const shown = document.querySelector(`[data-node-id="${id}"]`)?.innerText ?? "";
    if (LiteGraph.vueNodesMode) return options.some(name => shown.includes(name));
    return node.widgets.some(one => options.includes(one.name) && node.isWidgetVisible(one));
}"""


# -- the whole story, in all six combinations; by keyboard in two of them, with MIDRUN_FULL=1 in all ---------


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_whole_story_by_mouse(served: Comfy, browser: Browser, renderer: str) -> None:
    forget(served)
    with screen(browser, served, renderer) as shown:
        page = shown.page
        shown.command("Comfy.NewBlankWorkflow")
        page.get_by_role("button", name="Midrun", exact=True).first.click()
        page.wait_for_function(  # it is as high as there is room
            "document.querySelector('.midrun-panel-root')?.getBoundingClientRect().height > 700"
        )
        shown.verb("example", shown.tray).click()
        page.wait_for_function("id => app.graph.getNodeById(id)?.type === 'MidrunKSampler'", arg=SAMPLER)
        shown.show(SAMPLER)
        shown.state("idle")
        height = shown.node.bounding_box()
        assert not page.evaluate(SHOWS_OPTIONS, SAMPLER)

        turnstile(served, "mouse", 4)
        shown.run()
        job_id = the_only(served)
        served.wait_at_gate("mouse", "turnstile")
        shown.state("running")
        beside_run = page.locator(".midrun-in-front")
        expect(beside_run).to_contain_text("Pause")
        beside_run.click()
        shown.state("paused")
        expect(beside_run).to_contain_text("Resume")
        expect(page.locator(TAB)).to_contain_text("1")
        job = served.wait_for(job_id, "paused")
        assert (job["step"], job["pause_reason"], job["held"]) == (3, "user", True)
        expect(shown.node).to_contain_text("step 3 / 20")
        expect(shown.node).to_contain_text("You paused it at step 3.")
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


def test_a_key_that_is_held_pauses_and_does_not_resume(served: Comfy, browser: Browser) -> None:
    forget(served)
    with screen(browser, served, RENDERERS[0]) as shown:
        shown.show(shown.load(graph("held-key", gates="4"))["sampler"])
        job_id = shown.queue()
        served.wait_at_gate("held-key", 4)
        shown.state("running")
        shown.page.keyboard.down("F8")
        shown.state("paused")
        for _ in range(5):
            shown.page.keyboard.down("F8")  # as long as it is down, this is a repeat
        shown.page.keyboard.up("F8")
        before = served.job(job_id)["step"]
        shown.page.keyboard.press("F9")  # which only a paused job takes
        stands = lambda job: (job["state"], job["step"]) == ("paused", before + 1)  # noqa: E731
        served.until(lambda: stands(served.job(job_id)), "the one step")
        shown.node.locator(f'[aria-valuenow="{before + 1}"]').wait_for()  # what F8 does goes by what is shown
        shown.state("paused")
        shown.page.keyboard.press("F8")
        served.wait_for(job_id, "completed")


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_whole_story_by_keyboard_alone(served: Comfy, browser: Browser, renderer: str) -> None:
    is_newest = "--front-end-root" in served.args and FRONTENDS[-1] in served.args[-1]
    is_wanted = is_newest == (renderer == "nodes2") and "1.49.6" not in " ".join(served.args)
    if not (is_wanted or os.environ.get("MIDRUN_FULL")):
        pytest.skip("with MIDRUN_FULL=1: the keys of the panel are the same everywhere")
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


# -- the example workflows -----------------------------------------------------------------------------------


PUT_BETWEEN = """([before, after, input]) => {
    const attach = LiteGraph.createNode("MidrunAttach");
    app.graph.add(attach);
    const [from, to] = [before, after].map(id =>
        app.graph.getNodeById(id) ?? app.graph.getNodeById(Number(id)));
    attach.pos = [from.pos[0] + 10, from.pos[1] + 300];
    const [own, its] = [[attach, "model"], [to, input]].map(([node, name]) =>
        node.inputs.findIndex(one => one.name === name));
    return [from.connect(0, attach, own), attach.connect(0, to, its)].map(link => link?.target_slot);
}"""


@pytest.mark.parametrize("renderer", RENDERERS)
def test_an_attach_is_put_on_a_wire_of_any_kind(
    oldest_or_newest: Comfy, browser: Browser, renderer: str
) -> None:
    served = oldest_or_newest
    forget(served)
    with screen(browser, served, renderer) as shown:
        key = f"wire-{renderer}-{shown.version}"
        ids = shown.load(graph(key, watched=False))
        wire = shown.page.evaluate(PUT_BETWEEN, [ids["probe"], ids["sampler"], "model"])
        assert None not in wire, "each end takes the other"
        ids = shown.load(loop(key, gates="5", watched=False))
        wire = shown.page.evaluate(PUT_BETWEEN, [ids["model"], ids["sampler"], "loop_model"])
        assert None not in wire, "each end takes the other"
        shown.page.evaluate(  # and it is on it still in the workflow as it is saved
            """async () => {
                const saved = JSON.parse(JSON.stringify(app.graph.serialize()));
                await app.loadGraphData(saved, true, true, "Wire");
            }"""
        )
        shown.show(ids["sampler"])
        job_id = shown.queue()
        served.wait_at_gate(key, 5)
        # The first Nodes 2.0 do not draw a widget that a node gets after its wires were changed.
        place = opened_card(shown, job_id) if (shown.version, renderer) == (FRONTENDS[0], "nodes2") else None
        shown.state("running", place)
        shown.verb("primary", place).click()
        shown.state("paused", place)
        job = served.job(job_id)
        assert (job["node_id"], job["evaluations"], job["held"]) == (ids["sampler"], 4, False)
        shown.picture(f"wire-{renderer}-{shown.version}")
        shown.verb("primary", place).click()
        served.wait_for(job_id, "completed")


def opened_card(shown: Screen, job_id: str) -> Locator:
    """Of a job, in the panel."""
    card = shown.open_panel().locator(f'[data-job="{job_id}"]')
    card.hover()
    return card


@pytest.fixture(scope="module")
def page_of_examples(oldest_or_newest: Comfy, browser: Browser) -> Iterator[Screen]:
    with screen(browser, oldest_or_newest, "nodes2") as shown:
        yield shown


@pytest.mark.parametrize("name", examples.names())
def test_an_example_opens_as_it_was_saved(served: Comfy, page_of_examples: Screen, name: str) -> None:
    workflow = examples.saved(name)
    output = page_of_examples.page.evaluate(
        """async workflow => {
            await app.loadGraphData(workflow, true, true, 'Example');
            return (await app.graphToPrompt()).output;
        }""",
        workflow,
    )
    page_of_examples.picture(f"example-{name}")
    page_of_examples.check()
    plain = {key: {part: node[part] for part in ("class_type", "inputs")} for key, node in output.items()}
    assert plain == examples.as_prompt(served, workflow)


# -- core's own panels ---------------------------------------------------------------------------------------


def test_a_parked_and_resumed_job_is_one_row_of_core_s_panels(
    oldest_or_newest: Comfy, browser: Browser
) -> None:
    served = oldest_or_newest
    with screen(browser, served, "canvas") as shown:
        if shown.version != FRONTENDS[0] and served.call("GET", "/api/jobs")[0] == 404:
            pytest.skip("This ComfyUI is older than what the panels of this frontend read.")
        shown.load(graph("rows", gates="4", queue_policy="park"))
        job_id = shown.queue()
        served.wait_at_gate("rows", 4)
        one_row(shown, job_id, "running")
        served.verb(job_id, "pause", query="?wait=30")
        served.until(lambda: served.job(job_id)["held"] is False, "the job to make way")
        assert len(rows(shown, job_id)) <= 1, "nothing says that it runs"
        served.verb(job_id, "resume")
        served.wait_for(job_id, "completed")
        one_row(shown, job_id, "completed")
        shown.picture(f"core-{shown.version}")
        shown.page.reload()
        ready(shown.page)
        one_row(shown, job_id, "completed")


def one_row(shown: Screen, job_id: str, state: str) -> None:
    """Wait until there is one, and it says that."""
    shown.comfy.until(lambda: rows(shown, job_id) == [state], f"one row that says {state}")


def rows(shown: Screen, job_id: str) -> list[str]:
    """What the frontend's own list of tasks has of a job, once it has read it again."""
    found = shown.page.evaluate(
        """async () => {
            const pinia = document.querySelector("#vue-app").__vue_app__.config.globalProperties.$pinia;
            const queue = pinia._s.get("queue");
            await queue.update();
            return queue.tasks.map(task => [task.promptId ?? task.jobId, task.displayStatus]);
        }"""
    )
    runs = shown.comfy.job(job_id)["prompt_ids"]
    return [state.lower() for run, state in found if run in runs]
