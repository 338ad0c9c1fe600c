"""Midrun in a browser: where jobs sample, and what is left behind."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

import graphs
from browser import RENDERERS, Screen, graph, needs_chromium, screen
from harness import Comfy

pytestmark = needs_chromium


# -- several samplers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("renderer", RENDERERS)
def test_two_sampling_nodes_of_one_workflow_show_each_their_part(
    newest: Comfy, browser: Browser, renderer: str
) -> None:
    key = f"two-{renderer}"
    both = graph(key, gates="2,6", steps=4)
    second = {**both["sampler"]["inputs"], "latent_image": ["sampler", 0], "denoise": 1.0}
    both["again"] = graphs.node("MidrunKSampler", **second)
    both["save"] = graphs.node("SaveLatent", samples=["again", 0], filename_prefix="latents/test")
    with screen(browser, newest, renderer) as shown:
        ids = shown.load(both)
        shown.show(ids["sampler"], 0.7)
        job_id = shown.queue()
        newest.wait_at_gate(key, 2)
        expect(state_of(shown, ids["sampler"])).to_have_attribute("data-state", "running")
        expect(state_of(shown, ids["again"])).to_have_attribute("data-state", "elsewhere")
        newest.open_gate(key, 2)
        newest.wait_at_gate(key, 6)
        expect(state_of(shown, ids["sampler"])).to_have_attribute("data-state", "nodeDone")
        expect(state_of(shown, ids["again"])).to_have_attribute("data-state", "running")
        shown.picture(f"two-{renderer}")
        widget(shown, ids["again"]).locator('[data-verb="primary"]').click()
        expect(state_of(shown, ids["again"])).to_have_attribute("data-state", "paused")
        job = newest.wait_for(job_id, "paused")
        assert (job["node_id"], job["step"]) == (ids["again"], 1)
        newest.verb(job_id, "resume")
        newest.wait_for(job_id, "completed")
        for name in ("sampler", "again"):
            expect(state_of(shown, ids[name])).to_have_attribute("data-state", "completed")


@pytest.mark.parametrize("renderer", RENDERERS)
def test_two_instances_of_one_subgraph_share_a_node_that_shows_both(
    newest: Comfy, browser: Browser, renderer: str
) -> None:
    key = f"instances-{renderer}"
    with screen(browser, newest, renderer) as shown:
        ids = shown.load(graph(key, gates="2,6", steps=4))
        hosts = shown.page.evaluate(TWO_INSTANCES, [ids["sampler"], ids["save"]])
        shown.step_inside()
        job_id = shown.queue()
        newest.wait_at_gate(key, 2)
        first = newest.job(job_id)["node_id"]
        shown.state("running")
        expect(shown.node).to_contain_text("step 1 / 4")
        newest.open_gate(key, 2)
        newest.wait_at_gate(key, 6)
        second = newest.job(job_id)["node_id"]
        assert {first.split(":")[0], second.split(":")[0]} == {*hosts}
        shown.state("running")
        shown.verb("primary").click()
        shown.state("paused")
        assert newest.wait_for(job_id, "paused")["node_id"] == second
        expect(shown.page.locator(".midrun-node")).to_have_count(1)
        shown.until_step_is_seen(job_id, 1)
        shown.verb("primary").click()
        newest.wait_for(job_id, "completed")
        shown.state("completed")


# The sampler becomes a subgraph, and an instance of it more comes after it. The ids of both.
TWO_INSTANCES = """([sampler, save]) => {
    const graph = app.rootGraph ?? app.graph;
    const inner = graph.getNodeById(sampler);
    const origins = inner.inputs.map((input, slot) =>
        [input.name, inner.getInputNode(slot)?.id, inner.getInputLink(slot)?.origin_slot]);
    graph.convertToSubgraph(new Set([inner]));
    const host = graph._nodes.find(node => node.subgraph);
    for (const input of [...host.subgraph.inputs])  // a seed's widget is made an input of the subgraph
        if (!origins.some(([name, id]) => name === input.name && id !== undefined))
            host.subgraph.removeInput(input);
    const other = host.clone();
    graph.add(other);
    other.pos = [host.pos[0] + 400, host.pos[1]];
    for (const [name, id, from] of origins) {
        const slot = other.inputs.findIndex(input => input.name === name);
        if (id === undefined || slot < 0) continue;
        const latent = name === "latent_image";
        (latent ? host : graph.getNodeById(id)).connect(latent ? 0 : from, other, slot);
    }
    other.connect(0, graph.getNodeById(save), 0);
    return [String(host.id), String(other.id)];
}"""


def test_a_node_that_samples_four_times_shows_each_of_them(newest: Comfy, browser: Browser) -> None:
    with screen(browser, newest, "nodes2") as shown:
        tiles = graphs.tiles(graphs.behind_attach(graph("tiles", gates="2,8", watched=False)))
        tiles["sampler"]["inputs"]["model"] = ["attach", 0]
        ids = shown.load(tiles)
        shown.show(ids["sampler"])
        shown.expected = "/preview?"  # of a call whose pictures went when those of the next came
        job_id = shown.queue()
        newest.wait_at_gate("tiles", 2)
        expect(shown.node).to_contain_text("step 1 / 3")
        newest.open_gate("tiles", 2)
        newest.wait_at_gate("tiles", 8)
        job = newest.job(job_id)
        expect(shown.node).to_contain_text(f"step {job['step']} / {job['total_steps']}")
        shown.verb("primary").click()
        shown.state("paused")
        shown.picture("tiles")
        shown.verb("primary").click()
        newest.wait_for(job_id, "completed")


def widget(shown: Screen, node_id: str) -> Any:
    """The widget of a node on the canvas: in Nodes 2.0 it is in it, else the frontend knows where it is."""
    shown.page.evaluate(
        """id => { const node = app.graph.getNodeById(id);
            node.widgets.find(one => one.name === "midrun").element.dataset.test = id; }""",
        node_id,
    )
    return shown.page.locator(f'[data-test="{node_id}"]')


def state_of(shown: Screen, node_id: str) -> Any:
    return widget(shown, node_id).locator(".midrun-state")


# -- what is left behind -------------------------------------------------------------------------------------

# Counts what our files have begun and not ended: listeners beyond nodes, timers, observers; and the widgets.
COUNT_HELD = """
window.held = { listeners: 0, timers: 0, observers: 0 };
window.widgets = [];
const ours = () => /extensions\\/ComfyUI-Midrun\\//.test(new Error().stack);
const lasting = one => !(one instanceof Node) || one === document || one === document.body;
const listening = new WeakMap();
const { addEventListener, removeEventListener } = EventTarget.prototype;
EventTarget.prototype.addEventListener = function (type, listener, ...more) {
    if (lasting(this) && ours()) window.held.listeners += 1, listening.set(listener, true);
    return addEventListener.call(this, type, listener, ...more);
};
EventTarget.prototype.removeEventListener = function (type, listener, ...more) {
    if (lasting(this) && listener && listening.has(listener)) window.held.listeners -= 1;
    return removeEventListener.call(this, type, listener, ...more);
};
const timers = new Set();
const { setInterval: begin, clearInterval: end } = window;
window.setInterval = (...args) => {
    const id = begin.apply(window, args);
    if (ours()) timers.add(id), window.held.timers += 1;
    return id;
};
window.clearInterval = id => { if (timers.delete(id)) window.held.timers -= 1; return end.call(window, id); };
const Observer = window.MutationObserver;
window.MutationObserver = class extends Observer {
    constructor(...args) { super(...args); if (ours()) this.counted = true, window.held.observers += 1; }
    disconnect() {
        if (this.counted) window.held.observers -= 1, this.counted = false;
        return super.disconnect();
    }
};
const create = document.createElement;
document.createElement = function (...args) {
    const made = create.apply(this, args);
    if (args[0] === "div" && ours()) window.widgets.push(new WeakRef(made));
    return made;
};
"""


@pytest.mark.parametrize("renderer", RENDERERS)
def test_nothing_outlives_its_node(newest: Comfy, browser: Browser, renderer: str) -> None:
    prepare = lambda page: page.add_init_script(COUNT_HELD)  # noqa: E731
    with screen(browser, newest, renderer, prepare=prepare) as shown:
        key = f"left-{renderer}"
        ids = shown.load(graph(key, gates="4"))
        shown.show(ids["sampler"])
        shown.queue()
        newest.wait_at_gate(key, 4)
        shown.verb("primary").click()
        shown.state("paused")
        shown.open_panel()
        shown.verb("primary").click()
        shown.state("completed")
        shown.command("Midrun.TogglePanel")
        shown.tray.wait_for(state="detached")
        shown.page.wait_for_function("window.held.timers === 0 && window.held.observers === 0")
        rest = shown.page.evaluate("({ ...window.held })")
        assert (rest["timers"], rest["observers"]) == (0, 0), "nothing is paused, nothing runs"
        for number in range(8):
            shown.load(graph(f"{key}-{number}"))
        shown.page.evaluate(
            """async () => {
                const at = app.rootGraph ?? app.graph;
                const node = at._nodes.find(one => one.type === "MidrunKSampler");
                at.convertToSubgraph(new Set([node]));
                await app.loadGraphData(at.serialize(), true, true, null);
                app.graph.clear();
            }"""
        )
        shown.load(graph(f"{key}-last"))
        shown.state("idle")
        assert shown.page.evaluate("({ ...window.held })") == rest
        expect(shown.page.locator(".midrun-node")).to_have_count(1)
        session = shown.page.context.new_cdp_session(shown.page)
        session.send("HeapProfiler.collectGarbage")
        left = shown.page.evaluate(
            """() => window.widgets.map(one => one.deref()).filter(
                one => one?.classList.contains("midrun-widget") && one.childElementCount).length"""
        )
        assert left == 1, "the widgets of other graphs are empty or gone"


# -- at a breakpoint on a wire -------------------------------------------------------------------------------


def test_a_breakpoint_shows_what_stands_on_its_wire_and_its_inputs_when_they_are_wanted(
    newest: Comfy, browser: Browser
) -> None:
    with screen(browser, newest, "nodes2") as shown:
        stopping = graph("at-wire", steps=3)
        stopping["stop"] = graphs.node("MidrunBreakpoint", value=["sampler", 0])
        stopping["save"]["inputs"]["samples"] = ["stop", 0]
        ids = shown.load(stopping)
        shown.show(ids["stop"])
        at_wire = shown.page.locator(".midrun-at-wire:visible")
        expect(at_wire).to_contain_text("While a job is paused here")
        job_id = shown.queue()
        newest.wait_for(job_id, "paused")
        loaded = "[...document.querySelectorAll('.midrun-at-wire img')].some(one => one.naturalWidth > 0)"
        shown.page.wait_for_function(loaded)
        shape = "×".join(map(str, newest.job(job_id)["wires"]["values"][0]["shape"]))
        expect(at_wire).to_contain_text(f"LATENT · {shape}float32 · cpu")
        shown.open_panel().locator(f'[data-job="{job_id}"] .midrun-open').click()
        expect(shown.tray.locator('[data-wire="value"]')).to_contain_text("mean")
        shown.picture("at-wire")
        node = shown.page.locator(f'[data-node-id="{ids["stop"]}"]')
        expect(node).not_to_contain_text("stops")
        shown.verb("options", at_wire).click()
        expect(node).to_contain_text("stops")
        shown.verb("primary", at_wire).click()
        newest.wait_for(job_id, "completed")
        expect(at_wire).to_contain_text("While a job is paused here")
