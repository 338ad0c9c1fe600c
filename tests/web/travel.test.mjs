// Time travel and breakpoints: what the page makes of them, and what it asks for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createActions } from "../../web/server/actions.js";
import { Refused } from "../../web/server/client.js";
import * as select from "../../web/model/select_travel.js";
import * as chart from "../../web/model/select_chart.js";
import * as family from "../../web/model/select_family.js";
import * as fork from "../../web/model/select_fork.js";
import { pathKey } from "../../web/model/reducer_editor.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { createStore } from "../../web/ui/store.js";
import { isLeftOver } from "../../web/model/reducer_travel.js";
import { after, job } from "./jobs.mjs";

const told = (one, at = 1000) => ({ type: "job", job: one, at });
const later = (minute) => `2026-01-01T00:0${minute}:00Z`;
const preview = (step, minute = 0) => ({
  job_id: "a",
  node_id: "3",
  step,
  url: `${step}`,
  created_at: later(minute),
});
const input = (value, more = {}) => ({
  value,
  original: value,
  type: "FLOAT",
  options: null,
  multiline: false,
  ...more,
});

test("what a rewind left over is told until another step takes its place, and then goes", () => {
  const back = job("a", {
    state: "paused",
    step: 3,
    take: { node_id: "3", step: 8 },
    updated_at: later(2),
  });
  const previews = [2, 3, 4, 8].map((step) => preview(step));
  let model = after(told(back), { type: "previews", job_id: "a", previews });
  assert.deepEqual(
    model.previews.a.filter((one) => isLeftOver(model.jobs.a, one)).map((one) => one.step),
    [4, 8],
  );
  assert.deepEqual(select.leftOver(model.jobs.a), [0.3, 0.8]);
  model = reduce(model, { type: "preview", preview: { ...preview(4, 3), url: "new" } });
  model = reduce(model, told(job("a", { step: 4, updated_at: later(3) })));
  assert.deepEqual(
    model.previews.a.map((one) => one.url),
    ["2", "3", "new"],
  );
});

test("a rewind that is taken back leaves every picture", () => {
  const back = job("a", { state: "paused", step: 3, take: { node_id: "3", step: 8 } });
  const model = after(
    told(back),
    { type: "previews", job_id: "a", previews: [preview(3), preview(8)] },
    told(job("a", { state: "paused", step: 8, updated_at: later(5) })),
  );
  assert.equal(model.previews.a.length, 2);
});

test("a job is set back from where it stands to an earlier step, or in an earlier node", () => {
  const at = (state, shown) => select.canRewind(job("a", { state, step: 5 }), shown);
  for (const state of ["paused", "failed", "aborted", "completed"])
    assert.ok(at(state, { node_id: "3", step: 4 }));
  for (const state of ["queued", "running", "pausing"]) assert.ok(!at(state, { node_id: "3", step: 4 }));
  assert.ok(!at("paused", { node_id: "3", step: 5 }) && !at("paused", undefined));
  assert.ok(at("paused", { node_id: "2", step: 9 }));
  const take = { node_id: "3", step: 9 };
  assert.ok(select.canUndoRewind(job("a", { state: "paused", take })));
  assert.ok(
    !select.canUndoRewind(job("a", { take })) && !select.canUndoRewind(job("a", { state: "paused" })),
  );
  assert.ok(select.canFork(job("a", { step: 5 }), { node_id: "3", step: 5 }));
  assert.ok(!select.canFork(job("a", { step: 5 }), { node_id: "3", step: 6 }));
});

test("dots stand where it will pause by itself", () => {
  const point = (kind, value, more = {}) => ({
    id: kind + value,
    kind,
    value,
    node_id: null,
    enabled: true,
    action: "pause",
    hits: 0,
    ...more,
  });
  const breakpoints = [
    point("step", 5),
    point("every", 4),
    point("step", 99),
    point("step", 3, { enabled: false }),
    point("step", 2, { node_id: "9" }),
    point("step", 8, { action: "log" }),
    point("nan", null),
  ];
  const marks = select.stepMarks(job("a", { breakpoints }));
  assert.deepEqual(
    marks.map(({ step, logOnly }) => [step, logOnly]),
    [
      [5, false],
      [4, false],
      [8, false],
    ],
  );
  assert.deepEqual(select.stepMarks(job("a", { breakpoints, total_steps: null })), []);
});

test("a breakpoint marks the bar of the node and the iteration that it is for", () => {
  const point = (more) => ({
    id: "a",
    kind: "step",
    value: 4,
    enabled: true,
    action: "pause",
    hits: 0,
    ...more,
  });
  const marked = (more) =>
    select.stepMarks(
      job("a", { node_id: "5.0.0.1_6", display_node_id: "6", iteration: 2, breakpoints: [point(more)] }),
    ).length === 1;
  for (const node_id of [null, "6", "5.0.0.1_6"])
    for (const iteration of [null, undefined, 2]) assert.ok(marked({ node_id, iteration }), node_id);
  assert.ok(!marked({ node_id: "5" }) && !marked({ node_id: "6", iteration: 1 }));
});

