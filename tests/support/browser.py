"""A real Chromium on a real ComfyUI: pages that fail a test on any error of ours, and what to do in them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright, ViewportSize

import graphs
from harness import Comfy

FRONTENDS = ("1.32.9", "1.49.6", "1.58.1")
RENDERERS = ("canvas", "nodes2")
IN_THE_PANEL = RENDERERS[:1]  # for what the panel alone shows: it is the same in each
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # not by routes, which wait for the test
]
READY_MS = 60_000
SIZE: ViewportSize = {"width": 1280, "height": 860}
STORED = "cookies,local_storage,indexeddb,cache_storage,service_workers"
# Marks the warnings and errors, deprecations above all, that a call of our files leads to.
TELL_OURS = """
for (const level of ["warn", "error"]) {
    const real = console[level];
    console[level] = function (...told) {
        const ours = /extensions\\/(ComfyUI-Midrun|midrun)\\//.test(new Error().stack);
        return ours ? real.call(this, "[by midrun]", ...told) : real.apply(this, told);
    };
}
"""
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
SLOW = {"seconds": 0.15}


def chromium() -> str | None:
    return os.environ.get("MIDRUN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


needs_chromium = pytest.mark.skipif(
    chromium() is None and not os.environ.get("CI"),
    reason="There is no Chromium: install Debian's package chromium, or set MIDRUN_CHROMIUM to a browser.",
)


def frontend_root(version: str) -> Path:
    """Where dev.py unpacked that frontend."""
    return Path(os.environ["MIDRUN_FRONTENDS"]) / version / "comfyui_frontend_package" / "static"


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium(), args=FLAGS)


@dataclass
class Screen:
    """One page on one server, and what went wrong in it."""

    page: Page
    comfy: Comfy
    renderer: str
    errors: list[str] = field(default_factory=list)
    expected: str = "\0"  # what an error may say that the test provokes

    # -- ComfyUI ---------------------------------------------------------------------------------------

    def load(self, graph: graphs.Graph, name: str = "Test") -> dict[str, str]:
        """Put a workflow on the canvas; the graph's names -> node ids."""
        ids = {key: str(number) for number, key in enumerate(graph, 1)}
        prompt = {ids[key]: _linked(node, ids) for key, node in graph.items()}
        self.page.evaluate(
            """async ([prompt, name]) => {
                await app.loadApiJson(prompt, name);
                const workflow = (app.rootGraph ?? app.graph).serialize();
                workflow.id = crypto.randomUUID();
                const nodes = workflow.nodes;
                for (const node of nodes)  // what a seed does after queueing is a test's business
                    node.widgets_values = (node.widgets_values ?? []).map(
                        value => value === 'randomize' ? 'fixed' : value);
                const place = at => [40 + 330 * (at % 4), 60 + 480 * Math.floor(at / 4)];
                nodes.forEach((node, at) => { node.pos = place(at); });
                await app.loadGraphData(workflow, true, true, name);
            }""",
            [prompt, name],
        )
        return ids

    def queue(self) -> str:
        """Queue what is on the canvas as the button does; the job's id."""
        before = {job["job_id"] for job in self.comfy.get("/midrun/jobs?limit=500")["jobs"]}
        self.page.evaluate("app.queuePrompt(0, 1)")
        newest = lambda: [  # noqa: E731
            job["job_id"]
            for job in self.comfy.get("/midrun/jobs?limit=500")["jobs"]
            if job["job_id"] not in before
        ]
        return self.comfy.until(newest, "the prompt to become a job")[0]

    def run(self) -> None:
        """Press ComfyUI's button, and close what ComfyUI tells above it: of an old frontend, say."""
        close = self.page.locator(".p-toast-close-button").first
        self.page.add_locator_handler(close, lambda button: button.click())
        self.page.get_by_role("button", name="Run", exact=True).first.click()
        self.page.remove_locator_handler(close)

    def show(self, node_id: str, scale: float = 1.0) -> None:
        """Bring a node into sight, and wait until it is drawn there."""
        self.page.evaluate(
            """async ([id, scale]) => {
                const graph = app.canvas.graph ?? app.graph;
                const node = graph.getNodeById(id) ?? graph.getNodeById(Number(id));
                app.canvas.ds.scale = scale;
                app.canvas.ds.offset[0] = -node.pos[0] + 420 / scale;
                app.canvas.ds.offset[1] = -node.pos[1] + 90 / scale;
                app.canvas.setDirty(true, true);
                for (const frame of [1, 2]) await new Promise(requestAnimationFrame);
            }""",
            [node_id, scale],
        )

    def step_inside(self) -> None:
        """Open the subgraph that has the sampler in it, and bring that into sight."""
        self.page.evaluate(
            """async () => {
                const root = app.rootGraph ?? app.graph;
                const host = root._nodes.find(node => node.subgraph);
                app.canvas.openSubgraph(host.subgraph, host);
                const node = host.subgraph._nodes.find(node => node.type === "MidrunKSampler");
                app.canvas.ds.scale = 1;
                app.canvas.ds.offset[0] = -node.pos[0] + 420;
                app.canvas.ds.offset[1] = -node.pos[1] + 90;
                app.canvas.setDirty(true, true);
                for (const frame of [1, 2]) await new Promise(requestAnimationFrame);
            }"""
        )

    def command(self, name: str) -> None:
        self.page.evaluate("name => app.extensionManager.command.execute(name)", name)

    # -- Midrun ----------------------------------------------------------------------------------------

    @property
    def node(self) -> Locator:
        return self.page.locator(".midrun-node:visible").first

    @property
    def tray(self) -> Locator:
        return self.page.locator(".midrun-panel-root")

    @property
    def dialog(self) -> Locator:
        return self.page.locator("dialog.midrun-dialog[open]")

    def verb(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.node).locator(f'[data-verb="{name}"]').first

    def state(self, state: str, within: Locator | None = None) -> None:
        """Wait until it shows that state."""
        mark = (within or self.node).locator(f'.midrun-state[data-state="{state}"]')
        mark.first.wait_for(timeout=20_000)

    def until_step_is_seen(self, job_id: str, step: int, within: Locator | None = None) -> None:
        """Wait until the picture of that step is there and loaded."""
        place = ".midrun-panel-root" if within is not None else ".midrun-node"
        self.page.wait_for_function(
            """([place, job, step]) => [...document.querySelectorAll(`${place} [data-verb=view] img`)].some(
                one => one.naturalWidth > 0 && one.src.includes(job) && one.src.includes(`step=${step}&`))""",
            arg=[place, job_id, step],
        )

    @property
    def version(self) -> str:
        """Of the frontend."""
        return next((one for one in FRONTENDS if f"/{one}/" in " ".join(self.comfy.args)), "")

    def open_panel(self) -> Locator:
        if not self.tray.is_visible():
            self.command("Midrun.TogglePanel")
            self.tray.wait_for()
        return self.tray

    def picture(self, name: str) -> None:
        """Keep a screenshot where MIDRUN_SCREENSHOTS says; dev.py keeps them in its environment."""
        place = os.environ.get("MIDRUN_SCREENSHOTS")
        if place:
            Path(place).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(place) / f"{name}.png"))

    def check(self) -> None:
        assert self.errors == [], self.errors


