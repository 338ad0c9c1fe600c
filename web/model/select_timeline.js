// What the timeline shows: lanes of a family of jobs, marks, thumbnails, and what is to be read off at a step. Pure functions.
import { onceFor, remembering } from "../ui/records.js";
import { strideOf } from "./axis.js";
import { isCounted } from "./select.js";
import { lastStep } from "./select_cursor.js";
import { rootOf } from "./select_family.js";
import { stopSteps } from "./select_travel.js";
/** @import { Span } from "./axis.js" */
/** @import { Job, Measured, Model, Preview } from "./types.js" */

/** @typedef {{ id: string, depth: number, from: number, parent: number }} Lane  from: the step that it branches off at; parent: the row of the lane that it branches off, or -1 */
/** @typedef {"edit" | "stop" | "log" | "segment" | "pause" | "rewind" | "fork"} MarkKind */
/** @typedef {{ step: number, kind: MarkKind, told: string }} Mark  told: what an edit changed */

/** @type {("sigma" | "change" | "seconds")[]} */
export const CURVES = ["sigma", "change", "seconds"];

/** The job with all that it comes from and that come from it, each below the one that it was forked from. @param {Model} model @param {Job} job @returns {Lane[]} */
export const lanesOf = (model, job) => lanes(model.jobs, model.order, rootOf(model, job));

const lanes = remembering(
  (/** @type {Model["jobs"]} */ jobs, /** @type {string[]} */ order, /** @type {string} */ root) => {
    /** @type {Map<string, string[]>} */ const children = new Map();
    for (let at = order.length - 1; at >= 0; at -= 1) {
      const parent = jobs[order[at]].parent?.job_id;
      if (parent === undefined || parent === order[at]) continue;
      const known = children.get(parent);
      if (known) known.push(order[at]);
      else children.set(parent, [order[at]]);
    }
    /** @type {Lane[]} */ const rows = [];
    /** @type {{ id: string, depth: number, parent: number }[]} */ const left = [
      { id: root, depth: 0, parent: -1 },
    ];
    const seen = new Set();
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      if (seen.has(one.id)) continue;
      seen.add(one.id);
      const row = rows.length;
      rows.push({ ...one, from: one.parent < 0 ? 0 : forkedAt(jobs[one.id]) });
      const below = (children.get(one.id) ?? []).map((id) => ({
        id,
        depth: (one?.depth ?? 0) + 1,
        parent: row,
      }));
      left.push(...below.reverse());
    }
    return rows;
  },
);

/** The step at which a fork begins on its axis: 0 where another node's are counted there. @param {Job} job */
const forkedAt = (job) => (job.parent && isCounted(job, job.parent.node_id) ? job.parent.step : 0);

/** Steps that a job has or will have. @param {Job} job */
export const endOf = (job) => Math.max(1, lastStep(job), job.total_steps ?? 0);

/** The last step of all lanes. @param {Model} model @param {Lane[]} rows */
export const lastOf = ({ jobs }, rows) => rows.reduce((last, { id }) => Math.max(last, endOf(jobs[id])), 1);

/** Everything that is marked on the axis of a job, by step. @param {Model} model @param {Job} job */
export const marksOf = (model, job) => marks(job, model.events[job.job_id]);

const marks = remembering((/** @type {Job} */ job, /** @type {any[] | undefined} */ events) => {
  const here = (events ?? []).filter((one) => isCounted(job, one.node_id));
  const found = [...editsOn(job), ...stopSteps(job).map(stopMark), ...here.flatMap(eventMark)];
  if (job.parent && isCounted(job, job.parent.node_id))
    found.push({ step: job.parent.step, kind: "fork", told: "" });
  const once = new Map(found.map((one) => [`${one.step} ${one.kind} ${one.told}`, one]));
  return [...once.values()].sort((a, b) => a.step - b.step);
});

/** @param {{ step: number, logOnly: boolean }} stop @returns {Mark} */
const stopMark = ({ step, logOnly }) => ({ step, kind: logOnly ? "log" : "stop", told: "" });

/** @param {any} event @returns {Mark[]} */
function eventMark({ kind, step, detail, state_from, state_to }) {
  if (kind === "segment") return [{ step: detail?.step ?? step, kind: "segment", told: "" }];
  if (kind === "rewind") return [{ step, kind: "rewind", told: "" }];
  return state_to === "paused" && state_from !== "paused" ? [{ step, kind: "pause", told: "" }] : [];
}

/** Where edits of a job took effect, with the node whose step that is. @param {Job} job @returns {(Mark & { node?: string })[]} */
export const editsOf = (job) =>
  Object.entries(job.modified_params).flatMap(([node, named]) =>
    Object.entries(named).flatMap(([input, { from_step, from, to }]) => {
      const found = { kind: /** @type {const} */ ("edit"), told: said(input, from, to), node: job.modified_in[node]?.[input] };
      return from_step === null ? [] : [{ step: from_step, ...found }];
    }),
  );

