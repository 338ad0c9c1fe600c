// What follows from a change of the model: what is read, told, listened to, and when time goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createEffects } from "../../web/comfyui/effects.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { createStore } from "../../web/ui/store.js";
import { soon, whenQuiet, whileWanted } from "../../web/ui/schedule.js";
import { readTab } from "../../web/views/tabs.js";
import { job } from "./jobs.mjs";

/** Effects on a store; `did` is what they asked for, in order, each as "name argument ...". */
function effects(context) {
  context.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  const did = [];
  const note =
    (name) =>
    (...args) =>
      void did.push([name, ...args].join(" "));
  const reads = ["params", "events", "telemetry", "previews", "usage", "refresh", "poll", "more", "others", "queue"];
  const verbs = [...reads, "unfinished", "compareCanvas", "compareJobs"];
  const actions = Object.fromEntries(verbs.map((name) => [name, note(name)]));
  const listeners = new Set();
  let [now, workflow] = [1000, "w"];
  const page = {
    t: (key) => key,
    clock: () => now,
    isHidden: () => false,
    needTexts() {},
    names: () => ({ w: "Tides" }),
    storedNames: () => ({}),
    toast: note("toast"),
    ring: note("ring"),
    countOnTab: note("count"),
    onGraphChanged: (listener) => (listeners.add(listener), () => listeners.delete(listener)),
    ports: { workflowId: () => workflow },
  };
  const store = createStore(reduce, initial);
  const made = createEffects({
    store,
    actions,
    page,
    widgets: { follow() {} },
    badges: { show: (changes) => changes.length && note("badges")(changes.length) },
    bar: { look: () => {} },
    overlays: note("overlays"),
    markTitle: note("title"),
    readTab,
  });
  store.subscribe(made.changed);
  return {
    ...made,
    store,
    dispatch: store.dispatch,
    tell: (id, changed) => store.dispatch({ type: "job", job: job(id, changed), at: now }),
    /** What was done since it was asked last, of these. */
    done: (...names) => did.splice(0).filter((one) => names.includes(one.split(" ")[0])),
    wait(ms) {
      now += ms;
      context.mock.timers.tick(ms);
    },
    changeGraph: () => listeners.forEach((listener) => listener()),
    listeners,
    go: (id) => (workflow = id),
  };
}

const later = (minute) => `2026-01-01T00:0${minute}:00Z`;
const READ = ["params", "events", "telemetry"];

test("a tab reads what it shows when the job is opened and when the tab is chosen", (context) => {
  const { tell, dispatch, done } = effects(context);
  tell("a", { state: "paused" });
  dispatch({ type: "open", job_id: "a" });
  assert.deepEqual(done(...READ), ["params a"]);
  for (const [tab, read] of Object.entries({ log: "events", chart: "telemetry", breakpoints: "params" })) {
    dispatch({ type: "tray", tab });
    assert.deepEqual(done(...READ), [`${read} a`], tab);
  }
  dispatch({ type: "tray", top: 5 });
  dispatch({ type: "open", job_id: null });
  assert.deepEqual(done(...READ), []);
});

test("what is open is read again when the job pauses, is edited or moved, and not at each step", (context) => {
  const { tell, dispatch, done } = effects(context);
  tell("a", { step: 1 });
  dispatch({ type: "open", job_id: "a", tab: "log" });
  done();
  tell("a", { step: 2, updated_at: later(2) });
  assert.deepEqual(done(...READ), []);
  tell("a", { step: 2, state: "paused", updated_at: later(3) });
  assert.deepEqual(done(...READ), ["events a"]);
  tell("a", { step: 1, state: "paused", updated_at: later(4) });
  assert.deepEqual(done(...READ), ["events a"], "after a rewind");
  const modified_params = { 3: { cfg: { from: 7, to: 8, from_step: null } } };
  tell("a", { step: 1, state: "paused", modified_params, updated_at: later(5) });
  assert.deepEqual(done(...READ), ["events a"]);
});

