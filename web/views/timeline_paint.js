// Paints what of the timeline does not move with the cursor, on one canvas: overview, ruler, marks, lanes, curves.
import { ROW, ticksOf, xOf } from "../model/axis.js";
import { lastStep } from "../model/select_cursor.js";
import { CURVES, editsOn, endOf, inSight, marksOf, measuredOf, pointsOf, rangeOf, rangesOf } from "../model/select_timeline.js";
import { stopSteps } from "../model/select_travel.js";
import { paintMark } from "./timeline_marks.js";
/** @import { Band, Span } from "../model/axis.js" */
/** @import { Shape } from "../model/select_shape.js" */
/** @import { Lane, Points, Range } from "../model/select_timeline.js" */
/** @import { Job, Model } from "../model/types.js" */
/** @import { Ink } from "./timeline_marks.js" */

/** @typedef {{ pen: CanvasRenderingContext2D, model: Model, job: Job, shape: Shape, ink: Ink }} Scene */

/** @typedef {{ from: number, at: number, each: number }} Scale  at: where `from` is, in pixels; each: pixels of one */

const BAND = 8; // pixels of the bar of a lane
const TICK = 4; // pixels below a number

/** @param {HTMLCanvasElement} canvas @param {Model} model @param {Job} job @param {Shape} shape @param {Ink} ink @param {number} scale device pixels of a pixel */
export function paintTimeline(canvas, model, job, shape, ink, scale) {
  const [width, height] = [shape.columns.plot, shape.height];
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide) canvas.width = wide; // which takes it new memory
  if (canvas.height !== high) canvas.height = high;
  const pen = canvas.getContext("2d");
  if (pen === null) return;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  const scene = { pen, model, job, shape, ink };
  paintOverview(scene);
  paintRuler(scene);
  paintGrid(scene);
  paintLanes(scene);
  const measured = measuredOf(model, job);
  const ranges = rangesOf(measured, shape.span);
  CURVES.forEach((name, at) =>
    paintCurve(scene, shape.bands.curves[at], inSight(pointsOf(measured, name), shape.span), ranges[at], ink[name]),
  );
  paintGuides(scene);
}

/** All steps, with the part that is in sight. @param {Scene} scene */
function paintOverview({ pen, model, job, shape, ink }) {
  const { bands, columns, last, span } = shape;
  const { top, height } = bands.overview;
  const all = { from: 0, to: last };
  const x = (/** @type {number} */ at) => xOf(all, columns.plot, at);
  pen.fillStyle = ink.ground;
  pen.fillRect(0, top + 1, columns.plot, height - 4);
  pen.save();
  pen.globalAlpha = 0.5;
  pen.fillStyle = inkOf(ink, job);
  pen.fillRect(0, top + height - 6, x(job.step), 3);
  pen.restore();
  const points = pointsOf(measuredOf(model, job), "sigma");
  line(pen, points, across(all, columns.plot), upward(rangeOf(points, all), top + 2, height - 8), ink.sigma);
  pen.fillStyle = ink.fg;
  for (const { step } of editsOn(job)) pen.fillRect(x(step) - 0.5, top + 1, 1.5, height - 4);
  if (span.to - span.from >= last) return;
  pen.save();
  pen.globalAlpha = 0.18;
  pen.fillStyle = ink.fg;
  pen.fillRect(x(span.from), top + 1, x(span.to) - x(span.from), height - 4);
  pen.restore();
  pen.strokeStyle = ink.fg;
  pen.strokeRect(x(span.from) + 0.5, top + 1.5, Math.max(2, x(span.to) - x(span.from) - 1), height - 5);
}

/** @param {Scene} scene */
function paintRuler({ pen, model, job, shape, ink }) {
  const { bands, columns, span } = shape;
  const { top, height } = bands.ruler;
  const x = (/** @type {number} */ at) => xOf(span, columns.plot, at);
  pen.font = "10px Inter, system-ui, sans-serif";
  pen.textAlign = "center";
  pen.fillStyle = ink.muted;
  for (const step of ticksOf(span, columns.plot)) pen.fillText(String(step), x(step - 0.5), top + 10);
  pen.fillStyle = ink.line;
  pen.fillRect(0, top + height - 1, columns.plot, 1);
  /** @type {Map<number, number>} */ const there = new Map(); // marks at the same step stand beside each other
  for (const { step, kind } of marksOf(model, job)) {
    const at = x(step);
    if (at < -8 || at > columns.plot + 8) continue;
    const before = there.get(step) ?? 0;
    there.set(step, before + 1);
    paintMark(pen, kind, Math.min(columns.plot - 5, Math.max(5, at)) + before * 10, top + 20, ink);
  }
}

/** From each number on the ruler down to its values. @param {Scene} scene */
function paintGrid({ pen, shape, ink }) {
  const { bands, columns, span, height } = shape;
  const top = bands.ruler.top + bands.ruler.height - TICK;
  pen.fillStyle = ink.grid;
  for (const step of ticksOf(span, columns.plot))
    pen.fillRect(Math.round(xOf(span, columns.plot, step - 0.5)), top, 1, height - top);
}

/** @param {Scene} scene */
function paintLanes(scene) {
  const { pen, model, job, shape, ink } = scene;
  const { bands, rows, top, columns, span } = shape;
  const y = (/** @type {number} */ row) => bands.lanes.top + row * ROW - top + ROW / 2;
  const x = (/** @type {number} */ at) => xOf(span, columns.plot, at);
  const [first, past] = [Math.floor(top / ROW), Math.ceil((top + bands.lanes.height) / ROW)];
  pen.save();
  pen.beginPath();
  pen.rect(0, bands.lanes.top, columns.plot, bands.lanes.height);
  pen.clip();
  rows.forEach((lane, row) => {
    const inSight = row >= first && row < past;
    if (lane.parent >= 0 && row >= first && lane.parent < past)
      paintBranch(pen, x(lane.from), y(lane.parent), y(row), ink);
    if (inSight)
      paintLane(pen, model.jobs[lane.id], lane, y(row), x, lane.id === job.job_id, columns.plot, ink);
  });
  paintScrolled(scene);
  pen.restore();
}