@contextmanager
def screen(
    browser: Browser,
    comfy: Comfy,
    renderer: str,
    settings: dict[str, Any] | None = None,
    prepare: Callable[[Page], Any] | None = None,
    **context: Any,
) -> Iterator[Screen]:
    """A page, loaded, with nothing of an earlier test. Fails at its end on an error of ours.

    The tab of the test before is used again, as it has compiled the frontend already; a new one where
    `prepare` or options of the context are given.
    """
    chosen = {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": renderer == "nodes2"}
    chosen |= {"Comfy.Locale": "en", "Comfy.ColorPalette": "dark"}
    comfy.post("/api/settings", chosen | (settings or {}))
    again = prepare is None and not context
    tab = _TABS.pop(browser, None) if again else None
    tab = tab or _Tab(browser.new_context(viewport=SIZE, **context).new_page())
    page = tab.page
    shown = tab.shown = Screen(page, comfy, renderer)
    if prepare is not None:
        prepare(page)
    tab.forget(comfy.url)
    page.set_viewport_size(SIZE)
    page.goto(comfy.url)
    wait_until_ready(page)
    try:
        yield shown
        shown.check()
        if again:
            _TABS[browser] = tab
    except BaseException:
        shown.picture(f"failed-{renderer}-{os.getpid()}")
        comfy.clear()
        raise
    finally:
        if _TABS.get(browser) is not tab:
            page.context.close()


class _Tab:
    """Of a browser, and whose errors are heard there now."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.shown: Screen | None = None
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.shown and _uncaught(self.shown, str(error.stack or error)))
        page.on("console", lambda message: self.shown and _listen(self.shown, message))
        page.on("dialog", lambda dialog: dialog.accept())  # a workflow that is left unsaved
        page.add_init_script(TELL_OURS)

    def forget(self, origin: str) -> None:
        """What an earlier page of that server has stored."""
        shown, self.shown = self.shown, None
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.goto("about:blank")
        session = self.page.context.new_cdp_session(self.page)
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": STORED})
        session.detach()
        self.shown = shown


_TABS: WeakKeyDictionary[Browser, _Tab] = WeakKeyDictionary()


def wait_until_ready(page: Page) -> None:
    page.wait_for_function(
        """() => window.app?.extensionManager?.command?.commands?.some?.(
            command => command.id === 'Workspace.ToggleSidebarTab.midrun')""",
        timeout=READY_MS,
    )


def _uncaught(shown: Screen, told: str) -> None:
    """Newer frontends fetch a WebAssembly module from a data URL, which a strict policy forbids."""
    if "__wbg_init" not in told:
        shown.errors.append(f"uncaught: {told}")


def _listen(shown: Screen, message: ConsoleMessage) -> None:
    """Errors and warnings that name us or come from our files; the frontend has some of its own.

    One of them is that it may not ask the registry about the packs of a workflow.
    """
    told = f"{message.type}: {message.text} ({message.location.get('url', '')})"
    ours = re.search(r"midrun(?!ksampler|attach)", told, re.IGNORECASE)
    if "https://api.comfy.org/" in told:
        return
    if message.type in ("error", "warning") and ours and shown.expected not in told:
        shown.errors.append(told)


def graph(key: str, gates: str = "", **more: Any) -> graphs.Graph:
    return graphs.base(key=key, gates=gates, **{"steps": 10, "cfg": 4.0, "probe": SLOW} | more)


def edits(comfy: Comfy, job_id: str) -> dict[str, Any]:
    """What the server has recorded of edits: node -> input -> (value, step it applies from)."""
    job = comfy.job(job_id)
    return {
        f"{node}.{name}": (edit["to"], edit["from_step"])
        for node, named in job["modified_params"].items()
        for name, edit in named.items()
    }


def _linked(node: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """Node names in links become ids."""
    inputs = {
        name: [ids[value[0]], value[1]] if isinstance(value, list) else value
        for name, value in node["inputs"].items()
    }
    return {**node, "inputs": inputs}