test("only what makes sense is a breakpoint", () => {
  const form = (kind, value = "", node_id = "", iteration = "") => ({
    kind,
    value,
    until: "",
    node_id,
    iteration,
    action: "pause",
    timeout: "",
    refused: null,
  });
  const made = (...given) => select.breakpointOf(form(...given));
  assert.deepEqual(made("step", "4"), { kind: "step", value: 4, action: "pause", enabled: true });
  assert.equal(made("sigma_below", "0.5").value, 0.5);
  for (const wrong of ["", "0", "-1", "x", "1.5"]) assert.equal(made("every", wrong), null);
  assert.equal(made("node"), null);
  assert.equal(made("node", "", "7").node_id, "7");
  assert.equal(made("node", "", "7", "2").iteration, 2);
  for (const wrong of ["0", "x", "1.5"]) assert.equal(made("nan", "", "", wrong), null);
  assert.deepEqual(made("nan", "5"), { kind: "nan", action: "pause", enabled: true });
  const asks = (timeout) => ({ ...form("step", "4"), action: "ask", timeout });
  assert.deepEqual(select.breakpointOf(asks("")), { kind: "step", value: 4, action: "ask", enabled: true });
  assert.equal(select.breakpointOf(asks("2.5")).timeout_s, 2.5);
  for (const wrong of ["0.5", "3601", "x"]) assert.equal(select.breakpointOf(asks(wrong)), null);
  assert.equal(select.lackOf(asks("x")), "breakpoint.needs.timeout");
  assert.equal(select.lackOf(form("step")), "breakpoint.needs.step");
  const span = (kind, value, until) => select.breakpointOf({ ...form(kind, value), until });
  const base = { action: "pause", enabled: true };
  assert.deepEqual(span("time", "08:00", "18:30"), { kind: "time", ...base, from: "08:00", to: "18:30" });
  assert.deepEqual(span("heat", "84", "70.5"), { kind: "heat", ...base, above: 84, below: 70.5 });
  for (const [from, to] of [
    ["", "18:00"],
    ["08:00", ""],
    ["08:00", "08:00"],
  ])
    assert.equal(span("time", from, to), null);
  for (const [above, below] of [
    ["70", "84"],
    ["84", ""],
    ["", "70"],
    ["84", "-1"],
    ["x", "y"],
  ])
    assert.equal(span("heat", above, below), null);
});

test("forks stand below the job that they come from, where the newest of the family stood", () => {
  const model = after(
    told(job("a")),
    told(job("bb")),
    told(job("ccc", { parent: { job_id: "a", step: 2 }, grid: "g" })),
    told(job("dddd", { parent: { job_id: "ccc", step: 4 } })),
    told(job("eeeee", { parent: { job_id: "a", step: 2 }, grid: "g" })),
    told(job("ffffff", { parent: { job_id: "gone", step: 2 } })),
  );
  const rows = family.asTrees(model, model.order).map(({ id, depth }) => `${depth} ${id}`);
  assert.deepEqual(rows, ["0 ffffff", "0 a", "1 ccc", "2 dddd", "1 eeeee", "0 bb"]);
  const some = family.asTrees(model, ["eeeee", "dddd"]).map(({ id, depth }) => `${depth} ${id}`);
  assert.deepEqual(some, ["0 eeeee", "0 dddd"], "a parent that is filtered out holds nothing");
  assert.deepEqual(family.family(model, model.jobs.dddd), ["eeeee", "ccc", "a"]);
  assert.deepEqual(family.forksOf(model, "a"), ["ccc", "eeeee"]);
  const grids = model.order.filter((id) => family.hasGrid(model, model.jobs[id]));
  assert.deepEqual(grids, ["eeeee", "ccc", "a"]);
  assert.equal(family.hasGrid(model, model.jobs.dddd), false);
});

test("jobs that claim to come from each other do not hang the page", () => {
  const model = after(
    told(job("a", { parent: { job_id: "bb", step: 1 } })),
    told(job("bb", { parent: { job_id: "a", step: 1 } })),
  );
  assert.equal(family.asTrees(model, model.order).length, 2);
  family.family(model, model.jobs.a);
});

