import assert from "node:assert/strict";
import test from "node:test";
import { initial, reduce } from "../../web/model/reducer.js";
import { sentence } from "../../web/model/select.js";
import { atChoices, choicePicture, choicesLeft } from "../../web/model/select_choice.js";
import { job } from "./jobs.mjs";

const choice = { node_id: "9", kind: "image", count: 4, most: 2, otherwise: "all", until: null, paints: false };
const told = (id, more) => ({ type: "job", job: job(id, { state: "paused", ...more }), at: 1 });
const after = (...actions) => actions.reduce(reduce, initial);
const pick = (number) => ({ type: "pick", number });

test("as many are ticked as may be, in their order, and one that is ticked is taken back", () => {
  const open = [told("a", { choice: { ...choice, version: "v" } }), { type: "choosing", job_id: "a" }];
  const ticked = (...numbers) => after(...open, ...numbers.map(pick)).choosing.ticked;
  assert.deepEqual(ticked(4, 1), [1, 4]);
  assert.deepEqual(ticked(4, 1, 3), [1, 4], "a third is one too many");
  assert.deepEqual(ticked(4, 1, 4), [1]);
  assert.deepEqual(ticked(5), [], "there is none");
  const one = after(told("a", { choice: { ...choice, most: 1, version: "v" } }), open[1], pick(2), pick(3));
  assert.deepEqual(one.choosing.ticked, [3], "of one the new one takes the place of the old one");
});

test("what waits is told, counted and found, the oldest first", () => {
  const waits = { choice: { ...choice, version: "v w" } };
  const model = after(
    told("a", { ...waits, created_at: "2026-01-01T00:01:00Z" }),
    told("b", { ...waits, created_at: "2026-01-01T00:00:00Z" }),
    told("c", { created_at: "2026-01-01T00:02:00Z" }),
  );
  assert.deepEqual(atChoices(model), ["b", "a"]);
  assert.equal(choicesLeft(model), 2);
  assert.deepEqual(sentence(model.jobs.a), ["why.choice", { count: 4 }]);
  assert.equal(choicePicture(model.jobs.a, 3), "/midrun/jobs/a/choice/3?v=v w");
});
