// The axis, the lanes, the marks and the cursor of the timeline.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as axis from "../../web/model/axis.js";
import { cursorStep, focusOf, lastStep } from "../../web/model/select_cursor.js";
import { framesOf, passedUrl } from "../../web/model/select_pictures.js";
import { laneAt, shapeOf, showsParams, topFor } from "../../web/model/select_shape.js";
import * as timeline from "../../web/model/select_timeline.js";
import { reduce } from "../../web/model/reducer.js";
import { editMarks } from "../../web/model/select.js";
import { amount } from "../../web/views/chart.js";
import { paintTimeline } from "../../web/views/timeline_paint.js";
import { after, job } from "./jobs.mjs";

const told = (one, at = 1000) => ({ type: "job", job: one, at });
const at = (number) => ({ created_at: `2026-01-01T00:00:${String(number).padStart(2, "0")}Z` });
const fork = (id, parent, step, number, more = {}) =>
  job(id, { parent: { job_id: parent, step }, state: "completed", step: 10, ...at(number), ...more });
const preview = (step, more = {}) => ({
  node_id: "3",
  step,
  url: `u${step}`,
  width: 64,
  height: 64,
  created_at: `2026-01-01T00:01:${String(step % 60).padStart(2, "0")}Z`,
  ...more,
});
const family = () =>
  after(
    told(job("root", { state: "completed", step: 10, ...at(1) })),
    told(fork("early", "root", 4, 2)),
    told(fork("late", "root", 6, 3, { total_steps: 16 })),
    told(fork("deep", "early", 8, 4)),
    told(job("other", { state: "paused", ...at(5) })),
  );

test("a step has a cell of its own, and pixels lead back to it at every zoom", () => {
  for (const span of [
    { from: 0, to: 20 },
    { from: 7.3, to: 12.8 },
  ])
    for (let step = Math.ceil(span.from) + 1; step <= span.to; step += 1)
      assert.equal(axis.stepAt(span, 640, axis.xOf(span, 640, step - 0.5), 20), step);
  assert.equal(axis.stepAt({ from: 0, to: 20 }, 640, -50, 20), 1);
  assert.equal(axis.stepAt({ from: 0, to: 20 }, 640, 900, 20), 20);
});

test("zoom keeps what is below the pointer, ends at four steps, and out of it all is in sight", () => {
  const all = axis.spanOf({ from: null, to: null }, 2000);
  const near = axis.zoomed(all, 2000, 4, 500);
  assert.equal(axis.xOf(near, 100, 500), axis.xOf(all, 100, 500));
  let span = near;
  for (let time = 0; time < 30; time += 1) span = axis.zoomed(span, 2000, 2, 500);
  assert.equal(span.to - span.from, 4);
  assert.deepEqual(axis.zoomed(near, 2000, 1 / 8, 500), { from: null, to: null });
  assert.deepEqual(axis.moved(near, 2000, 1e9), { from: 1500, to: 2000 });
  assert.equal(axis.bringing({ from: 10, to: 20 }, 2000, 15), null);
  assert.deepEqual(axis.bringing({ from: 10, to: 20 }, 2000, 9), { from: 8, to: 18 });
  assert.deepEqual(axis.bringing({ from: 10, to: 20 }, 2000, 21), { from: 11, to: 21 });
});

test("numbers on the ruler keep apart, however many steps there are", () => {
  for (const last of [1, 7, 30, 2000, 40000]) {
    const ticks = axis.ticksOf({ from: 0, to: last }, 600);
    assert.ok(ticks.length <= 600 / 44 + 1, `${last}: ${ticks.length}`);
    assert.ok(ticks.length > 0 || last === 1);
  }
});

test("tracks fill their height, lanes get as much as they need or can have", () => {
  for (const height of [150, 220, 500])
    for (const lanes of [1, 3, 51]) {
      const { film, lanes: rows, curves } = axis.bandsOf(height, lanes);
      assert.ok(film.top + film.height <= rows.top);
      assert.ok(rows.top + rows.height <= curves[0].top);
      assert.ok(rows.height >= Math.min(lanes, 2) * axis.ROW);
      assert.ok(curves[2].top + curves[2].height <= height, `${height} ${lanes}`);
    }
});