test("values are read by the type of their input", () => {
  const read = (one, text) => fork.valuesOf(one, text);
  assert.deepEqual(read(input(4), "3, 5 ,7,"), { values: [3, 5, 7], wrong: null });
  assert.deepEqual(read(input(4), "3, x"), { values: [3], wrong: "x" });
  assert.equal(read(input(4, { type: "INT" }), "1.5").wrong, "1.5");
  assert.equal(read(input("a", { type: "COMBO", options: ["a", "b"] }), "b, c").wrong, "c");
  assert.deepEqual(read(input(false, { type: "BOOLEAN" }), "true, false").values, [true, false]);
  assert.deepEqual(read(input("", { type: "STRING", multiline: true }), "a, b\nc").values, ["a, b", "c"]);
});

const nodes = {
  3: { class_type: "K", title: "K", inputs: { cfg: input(8), steps: input(20, { type: "INT" }) } },
};

test("the plan of a fork is a grid of at most sixteen", () => {
  const cfg = pathKey("3", "cfg");
  let model = after(
    told(job("a")),
    { type: "params", job_id: "a", nodes },
    { type: "forkDialog", job_id: "a", node_id: "3", step: 2, key: cfg },
  );
  const plan = () => fork.forkPlan(model, model.fork);
  assert.equal(plan().ready, false, "an input without values");
  model = reduce(model, { type: "forkAxis", index: 0, text: "3, 5, 7" });
  assert.deepEqual(plan(), {
    vary: { 3: { cfg: [3, 5, 7] } },
    count: 3,
    wrong: [null, null],
    ready: true,
  });
  model = reduce(model, { type: "forkAxis", index: 1, key: pathKey("3", "steps") });
  model = reduce(model, { type: "forkAxis", index: 1, text: "10,11,12,13,14,15" });
  assert.deepEqual([plan().count, plan().ready], [18, false]);
  model = reduce(model, { type: "forkAxis", index: 1, text: "10" });
  assert.deepEqual(plan().vary, { 3: { cfg: [3, 5, 7], steps: [10] } });
  model = reduce(model, { type: "forkAxis", index: 1, key: "" });
  assert.deepEqual(model.fork.axes[1], { key: "", text: "" });
});

test("what the server refuses of a fork is told at its field, and goes when the field changes", () => {
  const key = pathKey("3", "cfg");
  const open = after(told(job("a")), { type: "forkDialog", job_id: "a", step: 2, key });
  const rejected = [{ node_id: "3", input: "cfg", reason: "too small" }];
  let model = reduce(open, { type: "forkRefused", message: "No.", rejected });
  assert.deepEqual([model.fork.refused, model.fork.message], [{ [key]: "too small" }, null]);
  model = reduce(model, { type: "forkAxis", index: 0, text: "5" });
  assert.deepEqual(model.fork.refused, {});
  model = reduce(open, { type: "forkRefused", message: "No.", rejected: [] });
  assert.equal(model.fork.message, "No.");
  assert.equal(reduce(model, { type: "gone", job_ids: ["a"] }).fork, null);
});

test("what is measured grows by what a job tells, and a line is drawn through it", () => {
  const measured = (step, sigma) => ({ node_id: "3", step, sigma, change: null });
  let model = after(told(job("a")), {
    type: "telemetry",
    job_id: "a",
    telemetry: [measured(1, 10), measured(2, 6)],
  });
  model = reduce(
    model,
    told(job("a", { telemetry: { step: 3, sigma: 2, change: null }, updated_at: later(2) })),
  );
  model = reduce(
    model,
    told(job("a", { telemetry: { step: 3, sigma: 2, change: null }, updated_at: later(3) })),
  );
  const points = chart.series(model.telemetry.a, "3", "sigma");
  assert.deepEqual(
    points.map((one) => one.value),
    [10, 6, 2],
  );
  assert.deepEqual(chart.series(model.telemetry.a, "3", "change"), []);
  const { at, low, high } = chart.polyline(points, 100, 50);
  assert.deepEqual(
    at.map(({ x, y }) => [x, y]),
    [
      [0, 0],
      [50, 25],
      [100, 50],
    ],
  );
  assert.deepEqual([low, high], [2, 10]);
  assert.deepEqual(chart.polyline([{ step: 1, value: 5 }], 100, 50).at[0].x, 50);
});

function started(client) {
  const store = createStore(reduce, initial);
  const ports = { t: (key) => key, clock: () => 0 };
  return { store, actions: createActions(client, store, ports) };
}

test("changes of breakpoints wait for each other, and none is lost", async () => {
  const point = (id, more = {}) => ({ id, kind: "nan", enabled: true, action: "pause", ...more });
  const sent = [];
  const client = {
    async setBreakpoints(_, breakpoints) {
      sent.push(breakpoints);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return { breakpoints };
    },
  };
  const { store, actions } = started(client);
  store.dispatch(told(job("a", { breakpoints: [point("x"), point("y")] })));
  await Promise.all([
    actions.changeBreakpoint("a", "x", { enabled: false }),
    actions.changeBreakpoint("a", "y", { action: "log" }),
    actions.removeBreakpoint("a", "x"),
  ]);
  assert.equal(sent.length, 3);
  assert.deepEqual(store.get().jobs.a.breakpoints, [point("y", { action: "log" })]);
  assert.deepEqual(store.get().requests, {});
});