/** Which of the lanes are in sight, where there are more. @param {Scene} scene */
function paintScrolled({ pen, shape, ink }) {
  const { bands, rows, top, columns } = shape;
  const { height } = bands.lanes;
  const all = rows.length * ROW;
  if (all <= height) return;
  pen.fillStyle = ink.muted;
  pen.fillRect(columns.plot - 3, bands.lanes.top + (top / all) * height, 3, (height / all) * height);
}

/** From the lane that it comes from, down. @param {CanvasRenderingContext2D} pen @param {number} x @param {number} from @param {number} to @param {Ink} ink */
function paintBranch(pen, x, from, to, ink) {
  pen.strokeStyle = ink.muted;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x, from);
  pen.lineTo(x, to - 5);
  pen.quadraticCurveTo(x, to, x + 5, to);
  pen.stroke();
  pen.lineWidth = 1;
}

/** @param {CanvasRenderingContext2D} pen @param {Job} one @param {Lane} lane @param {number} y @param {(at: number) => number} x @param {boolean} own @param {number} width @param {Ink} ink */
function paintLane(pen, one, lane, y, x, own, width, ink) {
  const [from, now, reached, end] = [lane.from, one.step, lastStep(one), endOf(one)].map(x);
  if (own) {
    pen.fillStyle = ink.ground;
    pen.fillRect(0, y - ROW / 2, width, ROW);
  }
  pen.strokeStyle = ink.line;
  pen.strokeRect(from + 0.5, y - BAND / 2 + 0.5, Math.max(1, end - from - 1), BAND - 1);
  pen.fillStyle = inkOf(ink, one);
  pen.globalAlpha = 0.35;
  if (reached > now) pen.fillRect(now, y - BAND / 2, reached - now, BAND);
  pen.globalAlpha = own ? 1 : 0.75;
  pen.fillRect(from, y - BAND / 2, Math.max(2, now - from), BAND);
  pen.globalAlpha = 1;
  for (const { step } of editsOn(one)) if (step >= lane.from) paintMark(pen, "edit", x(step), y, ink);
  for (const { step, logOnly } of stopSteps(one))
    if (step > one.step) paintMark(pen, logOnly ? "log" : "stop", x(step), y, ink);
}

/**
 * As high as its band, of what is in sight: further in, the line tells more.
 * @param {Scene} scene @param {Band} band @param {Points} points @param {Range | null} range @param {string} colour
 */
function paintCurve({ pen, shape, ink }, band, points, range, colour) {
  const { columns, span } = shape;
  const [x, y] = [across(span, columns.plot), upward(range, band.top + 4, band.height - 8)];
  pen.fillStyle = ink.ground;
  pen.fillRect(0, band.top + 1, columns.plot, band.height - 2);
  pen.save();
  pen.beginPath();
  pen.rect(0, band.top + 1, columns.plot, band.height - 2);
  pen.clip();
  line(pen, points, x, y, colour);
  pen.fillStyle = colour;
  if (points.steps.length <= columns.plot / 10)
    points.steps.forEach((step, at) => pen.fillRect(on(x, step) - 1.5, on(y, points.values[at]) - 1.5, 3, 3));
  pen.restore();
}

/** Edits and new schedules go down through all tracks. @param {Scene} scene */
function paintGuides({ pen, model, job, shape, ink }) {
  const { bands, columns, span, height } = shape;
  pen.save();
  pen.strokeStyle = ink.muted;
  pen.globalAlpha = 0.6;
  pen.setLineDash([2, 3]);
  pen.beginPath();
  for (const { step, kind } of marksOf(model, job)) {
    if (kind !== "edit" && kind !== "segment" && kind !== "fork") continue;
    const at = Math.round(xOf(span, columns.plot, step)) + 0.5;
    pen.moveTo(at, bands.ruler.top + bands.ruler.height);
    pen.lineTo(at, height);
  }
  pen.stroke();
  pen.restore();
}

/** @param {CanvasRenderingContext2D} pen @param {Points} points @param {Scale} x @param {Scale} y @param {string} colour */
function line(pen, { steps, values }, x, y, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.lineJoin = "round";
  pen.beginPath();
  for (let at = 0; at < steps.length; at += 1) pen.lineTo(on(x, steps[at]), on(y, values[at]));
  pen.stroke();
  pen.lineWidth = 1;
}

/** Of steps, to the middles of their cells. @param {Span} span @param {number} width @returns {Scale} */
const across = ({ from, to }, width) => ({ from: from + 0.5, at: 0, each: width / (to - from) });

/** Of values, the largest at the top; where all are the same, halfway. @param {Range | null} range @param {number} top @param {number} height @returns {Scale} */
function upward(range, top, height) {
  const each = range === null ? Infinity : height / (range.high - range.low);
  if (range === null || !Number.isFinite(each)) return { from: 0, at: top + height / 2, each: 0 };
  return { from: range.low, at: top + height, each: -each };
}

/** @param {Scale} scale @param {number} value */
const on = ({ from, at, each }, value) => at + (value - from) * each;

/** @param {Ink} ink @param {Job} job */
function inkOf(ink, { state }) {
  if (state === "running" || state === "queued") return ink.running;
  if (state === "paused" || state === "pausing") return ink.paused;
  return state === "failed" || state === "aborted" ? ink.failed : ink.quiet;
}
