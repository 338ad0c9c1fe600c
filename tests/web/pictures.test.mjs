// What is shown of a job: a frame for each step, its newest picture.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  framesOf,
  newestIndex,
  newestPicture,
  pictureOfNode,
  shownUrl,
} from "../../web/model/select_pictures.js";
import { after, job } from "./jobs.mjs";

const told = (one, at = 1000) => ({ type: "job", job: one, at });
const url = (step, version = "", node = "3") =>
  `/midrun/jobs/a/preview?node_id=${node}&step=${step}${version && `&v=${version}`}`;
const preview = (step, node = "3") => ({
  node_id: node,
  step,
  url: url(step, "made", node),
  created_at: `2026-01-01T00:00:${String(step).padStart(2, "0")}Z`,
});
const seeing = (one, ...previews) => after(told(one), { type: "previews", job_id: "a", previews });

test("each step that is done has a frame; what has no picture is asked for when it is chosen", () => {
  const model = seeing(job("a", { state: "paused", step: 4 }), preview(2));
  const frames = framesOf(model, model.jobs.a, "3");
  assert.deepEqual(
    frames.map((one) => one.url),
    [url(1), url(2, "made"), url(3), url(4)],
  );
  assert.equal(newestIndex(frames, model.jobs.a), 3, "it stands there");
  assert.equal(shownUrl(model, model.jobs.a, frames[2], true), url(3));
});

test("a job that goes on is not asked for pictures that were not made", () => {
  const model = seeing(job("a", { step: 4, preview_url: url(2, "made") }), preview(2));
  const frames = framesOf(model, model.jobs.a, "3");
  const at = newestIndex(frames, model.jobs.a);
  assert.equal(frames[at].step, 2);
  assert.equal(shownUrl(model, model.jobs.a, frames[at], false), url(2, "made"));
  const early = after(told(job("a", { step: 4 })));
  const [first] = framesOf(early, early.jobs.a, "3");
  assert.equal(shownUrl(early, early.jobs.a, first, false), null);
});

test("without previews every step can be chosen, and none has a picture", () => {
  const model = after(told(job("a", { step: 3, previews: { pause_method: "none" } })));
  assert.deepEqual(
    framesOf(model, model.jobs.a, "3").map((one) => [one.step, one.url]),
    [
      [1, null],
      [2, null],
      [3, null],
    ],
  );
});

test("what a rewind left over has frames where pictures were made", () => {
  const take = { node_id: "3", step: 9 };
  const model = seeing(job("a", { state: "paused", step: 1, take }), preview(5));
  const frames = framesOf(model, model.jobs.a, "3");
  assert.deepEqual(
    frames.map((one) => one.step),
    [1, 5],
  );
  assert.equal(newestIndex(frames, model.jobs.a), 0);
});

test("the newest picture is the one that the job tells, when this page was told of no later", () => {
  const later = job("a", { step: 6, preview_url: url(6, "told") });
  const model = seeing(later, preview(2));
  assert.equal(newestPicture(model, later), url(6, "told"));
  const other = { ...later, preview_url: url(6, "told", "9") };
  assert.equal(newestPicture(model, other), url(2, "made"), "of another node");
});

test("each sampler has its own newest picture", () => {
  const model = seeing(job("a", { node_id: "9", step: 1 }), preview(7), preview(1, "9"));
  assert.equal(pictureOfNode(model, model.jobs.a, "3"), url(7, "made"));
  assert.equal(pictureOfNode(model, model.jobs.a, "9"), url(1, "made", "9"));
});

test("a node of the workflow has the pictures of what it became last", () => {
  const became = (step, node) => ({ ...preview(step, node), display_node_id: "6" });
  const one = job("a", { node_id: "5.0.0.1_6", display_node_id: "6", step: 3, state: "paused" });
  const model = seeing(one, became(1, "5.0.0.0_6"), became(2, "5.0.0.1_6"), became(3, "5.0.0.1_6"));
  assert.deepEqual(
    framesOf(model, one, "6").map((frame) => frame.url),
    [url(1, "", "6"), url(2, "made", "5.0.0.1_6"), url(3, "made", "5.0.0.1_6")],
  );
  assert.equal(framesOf(model, one, "5.0.0.0_6").length, 1);
});