test("a job stands with its whole family, each fork below the one that it branches off", () => {
  const model = family();
  const rows = timeline.lanesOf(model, model.jobs.deep);
  const brief = rows.map(({ id, depth, from, parent }) => [id, depth, from, parent]);
  assert.deepEqual(brief, [
    ["root", 0, 0, -1],
    ["early", 1, 4, 0],
    ["deep", 2, 8, 1],
    ["late", 1, 6, 0],
  ]);
  assert.equal(timeline.lastOf(model, rows), 16);
  assert.equal(timeline.lanesOf(model, model.jobs.root), rows, "made once");
});

test("parents that lead in a circle make an end", () => {
  const model = after(told(fork("a", "bb", 1, 1)), told(fork("bb", "a", 1, 2)));
  assert.ok(timeline.lanesOf(model, model.jobs.a).length <= 2);
});

test("edits, breakpoints, schedules, pauses and rewinds are marked where they are", () => {
  const modified_params = {
    3: { cfg: { from: 4, to: 7, from_step: 3 }, steps: { from: 9, to: 8, from_step: null } },
  };
  const breakpoints = [
    { kind: "step", value: 6, enabled: true, node_id: null, action: "pause" },
    { kind: "step", value: 8, enabled: true, node_id: null, action: "log" },
  ];
  const events = [
    { kind: "pause", step: 5, detail: {}, state_from: "running", state_to: "paused" },
    { kind: "edit", step: 5, detail: {}, state_from: "paused", state_to: "paused" },
    { kind: "segment", step: 5, detail: { step: 4, sigma: 2 }, state_from: "running", state_to: "running" },
    { kind: "rewind", step: 2, detail: {}, state_from: "paused", state_to: "paused" },
  ];
  const model = after(told(job("a", { modified_params, breakpoints })), {
    type: "events",
    job_id: "a",
    events,
  });
  const marks = timeline.marksOf(model, model.jobs.a);
  assert.deepEqual(
    marks.map(({ step, kind }) => [step, kind]),
    [
      [2, "rewind"],
      [3, "edit"],
      [4, "segment"],
      [5, "pause"],
      [6, "stop"],
      [8, "log"],
    ],
  );
  assert.equal(marks[1].told, "cfg 4 → 7");
  assert.equal(timeline.nextMark(marks, 5, 1), 6);
  assert.equal(timeline.nextMark(marks, 5, -1), 4);
  assert.equal(timeline.nextMark(marks, 8, 1), null);
});

test("what is of another sampler is not marked on the axis of this one", () => {
  const edit = (to, from_step) => ({ from: 4, to, from_step });
  const modified_params = { 3: { cfg: edit(7, 3), seed: edit(8, 1) }, 9: { cfg: edit(5, 2), chosen: edit(6, 0) } };
  const modified_in = { 3: { cfg: "3", seed: "9" }, 9: { cfg: "9" } };
  const events = [
    { kind: "pause", node_id: "9", step: 4, detail: {}, state_from: "running", state_to: "paused" },
    { kind: "segment", node_id: "9", step: 4, detail: { step: 5 }, state_from: "running", state_to: "running" },
    { kind: "pause", node_id: "3", step: 6, detail: {}, state_from: "running", state_to: "paused" },
    { kind: "rewind", node_id: null, step: 7, detail: {}, state_from: "paused", state_to: "paused" },
  ];
  const parent = { job_id: "p", step: 1, node_id: "9" };
  const at = (node_id, known) => {
    const one = job("a", { node_id, modified_params, modified_in, parent });
    const model = after(told(one), { type: "events", job_id: "a", events: known });
    return timeline.marksOf(model, one).map(({ step, kind }) => `${step} ${kind}`);
  };
  assert.deepEqual(at("3", events), ["0 edit", "3 edit", "6 pause", "7 rewind"]);
  assert.deepEqual(at("9", events), ["0 edit", "1 edit", "1 fork", "2 edit", "4 pause", "5 segment", "7 rewind"]);
  const froms = ["3", "9"].map((node_id) => {
    const model = after(told(job("p", { node_id })), told(job("a", { node_id, parent })));
    return timeline.lanesOf(model, model.jobs.a).map(({ from }) => from);
  });
  assert.deepEqual(froms, [[0, 0], [0, 1]], "where the lane of the fork begins");
  assert.deepEqual(editMarks(job("a", { node_id: "9", modified_params, modified_in })), [0.1, 0.2, 0]);
});