test("a comparison that was overtaken by another is left out", async () => {
  const answers = [];
  const client = { compare: () => new Promise((resolve) => answers.push(resolve)) };
  const { store, actions } = started(client);
  const first = actions.compareJobs("a", "b", 1);
  const second = actions.compareJobs("a", "b", 2);
  answers[1]({ jobs: [{}, { preview_url: "two" }], differences: [] });
  answers[0]({ jobs: [{}, { preview_url: "one" }], differences: [] });
  await Promise.all([first, second]);
  assert.equal(store.get().comparison.other, "two");
  client.compare = async () => {
    throw new Refused(404, { code: "no_preview", message: "Never made." });
  };
  await actions.compareJobs("a", "b", 3);
  assert.equal(store.get().comparison.message, "Never made.");
});

test("a rewind shows where the job then is", async () => {
  const client = { rewind: async (id, step) => job(id, { state: "paused", step, updated_at: later(4) }) };
  const { store, actions } = started(client);
  store.dispatch(told(job("a", { state: "completed", step: 10 })));
  store.dispatch({ type: "cursor", job_id: "a", node_id: "3", step: 4 });
  await actions.rewind("a", 4, "3");
  const { cursor, jobs } = store.get();
  assert.deepEqual([cursor, jobs.a.step], [null, 4]);
});

test("a step that is chosen before a rewind is answered stays chosen", async () => {
  const { store, actions } = started({
    rewind: async (id, step) => {
      store.dispatch({ type: "cursor", job_id: "a", node_id: "3", step: 2 });
      return job(id, { state: "paused", step, updated_at: later(4) });
    },
  });
  store.dispatch(told(job("a", { state: "completed", step: 10 })));
  await actions.rewind("a", 4, "3");
  assert.equal(store.get().cursor?.step, 2);
});

test("an input is edited by a rewind to where it can be, and what was typed elsewhere stays", async () => {
  const asked = [];
  const input = (more) => ({ value: 1, original: 1, modified: false, type: "INT", options: null, ...more });
  const nodes = (rewind) => ({
    3: {
      class_type: "K",
      title: "K",
      inputs: { seed: input({ verdict: "consumed", rewind }), cfg: input() },
    },
  });
  const client = {
    rewind: async (id, ...more) => {
      asked.push(more);
      return job(id, { state: "paused", node_id: "3", step: 0, updated_at: later(4) });
    },
    params: async () => ({ nodes: nodes(null) }),
  };
  const { store, actions } = started(client);
  store.dispatch(told(job("a", { state: "paused", step: 10 })));
  store.dispatch({ type: "params", job_id: "a", nodes: nodes({ node_id: "3", step: 0 }) });
  assert.equal(await actions.rewindWithEdit("a", "3", "seed"), false, "nothing is typed");
  actions.draft("a", "3", "seed", "7");
  actions.draft("a", "3", "cfg", "9");
  assert.equal(await actions.rewindWithEdit("a", "3", "cfg"), false, "it needs none");
  assert.equal(await actions.rewindWithEdit("a", "3", "seed"), true);
  assert.deepEqual(asked, [[0, "3", { 3: { seed: 7 } }]]);
  assert.deepEqual(Object.keys(store.get().editors.a.drafts), [pathKey("3", "cfg")]);
});

test("a refusal tells of the rewind that the editor offers", async () => {
  const rejected = [
    { node_id: "3", input: "seed", reason: "It is done", rewind: { node_id: "2", step: 0 } },
    { node_id: "9", input: "gone", reason: "It is done", rewind: { node_id: "2", step: 0 } },
    { node_id: "3", input: "cfg", reason: "too much" },
  ];
  const client = {
    edit: async () => {
      throw new Refused(409, { code: "illegal_transition", message: "It is completed.", rejected });
    },
  };
  const { store, actions } = started(client);
  const input = { value: 1, original: 1, modified: false, verdict: "live", type: "INT", options: null };
  store.dispatch(told(job("a", { state: "running" })));
  const nodes = { 3: { class_type: "K", title: "K", inputs: { seed: input, cfg: input } } };
  store.dispatch({ type: "params", job_id: "a", nodes });
  actions.draft("a", "3", "seed", "7");
  assert.equal(await actions.save("a"), false);
  const editor = store.get().editors.a;
  assert.deepEqual(editor.nodes[3].inputs.seed.rewind, { node_id: "2", step: 0 });
  assert.equal(editor.nodes[3].inputs.cfg.rewind, undefined);
  assert.equal(editor.refused[pathKey("3", "seed")], "It is done");
});