/** Those on the axis of a job, which has the steps of the node that it is at. @param {Job} job */
export const editsOn = (job) => editsOf(job).filter((one) => isCounted(job, one.node));

/** @param {string} input @param {any} from @param {any} to */
function said(input, from, to) {
  const brief = (/** @type {any} */ value) =>
    String(value).length > 24 ? `${String(value).slice(0, 24)}…` : String(value);
  return `${input} ${brief(from)} → ${brief(to)}`;
}

/** The mark before or after a step, or null. @param {Mark[]} all @param {number} step @param {1 | -1} direction @returns {number | null} */
export function nextMark(all, step, direction) {
  const steps = all.map((one) => one.step).filter((one) => one >= 1);
  const found = direction > 0 ? steps.find((one) => one > step) : steps.findLast((one) => one < step);
  return found ?? null;
}

/** @typedef {{ slot: number, first: number, last: number, shown: Preview }} Thumb  slot: its place among those in sight, which stays while it is in sight */

/**
 * The pictures that fit on the film strip: of so many steps the last that has one. Those that were never made are not
 * asked for: the server would have to decode them. In the order of their slots, so that an element comes or goes or
 * moves in the page only when the zoom changes.
 * @param {Preview[]} made of one node, by step @param {Span} span @param {number} width
 * @param {number} pixels of a picture @param {number} last step of all @returns {Thumb[]}
 */
export function thumbsOf(made, span, width, pixels, last) {
  const stride = strideOf(span, width, pixels * 0.85, true);
  const slots = Math.ceil((span.to - span.from) / stride) + 1;
  /** @type {Thumb[]} */ const found = [];
  let at = made.findIndex((one) => one.step > Math.floor(span.from / stride) * stride);
  if (at < 0) return found;
  for (; at < made.length && made[at].step - 1 < span.to; at += 1) {
    const group = Math.floor((made[at].step - 1) / stride);
    const first = group * stride + 1;
    const before = found[found.length - 1];
    if (before?.first === first) before.shown = made[at];
    else
      found.push({ slot: group % slots, first, last: Math.min(first + stride - 1, last), shown: made[at] });
  }
  return found.sort((a, b) => a.slot - b.slot);
}

/** What was measured of a node, by step. @param {Model} model @param {Job} job @returns {Map<number, Measured>} */
export const measuredOf = (model, job) => byStep(model.telemetry[job.job_id], job.node_id);

const byStep = remembering(
  (/** @type {Measured[] | undefined} */ measured, /** @type {string | null} */ nodeId) =>
    new Map(
      (measured ?? [])
        .filter((one) => nodeId === null || one.node_id === nodeId)
        .map((one) => [one.step, one]),
    ),
);

/** @typedef {{ steps: Int32Array, values: Float64Array }} Points  of a curve, by step: maybe thousands, and no object for each */
/** @typedef {{ low: number, high: number }} Range */

/**
 * A curve of what was measured: its points.
 * @param {Map<number, Measured>} measured @param {"sigma" | "change" | "seconds"} name
 */
export const pointsOf = (measured, name) => pointsOfAll(measured)[name];

const pointsOfAll = onceFor((/** @type {Map<number, Measured>} */ measured) => {
  const all = [...measured.values()].sort((a, b) => a.step - b.step);
  const points = (/** @type {"sigma" | "change" | "seconds"} */ name) => {
    const known = all.filter((one) => one[name] !== null && Number.isFinite(one[name]));
    return {
      steps: Int32Array.from(known, (one) => one.step),
      values: Float64Array.from(known, (one) => Number(one[name])),
    };
  };
  return { sigma: points("sigma"), change: points("change"), seconds: points("seconds") };
});

/** The points of the steps in sight, with one more on either side, to which the line goes on. @param {Points} points @param {Span} span @returns {Points} */
export function inSight({ steps, values }, { from, to }) {
  const first = steps.findIndex((step) => step > from);
  const past = steps.findIndex((step) => step - 1 >= to);
  const [begin, end] = [first < 0 ? steps.length : Math.max(0, first - 1), past < 0 ? steps.length : past + 1];
  return { steps: steps.subarray(begin, end), values: values.subarray(begin, end) };
}

/** The ranges of all curves. @param {Map<number, Measured>} measured @param {Span} span */
export const rangesOf = (measured, { from, to }) => ranges(measured, from, to);

const ranges = remembering((/** @type {Map<number, Measured>} */ measured, /** @type {number} */ from, /** @type {number} */ to) =>
  CURVES.map((name) => rangeOf(pointsOf(measured, name), { from, to })),
);

/** The least and the largest value of the steps in sight, or null where there is none. @param {Points} points @param {Span} span @returns {Range | null} */
export function rangeOf({ steps, values }, { from, to }) {
  let [low, high] = [Infinity, -Infinity];
  for (let at = 0; at < steps.length; at += 1) {
    if (steps[at] <= from || steps[at] - 1 >= to) continue;
    low = Math.min(low, values[at]);
    high = Math.max(high, values[at]);
  }
  return low > high ? null : { low, high };
}