test("the film strip has only pictures that were made, and as many as fit", () => {
  const made = Array.from({ length: 2000 }, (_, index) => preview(index + 1));
  const thumbs = timeline.thumbsOf(made, { from: 0, to: 2000 }, 600, 50, 2000);
  assert.ok(thumbs.length <= 15 && thumbs.length >= 6, String(thumbs.length));
  for (const { first, last, shown } of thumbs) assert.ok(first <= shown.step && shown.step <= last);
  const near = timeline.thumbsOf(made, { from: 100, to: 110 }, 600, 50, 2000);
  assert.deepEqual(
    near.map((one) => one.shown.step).sort((a, b) => a - b),
    [101, 102, 103, 104, 105, 106, 107, 108, 109, 110],
  );
  const slots = (from) =>
    timeline
      .thumbsOf(made, { from, to: from + 10 }, 600, 50, 2000)
      .map(({ slot, shown }) => [shown.step, slot]);
  const moved = new Map(slots(101));
  for (const [step, slot] of slots(100))
    assert.ok(!moved.has(step) || moved.get(step) === slot, "it keeps its element");
  assert.deepEqual(timeline.thumbsOf([], { from: 0, to: 9 }, 600, 50, 9), []);
});

test("a dragged cursor shows what was made, and asks for nothing", () => {
  const model = after(told(job("a", { step: 6 })), {
    type: "previews",
    job_id: "a",
    previews: [2, 4].map((n) => preview(n)),
  });
  const frames = framesOf(model, model.jobs.a, "3");
  assert.equal(frames, framesOf(model, model.jobs.a, "3"), "listed once");
  assert.deepEqual(
    [0, 1, 2, 4].map((index) => passedUrl(frames, index)),
    ["u2", "u2", "u2", "u4"],
  );
});

test("one cursor is seen in all views, and only of its job and node", () => {
  let model = after(told(job("a", { step: 6 })), told(job("bb")), { type: "open", job_id: "a" });
  model = reduce(model, { type: "cursor", job_id: "a", node_id: "3", step: 4 });
  assert.equal(cursorStep(model, model.jobs.a, "3"), 4);
  assert.equal(cursorStep(model, model.jobs.a, "9"), null);
  assert.equal(cursorStep(model, model.jobs.bb, "3"), null);
  model = reduce(model, { type: "view", job_id: "a", node_id: "3", step: 5 });
  assert.equal(cursorStep(model, model.jobs.a, null), 5, "the viewer moves it");
  model = reduce(model, { type: "view", job_id: null });
  assert.equal(cursorStep(model, model.jobs.a, null), 5, "and leaves it there");
  model = reduce(model, { type: "open", job_id: "bb" });
  assert.equal(model.cursor, null);
  assert.equal(focusOf(model)?.job_id, "bb", "the timeline follows the panel");
});

test("a cursor at a step that its job no longer has follows the job, and does not come back", () => {
  const newer = (minute, more) => told(job("a", { ...more, updated_at: `2026-01-01T00:0${minute}:00Z` }));
  let model = after(told(job("a", { step: 8 })), { type: "cursor", job_id: "a", node_id: "3", step: 8 });
  model = reduce(model, newer(2, { step: 4, take: { node_id: "3", step: 9 } }));
  assert.equal(cursorStep(model, model.jobs.a, "3"), 8, "a rewind left it over");
  const beyond = { ...model, jobs: { a: job("a", { step: 4 }) } };
  assert.equal(cursorStep(beyond, beyond.jobs.a, "3"), null);
  model = [newer(3, { step: 5 }), newer(4, { step: 9 })].reduce(reduce, model);
  assert.equal(cursorStep(model, model.jobs.a, "3"), null);
});

