// The reducer: what the page makes of what it is told, in whatever order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsed, pathKey } from "../../web/model/reducer_editor.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { after, job } from "./jobs.mjs";

const told = (one, at = 1000) => ({ type: "job", job: one, at });
const input = (value, more = {}) => ({
  value,
  original: value,
  modified: false,
  verdict: "live",
  reason: "",
  type: "FLOAT",
  min: 0,
  max: 100,
  step: 0.1,
  options: null,
  multiline: false,
  ...more,
});

test("jobs stand newest first, whatever the order in which they are told", () => {
  const model = after(told(job("a")), told(job("ccc")), told(job("bb")));
  assert.deepEqual(model.order, ["ccc", "bb", "a"]);
});

test("an older state of a job does not take the place of a newer one", () => {
  const paused = job("a", { state: "paused", updated_at: "2026-01-01T00:02:00Z" });
  assert.equal(after(told(paused), told(job("a"))).jobs.a.state, "paused");
});

test("the reducer changes nothing of what it was given", () => {
  const model = after(told(job("a")));
  const frozen = JSON.stringify(model);
  for (const action of [told(job("b")), { type: "gone", job_ids: ["a"] }, { type: "tray", filter: "paused" }])
    reduce(model, action);
  assert.equal(JSON.stringify(model), frozen);
});

test("an unknown action is an error, also one named as something that every object has", () => {
  assert.throws(() => reduce(initial, { type: "constructor" }), /unknown action/);
});

test("a first page removes what the server has forgotten, but not what came meanwhile nor what is older", () => {
  const model = after(told(job("a"), 10), told(job("bb"), 10), told(job("cccc"), 99));
  const next = reduce(model, {
    type: "jobs",
    jobs: [job("ccc")],
    next: "7",
    first: true,
    since: 50,
    at: 100,
  });
  assert.deepEqual(next.order, ["cccc", "ccc", "bb", "a"]);
  const all = reduce(model, {
    type: "jobs",
    jobs: [job("ccc")],
    next: null,
    first: true,
    since: 50,
    at: 100,
  });
  assert.deepEqual(all.order, ["cccc", "ccc"]);
});

test("a preview of any run belongs to its job, and a step has one of a node", () => {
  const preview = (step, url) => ({
    job_id: "run-2",
    node_id: "3",
    step,
    url,
    created_at: `2026-01-01T00:00:0${step}Z`,
  });
  const model = after(
    told(job("a", { prompt_ids: ["a", "run-2"] })),
    { type: "preview", preview: preview(2, "two") },
    { type: "preview", preview: preview(1, "one") },
    { type: "preview", preview: preview(2, "two again") },
  );
  assert.deepEqual(
    model.previews.a.map((one) => one.url),
    ["one", "two again"],
  );
});

test("what is typed is unsaved until it is saved, and not when it is what was there", () => {
  const nodes = { 3: { class_type: "K", title: "K", inputs: { cfg: input(8) } } };
  const draft = (raw) => ({ type: "draft", job_id: "a", node_id: "3", input: "cfg", raw });
  let model = after(told(job("a")), { type: "params", job_id: "a", nodes }, draft("7.5"));
  assert.deepEqual(model.editors.a.drafts, { [pathKey("3", "cfg")]: { raw: "7.5", value: 7.5 } });
  assert.deepEqual(reduce(model, draft("8.0")).editors.a.drafts, {});
  assert.equal(reduce(model, draft("")).editors.a.drafts[pathKey("3", "cfg")].value, undefined);
  const rejected = [{ node_id: "3", input: "cfg", reason: "too much" }];
  model = reduce(model, { type: "rejected", job_id: "a", rejected });
  assert.equal(model.editors.a.refused[pathKey("3", "cfg")], "too much");
  const saved = { type: "saved", job_id: "a", drafts: model.editors.a.drafts };
  const typedOn = reduce(reduce(model, draft("7.55")), saved);
  assert.equal(typedOn.editors.a.drafts[pathKey("3", "cfg")].value, 7.55, "it came after what was saved");
  model = reduce(model, saved);
  assert.deepEqual(model.editors.a, { nodes, drafts: {}, refused: {} });
});

test("fresh parameters drop the drafts that they have come to be", () => {
  const nodes = (value) => ({ 3: { class_type: "K", title: "K", inputs: { cfg: input(value) } } });
  const model = after(
    { type: "params", job_id: "a", nodes: nodes(8) },
    { type: "draft", job_id: "a", node_id: "3", input: "cfg", raw: "7" },
    { type: "params", job_id: "a", nodes: nodes(7) },
  );
  assert.deepEqual(model.editors.a.drafts, {});
});

test("values have their input's type", () => {
  assert.equal(parsed(input(1, { type: "INT" }), "12"), 12);
  assert.equal(parsed(input(1), "1e400"), undefined);
  assert.equal(parsed(input("a", { type: "COMBO", options: ["a", 2] }), "2"), 2);
  assert.equal(parsed(input("a", { type: "COMBO", options: ["a", 2] }), "x"), undefined);
  assert.equal(parsed(input("", { type: "STRING" }), "<b>"), "<b>");
  assert.equal(parsed(input(false, { type: "BOOLEAN" }), true), true);
});

test("a job that is gone leaves nothing behind", () => {
  let model = after(
    told(job("a")),
    { type: "open", job_id: "a" },
    { type: "view", job_id: "a" },
    { type: "abortDialog", job_id: "a" },
  );
  model = reduce(model, { type: "gone", job_ids: ["a"] });
  assert.equal(
    JSON.stringify({ ...model, now: 0 }),
    JSON.stringify({ ...initial, next: undefined, tray: { ...initial.tray } }),
  );
});

test("a step that is made anew leaves nothing of the passage before it, and a source is no step", () => {
  const at = (/** @type {number} */ step, more = {}) => ({
    ...{ job_id: "a", node_id: "3", step, url: `u${step}`, created_at: `2026-01-01T00:00:0${step}Z` },
    ...more,
  });
  const model = after(
    { type: "job", job: job("a"), at: 0 },
    ...[1, 2, 3].map((step) => ({ type: "preview", preview: at(step) })),
    { type: "preview", preview: at(1, { url: "again", created_at: "2026-01-01T00:00:09Z" }) },
  );
  assert.deepEqual(
    model.previews.a.map((one) => one.url),
    ["again"],
  );
  const listed = after(
    { type: "job", job: job("a"), at: 0 },
    { type: "previews", job_id: "a", previews: [at(0, { kind: "source" }), at(2, { kind: "step" })] },
  );
  assert.deepEqual(
    listed.previews.a.map((one) => one.step),
    [2],
  );
});
