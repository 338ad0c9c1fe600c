// What does not move with the cursor of the timeline is not made anew as that is dragged over thousands of steps.
import assert from "node:assert/strict";
import { test } from "node:test";
import { reduce } from "../../web/model/reducer.js";
import { onlyLooks, unmoved } from "../../web/model/select_cursor.js";
import { previewsOf } from "../../web/model/select_pictures.js";
import { shapeOf } from "../../web/model/select_shape.js";
import { translator } from "../../web/ui/i18n.js";
import { editorView } from "../../web/views/editor.js";
import { factsView } from "../../web/views/timeline_facts.js";
import { doingsOf } from "../../web/views/timeline_input.js";
import { tracksView } from "../../web/views/timeline_tracks.js";
import { trayView } from "../../web/views/tray.js";
import { after, job } from "./jobs.mjs";

const told = (one) => ({ type: "job", job: one, at: 1000 });
const asked = new Proxy({}, { get: () => () => false });
const toolsIn = (t) => ({ t, url: (url) => url, dispatch() {}, actions: asked, reportUrl: () => "", sheetUrl: () => "" });
const tools = toolsIn((key) => key);
const previews = Array.from({ length: 30 }, (_, at) => ({
  ...{ node_id: "3", step: at + 1, url: `u${at}`, width: 64, height: 64, method: "taesd" },
  created_at: `2026-01-01T00:00:${String(at).padStart(2, "0")}Z`,
}));
const cfg = { value: 7, original: 7, modified: false, verdict: "live", reason: "", type: "FLOAT", options: null };
const nodes = { 3: { class_type: "KSampler", title: "KSampler", inputs: { cfg } } };
const still = () =>
  after(
    told(job("a", { state: "paused", step: 30, total_steps: 40 })),
    { type: "previews", job_id: "a", previews },
    { type: "params", job_id: "a", nodes },
    { type: "timeline", shown: true, width: 1200, height: 260 },
  );
const moved = (model, step = 7) => reduce(model, { type: "cursor", job_id: "a", node_id: "3", step });

test("a model of which only the cursor or the timeline changed is the same to what shows neither", () => {
  const model = still();
  const further = reduce(moved(model), { type: "timeline", hover: 3 });
  assert.equal(unmoved(model), model);
  assert.equal(unmoved(further), model);
  assert.equal(onlyLooks(further, model), true);
  const later = reduce(further, { type: "tick", at: 5000 });
  assert.equal(onlyLooks(later, model), false);
  assert.equal(unmoved(later), later);
});

test("the list of jobs is made anew for what changes in it, and in another language", () => {
  const model = still();
  const seen = trayView(tools, model)[0];
  assert.equal(trayView(tools, moved(model))[0], seen);
  assert.notEqual(trayView(tools, reduce(model, told(job("bb"))))[0], seen);
  const again = trayView(tools, model)[0];
  assert.notEqual(trayView(toolsIn((key) => `${key}!`), model)[0], again);
});

test("parameters are made anew for a draft; while a word is looked at they follow the cursor", () => {
  const model = still();
  const seen = editorView(tools, model, model.jobs.a);
  assert.equal(editorView(tools, moved(model), model.jobs.a), seen);
  assert.notEqual(editorView(tools, model, model.jobs.a, "timeline"), seen, "each place has its own");
  const drafted = reduce(model, { type: "draft", job_id: "a", node_id: "3", input: "cfg", raw: "5" });
  assert.notEqual(editorView(tools, drafted, drafted.jobs.a), seen);
  const lens = { job_id: "a", node_id: "6", input: "text", word: null, found: null, message: null };
  const looking = { ...model, lens };
  const before = editorView(tools, looking, model.jobs.a);
  assert.notEqual(editorView(tools, moved(looking), model.jobs.a), before);
});

test("the film strip and the job's words stay while the cursor moves; the film follows the zoom", () => {
  globalThis.HTMLInputElement ??= class {};
  const part = (root, key) => root.children.find((one) => one.key === key);
  const film = (model) => {
    const shape = shapeOf(model, model.jobs.a);
    const does = doingsOf(tools, model, model.jobs.a, shape);
    return part(part(tracksView(tools, model, model.jobs.a, shape, does), "plot"), "film");
  };
  const words = (model) => part(factsView(tools, model, model.jobs.a), "words");
  const model = still();
  const [strip, told_] = [film(model), words(model)];
  assert.ok(strip.children.length > 4);
  assert.equal(film(moved(model)), strip);
  assert.equal(words(moved(model)), told_);
  assert.notEqual(film(reduce(model, { type: "timeline", from: 4, to: 12 })), strip);
  assert.equal(previewsOf(model, "a", "3"), previewsOf(moved(model), "a", "3"), "listed once");
});

test("a text that was found once is still filled with each value", () => {
  const texts = { at: "step {step}", n: "one | {n} of them" };
  const t = translator({ en: { midrun: texts } }, "en");
  assert.deepEqual([t("at", { step: 3 }), t("at", { step: 4 }), t("at")], ["step 3", "step 4", "step {step}"]);
  assert.deepEqual([t("n", { n: 1 }), t("n", { n: 2 })], ["one", "2 of them"]);
  assert.deepEqual([t("none"), t("none")], ["none", "none"]);
});