test("a cursor stays with the node that it was set at, also where that was not said", () => {
  const moved = told(job("a", { node_id: "7", step: 6, updated_at: "2026-01-01T00:02:00Z" }));
  for (const set of [
    [{ type: "cursor", job_id: "a", step: 4 }],
    [{ type: "view", job_id: "a", step: 4 }],
    [told(job("bb", { step: 5 })), { type: "cursor", job_id: "bb", step: 4 }, { type: "focus", job_id: "a" }],
  ]) {
    const model = [...set, moved].reduce(reduce, after(told(job("a", { step: 5 }))));
    assert.equal(cursorStep(model, model.jobs.a, "3"), 4, set[0].type);
    assert.equal(cursorStep(model, model.jobs.a, null), null, set[0].type);
  }
});

test("a branch is looked at at the same step, and an open panel follows", () => {
  let model = reduce(family(), { type: "open", job_id: "early" });
  model = reduce(model, { type: "cursor", job_id: "early", node_id: "3", step: 5 });
  model = reduce(model, { type: "timeline", from: 2, to: 9 });
  model = reduce(model, { type: "focus", job_id: "deep" });
  assert.equal(model.tray.open, "deep");
  assert.equal(cursorStep(model, model.jobs.deep, "3"), 5);
  assert.deepEqual([model.timeline.from, model.timeline.to], [2, 9], "within a family the zoom stays");
  model = reduce(model, { type: "focus", job_id: "other" });
  assert.deepEqual([model.timeline.from, model.timeline.to], [null, null]);
  model = reduce({ ...model, tray: { ...model.tray, open: null } }, { type: "focus", job_id: "root" });
  assert.equal(model.tray.open, null, "the list stays a list");
});

test("without a choice the timeline shows what lives, else the newest; of what is gone nothing stays", () => {
  assert.equal(focusOf(after()), null);
  const model = family();
  assert.equal(focusOf(model)?.job_id, "other");
  const gone = [
    { type: "cursor", job_id: "late", node_id: "3", step: 7 },
    { type: "gone", job_ids: ["late"] },
  ].reduce(reduce, model);
  assert.equal(gone.cursor, null);
  assert.equal(gone.timeline.job_id, null);
});

test("the zoom goes with the job that the timeline was about, also one that nobody chose", () => {
  const zoomed = { type: "timeline", from: 2, to: 7, top: 40, hover: 5, width: 900 };
  for (const [chosen, id] of [
    [{ type: "focus", job_id: "late" }, "late"],
    [{ type: "timeline" }, "other"],
  ]) {
    const model = [chosen, zoomed].reduce(reduce, family());
    const kept = reduce(model, { type: "gone", job_ids: ["deep"] }).timeline;
    assert.deepEqual([kept.from, kept.to, kept.top, kept.hover], [2, 7, 40, 5], "another's");
    const { from, to, top, hover, width } = reduce(model, { type: "gone", job_ids: [id] }).timeline;
    assert.deepEqual([from, to, top, hover, width], [null, null, 0, null, 900], id);
  }
});

test("lanes are found by their height, and scrolled into sight", () => {
  let model = after(
    told(job("root", { state: "completed", ...at(0) })),
    ...Array.from({ length: 50 }, (_, index) => told(fork(`f${index}`, "root", 3, index + 1))),
  );
  model = reduce(model, { type: "timeline", width: 1200, height: 220 });
  const shape = shapeOf(model, model.jobs.root);
  assert.equal(shape.rows.length, 51);
  assert.equal(laneAt(shape, shape.bands.lanes.top + 1)?.id, "root");
  assert.equal(laneAt(shape, shape.bands.lanes.top - 1), null);
  const top = topFor(shape, "f49");
  const below = shapeOf(reduce(model, { type: "timeline", top }), model.jobs.root);
  assert.equal(laneAt(below, below.bands.lanes.top + below.bands.lanes.height - 1)?.id, "f49");
});

test("parameters stand beside the tracks where there is room and they are nowhere else", () => {
  const of = (...actions) => {
    const model = [told(job("a")), ...actions].reduce(reduce, after());
    return showsParams(model, model.jobs.a);
  };
  const wide = { type: "timeline", width: 1200, height: 220 };
  const open = [
    { type: "tray", shown: true },
    { type: "open", job_id: "a" },
  ];
  assert.equal(of(wide), true);
  assert.equal(of({ ...wide, width: 700 }), false);
  assert.equal(of(wide, ...open), false);
  assert.equal(of(wide, ...open, { type: "tray", tab: "log" }), true);
  assert.equal(of({ ...wide, width: 700, params: true }), true);
});

