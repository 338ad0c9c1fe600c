import assert from "node:assert/strict";
import test from "node:test";
import { initial, reduce } from "../../web/model/reducer.js";
import { wordsOf } from "../../web/model/words.js";
import { createLensActions } from "../../web/server/actions_lens.js";
import { createStore } from "../../web/ui/store.js";
import { job } from "./jobs.mjs";

const opened = { type: "lensOf", job_id: "a", node_id: "6", input: "text" };
const nothing = { maximum: null, mean: null, picture: null, error: null };
const found = (state, more) => ({ state, step: 3, ...nothing, ...more });
const done = found("done", { maximum: 1, mean: 0.5 });

test("the words of a prompt are told once each, without weights and tags", () => {
  const text = "A (red:1.2) circle, a big-eyed cat's RED  <lora:ink:0.8> embedding:bad [été] 35mm";
  assert.deepEqual(wordsOf(text), ["A", "red", "circle", "big-eyed", "cat's", "été", "35mm"]);
  assert.deepEqual(wordsOf(""), []);
});

test("another input takes the place of the one that is looked at, and a job that goes takes it along", () => {
  const model = [{ type: "job", job: job("a", { state: "paused" }), at: 1 }, opened].reduce(reduce, initial);
  const looked = reduce(model, { type: "lens", word: "red", message: "no" });
  assert.deepEqual([looked.lens.word, looked.lens.message], ["red", "no"]);
  assert.deepEqual(reduce(looked, { ...opened, input: "other" }).lens.word, null);
  assert.equal(reduce(looked, { type: "gone", job_ids: ["a"] }).lens, null);
  assert.equal(reduce(initial, { type: "lens", word: "late" }).lens, null, "it was closed meanwhile");
});

test("what was chosen first is cancelled when another word is chosen", async () => {
  const store = createStore(reduce, initial);
  const calls = [];
  let cancelled = false;
  const client = {
    lookInto: async (_, { without }) => (calls.push(without), (cancelled = false), found("queued")),
    cancelLens: async () => (calls.push("cancel"), (cancelled = true), found("cancelled")),
    lens: async () => {
      if (cancelled) return found("cancelled");
      return calls.at(-1) === "blue" ? done : found("running");
    },
  };
  const actions = createLensActions(client, store, { messageOf: (error) => error.message });
  await actions.toggleLens("a", "6", "text");
  const first = actions.lookAtWord("red", null);
  while (store.get().lens.found === null) await new Promise((resolve) => setTimeout(resolve, 1));
  await actions.lookAtWord("blue", 2);
  await first;
  assert.deepEqual(calls, ["red", "cancel", "blue"]);
  assert.deepEqual([store.get().lens.word, store.get().lens.found.state], ["blue", "done"]);
  await actions.toggleLens("a", "6", "text");
  assert.equal(store.get().lens, null);
});