test("what other servers have is read now and then while the panel shows it", (context) => {
  const { dispatch, done, wait } = effects(context);
  dispatch({ type: "tray", shown: true });
  wait(30_000);
  assert.deepEqual(done("others"), [], "there is no store");
  dispatch({ type: "tray", shares: true });
  wait(20_000);
  assert.deepEqual(done("others"), Array(4).fill("others"));
  dispatch({ type: "tray", shown: false });
  wait(30_000);
  assert.deepEqual(done("others"), []);
});

test("time goes on while a job runs, and stops with the last one", (context) => {
  const { tell, store, done, wait } = effects(context);
  wait(3000);
  assert.equal(store.get().now, 0);
  tell("a", {});
  done();
  wait(1000);
  assert.equal(store.get().now, 5000);
  assert.deepEqual(done("poll"), ["poll"]);
  tell("a", { state: "completed", updated_at: later(2) });
  wait(5000);
  assert.equal(store.get().now, 5000);
});

test("the canvas is compared while a job of its workflow stands, once it was left alone", (context) => {
  const { tell, done, wait, changeGraph, listeners, go, graphChanged } = effects(context);
  tell("a", {});
  assert.equal(listeners.size, 0);
  tell("a", { state: "paused", updated_at: later(2) });
  assert.equal(listeners.size, 1);
  wait(200);
  changeGraph();
  wait(200);
  assert.deepEqual(done("compareCanvas"), []);
  wait(100);
  assert.deepEqual(done("compareCanvas"), ["compareCanvas a"]);
  go("other");
  graphChanged();
  changeGraph();
  wait(1000);
  assert.deepEqual([listeners.size, done("compareCanvas")], [0, []]);
});

test("the nodes that differ have badges until another graph is on screen", (context) => {
  const { tell, dispatch, done, go, graphChanged, store } = effects(context);
  tell("a", { state: "paused" });
  const changes = [{ node_id: "3", input: "cfg", title: "", from: 1, to: 2 }];
  dispatch({ type: "canvas", job_id: "a", changes });
  assert.deepEqual(done("badges"), ["badges 1"]);
  go("other");
  graphChanged();
  assert.deepEqual([done("badges"), store.get().canvas], [[], {}]);
});

test("the user is told of a job that paused by itself or failed, and not of one that was asked to", (context) => {
  const { tell, done } = effects(context);
  tell("a", {});
  tell("a", { state: "paused", pause_reason: "user", updated_at: later(2) });
  assert.deepEqual(done("toast", "title").at(-1), "title true");
  tell("a", { updated_at: later(3) });
  assert.deepEqual(done("toast", "title"), ["title false"]);
  tell("a", { state: "paused", pause_reason: "nan", updated_at: later(4) });
  tell("a", { updated_at: later(5) });
  tell("a", { state: "failed", updated_at: later(6) });
  assert.deepEqual(
    done("toast").map((one) => one.split(" ")[1]),
    ["warn", "error"],
  );
});

test("what paused by itself, failed or is done rings; of drafts there is no toast", (context) => {
  const { tell, done } = effects(context);
  tell("a", {});
  tell("a", { state: "paused", pause_reason: "user", updated_at: later(2) });
  tell("b", { grid: "g" });
  const breakpoints = [{ id: "draft", kind: "step", value: 2, enabled: true }];
  tell("b", { grid: "g", breakpoints, state: "paused", pause_reason: "breakpoint", updated_at: later(2) });
  assert.deepEqual(done("toast", "ring"), []);
  tell("a", { state: "completed", updated_at: later(3) });
  tell("b", { grid: "g", state: "failed", updated_at: later(3) });
  assert.deepEqual(
    done("toast", "ring").map((one) => one.split(" ")[0]),
    ["ring", "ring", "toast"],
  );
});

