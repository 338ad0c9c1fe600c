// What stands on wires, and what a job tells beside its state.
import assert from "node:assert/strict";
import { test } from "node:test";
import { initial, reduce } from "../../web/model/reducer.js";
import { stoppedBefore, wireLines, wirePicture } from "../../web/model/select_wires.js";
import { whyText } from "../../web/views/parts.js";
import { job } from "./jobs.mjs";

const told = (id, more) => ({ type: "job", job: job(id, more), at: 1 });
const after = (...actions) => actions.reduce(reduce, initial);
const t = (key, values) => [key, ...Object.values(values ?? {})].join(" ");
const nothing = {
  ...{ shape: null, dtype: null, device: null, minimum: null, maximum: null, mean: null, not_finite: 0 },
  ...{ tokens: null, parts: [], count: 1, text: null, pictured: false },
};

test("a value is told in figures and words, and of what is not known there is no line", () => {
  const figures = { shape: [1, 4, 64, 64], dtype: "float16", device: "cuda:0", minimum: -3.21234, maximum: 4, mean: 0.00021 };
  assert.deepEqual(wireLines(t, { ...nothing, ...figures, type: "LATENT", not_finite: 2, parts: ["noise_mask"], count: 3 }), [
    "LATENT · 1×4×64×64",
    "float16 · cuda:0",
    "wire.range -3.21 4",
    "wire.mean 0.00021",
    "wire.notFinite 2 · wire.with noise_mask · wire.first 3",
  ]);
  assert.deepEqual(wireLines(t, { ...nothing, type: "STRING", text: "a cat" }), ["STRING"]);
  assert.deepEqual(wireLines(t, { ...nothing, type: "CONDITIONING", tokens: 77 }), ["CONDITIONING", "wire.tokens 77"]);
});

test("a breakpoint shows the newest job of its workflow that is paused there, and no other", () => {
  const there = { state: "paused", paused_before: "9", workflow: { id: "w", name: null } };
  const model = after(
    told("old", { ...there, created_at: "2026-01-01T00:00:00Z" }),
    told("new", { ...there, created_at: "2026-01-01T00:01:00Z" }),
    told("elsewhere", { ...there, paused_before: "8", created_at: "2026-01-01T00:02:00Z" }),
    told("gone", { ...there, state: "running", created_at: "2026-01-01T00:03:00Z" }),
  );
  assert.equal(stoppedBefore(model, "w", ["2:9", "9"])?.job_id, "new");
  assert.equal(stoppedBefore(model, "other", ["9"]), null);
  assert.equal(stoppedBefore(model, null, ["9"]), null);
  assert.equal(wirePicture(job("a/b", { wires: { version: "v" } }), 2), "/midrun/jobs/a%2Fb/wires/2?v=v");
});

test("what is free on the GPU is told of a paused job, where that is known", () => {
  const paused = { state: "paused", pause_reason: "user", paused_at_step: 6 };
  assert.equal(whyText(t, job("a", { ...paused, gpu_free: 6_200_000_000 })), "why.user 6 why.gpuFree 6.2 GB");
  assert.equal(whyText(t, job("a", paused)), "why.user 6");
  assert.equal(whyText(t, job("a", { state: "completed" })), "");
});
