// Where people look: the sidebar's icon, beside Run, the toolbox of a selected node, the page "About".
import assert from "node:assert/strict";
import { test } from "node:test";
import { aboutBadges } from "../../web/comfyui/about.js";
import { createActionBar } from "../../web/comfyui/action_bar.js";
import { toolboxCommands } from "../../web/comfyui/toolbox.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { jobsOf, living } from "../../web/model/select.js";
import { inFront, standing } from "../../web/model/select_places.js";
import { createStore } from "../../web/ui/store.js";
import { job } from "./jobs.mjs";

const told = (id, more) => ({ type: "job", job: job(id, more), at: 1 });
const after = (...actions) => actions.reduce(reduce, initial);
const of = (id) => ({ workflow: { id, name: null } });
const choice = { node_id: "9", kind: "image", count: 4, most: 1, otherwise: "all", until: null, paints: false, version: "" };

test("what stands is counted, also what this page has not read", () => {
  const read = [told("a", { state: "paused" }), told("b", { state: "running" }), told("c", { state: "failed" })];
  assert.equal(standing(after(...read)), 1);
  assert.equal(standing(after(...read, { type: "several", standing: 7 })), 7);
});

test("the jobs are looked through once for each change of them, whatever is asked between", () => {
  const before = after(told("a", { state: "paused" }), told("bb", { state: "completed" }));
  const model = reduce(before, told("ccc", { state: "failed" }));
  const [first, then] = [living(before), living(model)];
  assert.deepEqual(then.map((one) => one.job_id), ["ccc", "a"]);
  assert.equal(living(before), first);
  assert.equal(living(reduce(model, { type: "tray", top: 90 })), then);
  assert.deepEqual(jobsOf(model, "w").map((one) => one.job_id), ["ccc", "bb", "a"]);
  assert.deepEqual([jobsOf(model, "other"), jobsOf(model, null)], [[], []]);
});

test("in front is what runs, then what holds its place, then what is paused of the workflow on screen", () => {
  const paused = { state: "paused", held: false };
  const all = [
    told("runs", { state: "running", ...of("x") }),
    told("held", { ...paused, held: true, ...of("y") }),
    told("parked", { ...paused, ...of("z") }),
  ];
  assert.equal(inFront(after(...all), "z").job_id, "runs");
  assert.equal(inFront(after(...all.slice(1)), "z").job_id, "held");
  assert.equal(inFront(after(all[2]), "z").job_id, "parked");
  assert.equal(inFront(after(all[2]), "other"), null);
  assert.equal(inFront(after(told("a", { state: "completed", ...of("z") })), "z"), null);
});

test("beside Run is one button, which the frontend is told to draw anew when it is another", () => {
  const store = createStore(reduce, initial);
  const [tab, did] = [{}, []];
  const page = {
    t: (key) => key,
    hasTexts: () => true,
    onTab: (name) => tab[name],
    setOnTab: (name, value) => (tab[name] = value),
    ports: { workflowId: () => "w" },
  };
  const actions = { pauseOrResume: (id, way) => did.push(`${way} ${id}`) };
  const bar = createActionBar(store, actions, page);
  store.subscribe((model) => bar.look(model));
  const press = () => bar.buttons().forEach((one) => one.onClick());
  assert.deepEqual(bar.buttons(), []);
  const drawn = new Set();
  const steps = [
    ["running", {}],
    ["paused", { held: true }],
    ["paused", { held: true, choice }],
    ["completed", {}],
  ];
  steps.forEach(([state, more], at) => {
    store.dispatch(told("a", { state, ...more, updated_at: `2026-01-01T00:0${at}:00Z` }));
    press();
    drawn.add(tab.midrunInFront);
  });
  assert.deepEqual(did, ["pause a", "resume a", "choose a"]);
  assert.equal(drawn.size, 4);
  assert.deepEqual(bar.buttons(), []);
});

test("the toolbox has what the selected node can do", () => {
  const [sampler, loader, group] = [{ comfyClass: "K" }, { comfyClass: "L" }, {}];
  const widgets = { jobOf: (node) => (node === sampler ? job("a", {}) : null) };
  const breakpoints = { stops: (node) => node === sampler };
  const commands = (item) => toolboxCommands(item, widgets, breakpoints);
  assert.deepEqual(commands(sampler).at(0), "Midrun.PauseOrResume");
  assert.deepEqual(commands(sampler).at(-1), "Midrun.ToggleBreakpoint");
  assert.deepEqual([commands(loader), commands(group), commands(undefined)], [[], [], []]);
});

test("no badge leads to a place that is not there yet, and none to the same twice", () => {
  const here = "http://localhost:8188/extensions/midrun/index.js";
  const [help, ...others] = aboutBadges(here);
  assert.equal(help.url, "http://localhost:8188/extensions/midrun/docs/MidrunKSampler.md");
  assert.deepEqual(others, []);
  const urls = aboutBadges(here, "https://forge.test/midrun").map((one) => one.url);
  assert.equal(new Set(urls).size, 3);
});