test("the next page is read near the end of the list, and only there", async (context) => {
  const { dispatch, trayDrawn, done } = effects(context);
  const jobs = Array.from({ length: 100 }, (_, at) => job(`j${at}`));
  dispatch({ type: "jobs", jobs, next: "more", first: true, since: 0, at: 1 });
  dispatch({ type: "tray", shown: true, top: 0, height: 600 });
  trayDrawn();
  await null;
  assert.deepEqual(done("more"), []);
  dispatch({ type: "tray", top: 80 * 92 });
  trayDrawn();
  await null;
  assert.deepEqual(done("more"), ["more"]);
});

test("dialogs have their place while one is open, and a reload reads the pictures of each sampler once", (context) => {
  const { tell, dispatch, done } = effects(context);
  tell("a", { sampler_nodes: ["3", "4"], preview_url: "p" });
  tell("a", { sampler_nodes: ["3", "4"], preview_url: "q", updated_at: later(2) });
  assert.deepEqual(done("previews"), ["previews a"]);
  dispatch({ type: "abortDialog", job_id: "a" });
  assert.deepEqual(done("overlays"), ["overlays true"]);
  dispatch({ type: "abortDialog", job_id: null });
  assert.deepEqual(done("overlays"), ["overlays false"]);
});

test("what is wanted for a while starts once and stops once", () => {
  const did = [];
  const wanted = whileWanted(() => (did.push("start"), () => did.push("stop")));
  for (const now of [false, true, true, false, false, true]) wanted(now);
  assert.deepEqual(did, ["start", "stop", "start"]);
});

test("what is asked for often is done once: soon after the first time, or once it is quiet", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const did = [];
  const first = soon(100, () => did.push("soon"));
  const last = whenQuiet(100, () => did.push("quiet"));
  for (let at = 0; at < 3; at += 1) {
    first();
    last.ask();
    context.mock.timers.tick(60);
  }
  assert.deepEqual(did, ["soon"]);
  context.mock.timers.tick(60);
  assert.deepEqual(did, ["soon", "soon", "quiet"]);
  last.ask();
  last.cancel();
  context.mock.timers.tick(1000);
  assert.equal(did.filter((one) => one === "quiet").length, 1);
});

test("how many jobs stand is counted on the sidebar's icon, and asked for when it changes", (context) => {
  const { tell, dispatch, done } = effects(context);
  const choice = { node_id: "9", kind: "image", count: 4, most: 1, otherwise: "all", version: "a" };
  tell("a", { state: "paused", pause_reason: "choice", choice, updated_at: later(1) });
  tell("b", { state: "running", updated_at: later(1) });
  assert.deepEqual(done("count", "queue"), ["count 1", "queue"]);
  dispatch({ type: "several", standing: 3 }); // of which this page has read one
  assert.deepEqual(done("count", "queue"), ["count 3"]);
  dispatch({ type: "several", standing: 0 });
  tell("b", { state: "paused", updated_at: later(2) });
  assert.deepEqual(done("count", "queue"), ["count 1", "count 2", "queue"]);
  tell("a", { state: "queued", choice: null, updated_at: later(2) });
  tell("b", { state: "running", updated_at: later(3) });
  assert.deepEqual(done("count"), ["count 1", "count 0"]);
});

const LOOKS = ["queue", "unfinished", "refresh"];

test("that ComfyUI's queue changed is looked into where something stands, and in the panel", (context) => {
  const { tell, dispatch, done, wait, queueChanged } = effects(context);
  const changed = () => (queueChanged(), queueChanged(), wait(250), done(...LOOKS));
  assert.deepEqual(changed(), [], "nothing is known");
  tell("a", {});
  assert.deepEqual(changed(), [], "nothing stands");
  tell("a", { state: "paused", updated_at: later(2) });
  done();
  assert.deepEqual(changed(), ["queue", "unfinished"]);
  tell("a", { state: "completed", updated_at: later(3) });
  done();
  assert.deepEqual(changed(), []);
  dispatch({ type: "several", standing: 1 }); // of which this page has read nothing
  assert.deepEqual(changed(), ["queue", "unfinished"]);
  dispatch({ type: "several", standing: 0 });
  dispatch({ type: "tray", shown: true });
  assert.deepEqual(changed(), ["queue", "refresh"]);
});

