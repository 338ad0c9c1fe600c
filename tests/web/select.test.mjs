// What the views are given: the right job for a node, the right sentence for a state.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import * as format from "../../web/ui/format.js";
import { executionIds, nodeAt, prefixes } from "../../web/comfyui/graph.js";
import { translator } from "../../web/ui/i18n.js";
import * as select from "../../web/model/select.js";
import { changesOnCanvas, promptToSend } from "../../web/model/canvas_changes.js";
import { pathKey } from "../../web/model/reducer_editor.js";
import { grouped } from "../../web/views/editor.js";
import { after, job } from "./jobs.mjs";

const LOCALES = new URL("../../locales/", import.meta.url);
const told = (one, at = 1000) => ({ type: "job", job: one, at });

test("a node shows the newest job of its own workflow that samples there", () => {
  const model = after(
    told(job("a")),
    told(job("bb", { workflow: { id: "other", name: null } })),
    told(job("ccc", { node_id: "9", sampler_nodes: ["9"] })),
  );
  assert.equal(select.jobOfNode(model, "w", ["3"], true)?.job_id, "a");
  assert.equal(select.jobOfNode(model, "w", ["4:9", "9"], true)?.job_id, "ccc");
  assert.equal(select.jobOfNode(model, null, ["3"], true), null);
  const done = after(told(job("a", { state: "completed" })));
  assert.equal(select.jobOfNode(done, "w", ["3"], true)?.job_id, "a");
  assert.equal(select.jobOfNode(done, "w", ["3"], false), null);
});

test("a node shows the job of what it became while it ran", () => {
  const became = job("a", { node_id: "6.0.0.1", display_node_id: "6", sampler_nodes: [] });
  const model = after(told(became));
  assert.equal(select.jobOfNode(model, "w", ["6"], true)?.job_id, "a");
  assert.equal(select.jobOfNode(model, "w", ["7"], true), null);
  assert.deepEqual([...select.liveNodes(model, "w")], ["6"]);
});

test("time goes on while a job runs, and stands while it is paused", () => {
  let model = after(told(job("a"), 1000), { type: "tick", at: 3000 });
  assert.deepEqual(select.timing(model, model.jobs.a), { active: 6, paused: 0, eta: 14, rough: false });
  model = after(told(job("a", { state: "paused" }), 1000), { type: "tick", at: 3000 });
  assert.deepEqual(select.timing(model, model.jobs.a), { active: 4, paused: 2, eta: 16, rough: false });
});

test("what stands has a sentence, what its state says has none, and every language has the same texts", async () => {
  const read = async (language) =>
    JSON.parse(await readFile(new URL(`${language}/main.json`, LOCALES), "utf8"));
  const english = await read("en");
  const keys = (tree, path = "") =>
    Object.entries(tree).flatMap(([key, value]) =>
      typeof value === "object" ? keys(value, `${path}${key}.`) : [path + key],
    );
  for (const { name: language } of (await readdir(LOCALES, { withFileTypes: true })).filter((one) => one.isDirectory())) {
    const texts = await read(language);
    assert.deepEqual(keys(texts.midrun), keys(english.midrun), language);
    const t = translator({ en: english, [language]: texts }, language);
    for (const state of ["queued", "running", "pausing", "paused", "completed", "aborted", "failed"])
      for (const reason of [null, "user", "step", "breakpoint", "nan", "server_restart", "drain", "asked"]) {
        const error = state === "failed" ? { message: "x" } : null;
        const told = select.sentence(job("a", { state, pause_reason: reason, error }));
        assert.equal(told !== null, ["paused", "aborted", "failed"].includes(state), state);
        if (told) assert.notEqual(t(...told), told[0]);
      }
    const values = (text) => new Set([...text.matchAll(/\{\w+\}/g)].map(String));
    for (const key of keys(english.midrun)) {
      const at = (tree) => key.split(".").reduce((found, part) => found[part], tree);
      assert.deepEqual(values(at(texts.midrun)), values(at(english.midrun)), `${language} ${key}`);
    }
  }
});

test("what a model raised is a sentence of its own, whether or not it ends as one", () => {
  const told = (message) => select.sentence(job("a", { state: "failed", error: { message } }))[1].error;
  assert.equal(told("CUDA out of memory"), "CUDA out of memory.");
  assert.equal(told("no such file: 'a'\n"), "no such file: 'a'.");
  for (const whole of ["Out of memory. Resume with less.", "Really?", "メモリ不足です。", ""]) assert.equal(told(whole), whole);
});

test("texts are filled and have two numbers", () => {
  const en = { midrun: { a: "one {x} | {n} {x}" } };
  const t = translator({ en, fr: { midrun: { b: "{n} chose | {n} choses" } }, ko: { midrun: { b: "{n}개" } } }, "fr");
  assert.equal(t("a", { n: 1, x: "<b>" }), "one <b>");
  assert.equal(t("a", { n: 0, x: "" }), "0 "); // by the rules of English
  assert.equal(t("b", { n: 0 }), "0 chose");
  assert.equal(translator({ en, ko: { midrun: { b: "{n}개" } } }, "ko")("b", { n: 1 }), "1개");
  assert.equal(t("a", { n: 3, x: "{n}" }), "3 {n}");
  assert.equal(t("missing.key"), "missing.key");
});