test("a rewind leaves steps that can still be looked at", () => {
  assert.equal(lastStep(job("a", { step: 4, take: { node_id: "3", step: 9 } })), 9);
  assert.equal(lastStep(job("a", { step: 4, take: { node_id: "7", step: 9 } })), 4);
});

test("a curve is as high as what is in sight of it, and its line goes on to both sides", () => {
  const measured = new Map(
    [5, 1, 2, 3, 4, 6].map((step) => [step, { step, sigma: 2 ** -step, change: step === 1 ? null : step, seconds: NaN }]),
  );
  const points = timeline.pointsOf(measured, "sigma");
  const steps = (found) => [...found.steps];
  assert.deepEqual(steps(points), [1, 2, 3, 4, 5, 6]);
  assert.equal(timeline.pointsOf(measured, "sigma"), points, "made once");
  assert.deepEqual(steps(timeline.pointsOf(measured, "change")), [2, 3, 4, 5, 6]);
  assert.deepEqual(steps(timeline.pointsOf(measured, "seconds")), []);
  assert.deepEqual(timeline.rangeOf(points, { from: 0, to: 6 }), { low: 2 ** -6, high: 0.5 });
  assert.deepEqual(timeline.rangeOf(points, { from: 2.5, to: 4 }), { low: 2 ** -4, high: 2 ** -3 });
  assert.equal(timeline.rangeOf(points, { from: 6, to: 9 }), null);
  assert.deepEqual(steps(timeline.inSight(points, { from: 2.5, to: 4 })), [2, 3, 4, 5]);
  assert.deepEqual(steps(timeline.inSight(points, { from: 0, to: 6 })), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...timeline.inSight(points, { from: 2.5, to: 4 }).values], [2 ** -2, 2 ** -3, 2 ** -4, 2 ** -5]);
  assert.deepEqual(steps(timeline.inSight(points, { from: 6, to: 9 })), []);
});

/** What of it was painted: rectangles, and the points of lines. */
function painted(model, one, shape) {
  const done = { rects: [], lines: [] };
  const verbs = {
    fillRect: (...box) => done.rects.push({ ink: pen.fillStyle, box }),
    lineTo: (x, y) => done.lines.push({ ink: pen.strokeStyle, x, y }),
  };
  const pen = new Proxy(verbs, { get: (known, name) => known[name] ?? (() => {}) });
  const ink = new Proxy({}, { get: (_, name) => name });
  paintTimeline({ getContext: () => pen }, model, one, shape, ink, 1);
  return done;
}

test("from each number on the ruler a line goes down to its values, which fill their track when one zooms", () => {
  const telemetry = Array.from({ length: 40 }, (_, at) => ({ node_id: "3", step: at + 1, sigma: 2 ** -at }));
  const model = after(told(job("a", { state: "completed", node_id: "3", step: 40, total_steps: 40 })));
  model.telemetry = { a: telemetry };
  model.timeline = { ...model.timeline, width: 800, height: 400, from: 20, to: 30 };
  const shape = shapeOf(model, model.jobs.a);
  const { rects, lines } = painted(model, model.jobs.a, shape);
  const grid = rects.filter(({ ink }) => ink === "grid").map(({ box }) => box);
  const ticks = axis.ticksOf(shape.span, shape.columns.plot);
  assert.ok(ticks.length > 4);
  const places = ticks.map((step) => Math.round(axis.xOf(shape.span, shape.columns.plot, step - 0.5)));
  assert.deepEqual(grid.map(([x]) => x), places);
  for (const [, y, wide, high] of grid) assert.deepEqual([wide, y + high], [1, shape.height]);
  const band = shape.bands.curves[0];
  const inside = lines.filter(({ ink, x, y }) => ink === "sigma" && y > band.top && x > 0 && x < shape.columns.plot);
  const heights = inside.map(({ y }) => y - band.top);
  assert.ok(Math.max(...heights) - Math.min(...heights) > band.height * 0.7, String(heights));
});

test("short steps are told in milliseconds", () => {
  const told = [0.0216, 0.0999, 0.1, 2.5].map((seconds) => amount("seconds", seconds));
  assert.deepEqual(told, ["21.6 ms", "99.9 ms", "0.100 s", "2.50 s"]);
});