test("what stands is looked after now and then: not all that becomes of it changes ComfyUI's queue", (context) => {
  const { tell, dispatch, done, wait } = effects(context);
  tell("a", { state: "paused" });
  done();
  wait(20_000);
  assert.deepEqual(done(...LOOKS), ["queue", "unfinished", "queue", "unfinished"]);
  dispatch({ type: "offline", offline: true });
  wait(20_000);
  assert.deepEqual(done(...LOOKS), [], "there is no server");
  dispatch({ type: "offline", offline: false });
  dispatch({ type: "gone", job_ids: ["a"] });
  done();
  wait(20_000);
  assert.deepEqual(done(...LOOKS), []);
});

test("where there are no jobs, one request is all; else it is counted what stands beyond those read", async (context) => {
  const { tell, dispatch, done, readAll } = effects(context);
  await readAll();
  assert.deepEqual(done(...LOOKS, ...READ), ["refresh"]);
  tell("a", { state: "completed" });
  await readAll();
  assert.deepEqual(done(...LOOKS, ...READ), ["refresh", "queue"]);
  dispatch({ type: "timeline", shown: true });
  dispatch({ type: "open", job_id: "a", tab: "log" });
  done();
  await readAll();
  assert.deepEqual(done("previews", ...READ), ["previews a", "telemetry a", "events a", "events a"]);
});

/** Effects with the timeline of job "a" on screen; `told` is what was read of it once the job became that. */
function onTimeline(context) {
  const made = effects(context);
  let minute = 0;
  made.tell("a", {});
  made.dispatch({ type: "timeline", shown: true });
  made.done();
  const tell = (changed) => made.tell("a", { updated_at: later((minute += 1)), ...changed });
  const told = (changed) => (tell(changed), made.wait(250), made.done("telemetry", "previews"));
  return { ...made, tell, told };
}
const FILLED = ["previews a", "telemetry a"];

test("the timeline reads anew what passed unheard: several steps, another node, what a job stopped with", (context) => {
  const { told, tell, wait, done } = onTimeline(context);
  assert.deepEqual(told({ step: 3 }), []);
  assert.deepEqual(told({ step: 3, sigma: 1 }), []);
  assert.deepEqual(told({ step: 5 }), FILLED);
  tell({ step: 7 });
  tell({ step: 9 });
  assert.deepEqual(done(...FILLED.map((one) => one.split(" ")[0])), [], "a little later");
  wait(250);
  assert.deepEqual(done("telemetry", "previews"), FILLED, "once");
  assert.deepEqual(told({ step: 1, node_id: "4" }), FILLED);
  assert.deepEqual(told({ step: 1, node_id: "4", state: "paused" }), FILLED);
  assert.deepEqual(told({ step: 1, node_id: "4" }), []);
  assert.deepEqual(told({ step: 2, node_id: "4", state: "completed" }), FILLED);
});

test("the timeline reads a picture that was announced and did not come, and no other", (context) => {
  const { tell, dispatch, told, wait, done } = onTimeline(context);
  assert.deepEqual(told({ step: 3, preview_url: "3" }), FILLED);
  assert.deepEqual(told({ step: 4, preview_url: "3" }), [], "it was asked for");
  tell({ step: 5, preview_url: "5" });
  const preview = { job_id: "a", node_id: "3", step: 5, url: "5", created_at: later(5) };
  dispatch({ type: "preview", preview });
  wait(250);
  assert.deepEqual(done("telemetry", "previews"), []);
});