test("numbers are as a person reads them", () => {
  assert.deepEqual([0, 41, 61.6, 3723, null].map(format.clock), ["0:00", "0:41", "1:02", "1:02:03", "–:––"]);
  assert.deepEqual([14.614, 3.2149, 0.02917, 2.6, 812.4, 0].map(format.sigma), [
    "14.6",
    "3.21",
    "0.0292",
    "2.60",
    "812",
    "0",
  ]);
  assert.deepEqual([12, 4200, 3.4e9, 120e6].map(format.size), ["12 byte", "4 kB", "3.4 GB", "120 MB"]);
  assert.deepEqual([2000, 12345.5].map(format.number), ["2000", "12,345.5"]);
  assert.deepEqual([0.000512, 5.12e-9, 0].map(format.digits), ["0.000512", "5.12E-9", "0"]);
});

test("numbers and times are those of the language, in digits that every language here reads", () => {
  try {
    format.speak("de");
    assert.equal(format.sigma(3.2149), "3,21");
    assert.equal(format.size(3.4e9).replace(/\s/, " "), "3,4 GB");
    assert.match(format.time("2026-11-26T16:07:28"), /^16:07:28$/);
    const t = translator({ de: { midrun: { a: "1 Ding | {n} Dinge, {x}" } } }, "de");
    assert.equal(t("a", { n: 12345, x: "12345" }), "12.345 Dinge, 12345");
    format.speak("fr");
    assert.equal(format.size(3.4e9).replace(/\s/, " "), "3,4 Go");
    format.speak("fa");
    assert.equal(format.number(12), "12");
  } finally {
    format.speak("en");
  }
});

test("a node in a subgraph that is used twice has two execution ids", () => {
  const inner = {
    nodes: [{ id: 7 }],
    getNodeById: (id) => inner.nodes.find((node) => String(node.id) === String(id)) ?? null,
  };
  inner.nodes[0].graph = inner;
  const root = {
    nodes: [
      { id: 1, subgraph: inner },
      { id: 2, subgraph: inner },
    ],
    getNodeById: (id) => root.nodes.find((node) => String(node.id) === String(id)) ?? null,
  };
  const places = prefixes(root);
  assert.deepEqual(executionIds(places, inner.nodes[0]), ["1:7", "2:7"]);
  assert.equal(nodeAt(root, "2:7"), inner.nodes[0]);
  assert.equal(nodeAt(root, "2:8"), null);
  assert.equal(nodeAt(root, "9:7"), null);
  assert.deepEqual(executionIds(places, { id: 5 }), []);
});

const input = (value, more = {}) => ({
  value,
  original: value,
  modified: false,
  verdict: "live",
  type: "FLOAT",
  options: null,
  multiline: false,
  ...more,
});

test("only what was changed on the canvas is offered and sent", () => {
  const nodes = {
    3: {
      class_type: "K",
      title: "K",
      inputs: {
        cfg: input(8),
        steps: input(30, { original: 20 }),
        seed: input(5, { verdict: "consumed" }),
        auto: input(1),
      },
    },
  };
  const prompt = { 3: { inputs: { cfg: 6, steps: 20, seed: 99, auto: 2, model: ["1", 0] } } };
  const canvas = { prompt, automatic: new Set([pathKey("3", "auto")]) };
  assert.deepEqual(changesOnCanvas(nodes, canvas, {}), [
    { node_id: "3", input: "cfg", title: "K", from: 8, to: 6 },
  ]);
  const { prompt: sent } = promptToSend(nodes, canvas, {});
  assert.deepEqual(sent[3].inputs, { cfg: 6, steps: 30, seed: 5, auto: 1, model: ["1", 0] });
  assert.equal(prompt[3].inputs.steps, 20);
});

test("set back on the canvas after it was sent is a change again", () => {
  const nodes = { 3: { class_type: "K", title: "K", inputs: { cfg: input(6, { original: 8 }) } } };
  const canvas = { prompt: { 3: { inputs: { cfg: 8 } } }, automatic: new Set() };
  assert.deepEqual(changesOnCanvas(nodes, canvas, {}), []);
  assert.equal(changesOnCanvas(nodes, canvas, { [pathKey("3", "cfg")]: 6 }).length, 1);
});

test("parameters stand in the order of their weight", () => {
  const node = (class_type, more = {}) => ({ class_type, title: class_type, inputs: { a: input(1, more) } });
  const nodes = {
    1: node("CheckpointLoader"),
    2: node("ControlNetApply"),
    3: node("MidrunKSampler"),
    4: node("LoraLoader"),
    5: node("CLIPTextEncode", { multiline: true }),
  };
  const { first, rest } = grouped(nodes, job("a"), "");
  assert.deepEqual(
    first.map(([id]) => id),
    ["3", "5", "4", "2"],
  );
  assert.deepEqual(
    rest.map(([id]) => id),
    ["1"],
  );
});
