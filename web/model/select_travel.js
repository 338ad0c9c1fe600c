// What the views of time travel and breakpoints want to know of the model. Pure functions.
import { remembering } from "./select.js";
import { parsed } from "./reducer_editor.js";
/** @import { Breakpoint, BreakpointForm, ForkDialog, Input, Job, Measured, Model } from "./types.js" */

const STANDS = ["paused", "failed", "aborted", "completed"];
export const MOST_FORKS = 16;
const MOST_MARKS = 60; // dots on a bar; with more they are a line

/** Whether a rewind can be taken back now. @param {Job} job */
export const canUndoRewind = (job) => Boolean(job.take) && STANDS.includes(job.state);

/** Whether the job can be set back to that step. @param {Job} job @param {{ node_id: string, step: number } | undefined} shown */
export function canRewind(job, shown) {
  if (!shown || !STANDS.includes(job.state)) return false;
  return shown.node_id !== job.node_id || shown.step < job.step;
}

/** The rewind after which an input can be edited, where the job can be rewound now. @param {Job} job @param {Input} input */
export const rewindFor = (job, input) => (STANDS.includes(job.state) && input.rewind) || null;

/** Whether a new job can go on from that step. @param {Job} job @param {{ node_id: string, step: number } | undefined} shown */
export const canFork = (job, shown) =>
  shown !== undefined && job.state !== "queued" && (shown.node_id !== job.node_id || shown.step <= job.step);

/** From and to where, from 0 to 1, the steps go that a rewind left over. @param {Job} job @returns {[number, number] | null} */
export function leftOver(job) {
  const { take, total_steps: total } = job;
  if (!take || !total || take.node_id !== job.node_id || take.step <= job.step) return null;
  return [Math.min(1, job.step / total), Math.min(1, take.step / total)];
}

/** Where it will pause by itself at a step, from 0 to 1. @param {Job} job @returns {{ at: number, step: number, logOnly: boolean }[]} */
export function stepMarks(job) {
  const total = job.total_steps;
  if (!total) return [];
  /** @type {Map<number, boolean>} */ const found = new Map(); // step -> whether it is only noted
  for (const { kind, value, enabled, node_id, iteration, log_only } of job.breakpoints ?? []) {
    if (!enabled || !value || !isAbout(job, node_id, iteration)) continue;
    if (kind === "step" && value <= total) found.set(value, log_only && found.get(value) !== false);
    if (kind !== "every" || total / value > MOST_MARKS) continue;
    for (let step = value; step <= total; step += value)
      found.set(step, log_only && found.get(step) !== false);
  }
  return [...found].map(([step, logOnly]) => ({ at: step / total, step, logOnly }));
}

/** Whether a breakpoint is about where the job samples now. @param {Job} job @param {string | null} nodeId @param {number | null} [iteration] */
const isAbout = (job, nodeId, iteration) =>
  (nodeId === null || nodeId === job.node_id || nodeId === job.display_node_id) &&
  (!iteration || iteration === job.iteration);

/**
 * A breakpoint as a sentence: a key of the texts and its values.
 * @param {Breakpoint} one @param {(nodeId: string) => string} title of a node
 * @returns {[string, Record<string, string | number>]}
 */
export function breakpointSentence(one, title) {
  const { from = "", to = "", above = 0, below = 0 } = one;
  const node = one.node_id === null ? "" : title(one.node_id);
  const values = { n: one.value ?? 0, node, from, to, above, below };
  return [`breakpoint.${one.kind}`, values];
}

/**
 * What was typed into the form, as a breakpoint; null while it is none.
 * @param {BreakpointForm} form
 */
export function breakpointOf({ kind, value, until, node_id, iteration, log_only }) {
  const only = iteration.trim() === "" ? null : Number(iteration);
  if (only !== null && !(Number.isInteger(only) && only > 0)) return null;
  const base = { kind, log_only, enabled: true, ...(only === null ? {} : { iteration: only }) };
  if (kind === "time") return value && until && value !== until ? { ...base, from: value, to: until } : null;
  if (kind === "heat") {
    const [above, below] = [value, until].map(Number);
    return below > 0 && above > below ? { ...base, above, below } : null;
  }
  if (kind === "node") return node_id ? { ...base, node_id } : null;
  if (kind === "nan" || kind === "exception") return base;
  const number = value.trim() === "" ? Number.NaN : Number(value);
  const whole = kind === "step" || kind === "every";
  if (!Number.isFinite(number) || number <= 0 || (whole && !Number.isInteger(number))) return null;
  return { ...base, value: number };
}

// -- families -------------------------------------------------------------------------------------------------

/** The oldest job known that this one comes from. @param {Model} model @param {Job} job @returns {string} */
export function rootOf(model, job) {
  let at = job;
  for (const seen = new Set(); at.parent && !seen.has(at.job_id);) {
    seen.add(at.job_id);
    const next = model.jobs[at.parent.job_id];
    if (!next) break;
    at = next;
  }
  return at.job_id;
}

/** The others that come from where this one comes from, the newest first. @param {Model} model @param {Job} job @returns {string[]} */
export function family(model, job) {
  const root = rootOf(model, job);
  return model.order.filter((id) => id !== job.job_id && rootOf(model, model.jobs[id]) === root);
}

/** The jobs that were forked from this one, the oldest first. @param {Model} model @param {string} id */
export const forksOf = (model, id) =>
  model.order.filter((one) => model.jobs[one].parent?.job_id === id).reverse();

/** Whether a job is one of several forks that were made at once, or has such forks. @param {Model} model @param {Job} job */
export const hasGrid = (model, job) =>
  job.grid !== null || forksOf(model, job.job_id).some((id) => model.jobs[id].grid !== null);

/**
 * The same jobs with each fork below the job that it comes from; a family stands where its newest member does.
 * @param {Model} model @param {string[]} ids newest first
 * @returns {{ id: string, depth: number }[]}
 */
export const asTrees = (model, ids) => treesOf(model.jobs, ids);

const treesOf = remembering((/** @type {Model["jobs"]} */ jobs, /** @type {string[]} */ ids) => {
  const there = new Set(ids);
  const parentOf = (/** @type {string} */ id) => {
    const parent = jobs[id].parent?.job_id;
    return parent !== undefined && parent !== id && there.has(parent) ? parent : null;
  };
  if (!ids.some((id) => parentOf(id) !== null)) return ids.map((id) => ({ id, depth: 0 }));
  /** @type {Map<string, string[]>} */ const children = new Map();
  for (const id of ids) {
    const parent = parentOf(id);
    if (parent !== null) children.set(parent, [id, ...(children.get(parent) ?? [])]);
  }
  /** @type {{ id: string, depth: number }[]} */ const rows = [];
  const placed = new Set();
  const place = (/** @type {string} */ id, /** @type {number} */ depth) => {
    if (placed.has(id)) return;
    placed.add(id);
    rows.push({ id, depth });
    for (const child of children.get(id) ?? []) place(child, depth + 1);
  };
  const top = (/** @type {string} */ id) => {
    let at = id;
    for (let steps = 0, up = parentOf(at); up !== null && steps < ids.length; steps += 1, up = parentOf(at))
      at = up;
    return at;
  };
  for (const id of ids) if (!placed.has(id)) place(top(id), 0);
  return rows;
});

// -- forking --------------------------------------------------------------------------------------------------

/**
 * The values that were typed, one by one; several lines of them where the input itself has lines.
 * @param {Input} input @param {string} text @returns {{ values: any[], wrong: string | null }} wrong: the first that is none
 */
export function valuesOf(input, text) {
  const pieces = text.split(input.multiline ? "\n" : ",").map((piece) => piece.trim());
  /** @type {any[]} */ const values = [];
  for (const piece of pieces.filter((one) => one !== "")) {
    const value = input.type === "BOOLEAN" ? { true: true, false: false }[piece] : parsed(input, piece);
    const whole = input.type !== "INT" || Number.isInteger(value);
    if (value === undefined || !whole) return { values, wrong: piece };
    values.push(value);
  }
  return { values, wrong: null };
}

/**
 * What the dialog asks for: the request, how many jobs that makes, and what is wrong by the number of the axis.
 * @param {Model} model @param {ForkDialog} fork
 */
export function forkPlan(model, fork) {
  const nodes = model.editors[fork.job_id]?.nodes ?? {};
  /** @type {Record<string, Record<string, any[]>>} */ const vary = {};
  /** @type {[string | null, string | null]} */ const wrong = [null, null];
  let [count, complete] = [1, true];
  fork.axes.forEach(({ key, text }, index) => {
    if (!key) return;
    const [node, name] = JSON.parse(key);
    const input = nodes[node]?.inputs[name];
    if (!input) return;
    const found = valuesOf(input, text);
    wrong[index] = found.wrong;
    if (!found.values.length) complete = false;
    count *= Math.max(1, found.values.length);
    vary[node] = { ...vary[node], [name]: found.values };
  });
  const ready = complete && count <= MOST_FORKS && wrong.every((one) => one === null);
  return { vary, count, wrong, ready };
}

// -- what was measured ----------------------------------------------------------------------------------------

/** @type {("sigma" | "change" | "norm" | "seconds" | "memory")[]} */
export const QUANTITIES = ["sigma", "change", "norm", "seconds", "memory"];

/**
 * One quantity of one node over the steps, as far as it was measured.
 * @param {Measured[]} measured @param {string | null} nodeId @param {string} name
 * @returns {{ step: number, value: number }[]}
 */
export function series(measured, nodeId, name) {
  return measured
    .filter((one) => nodeId === null || one.node_id === nodeId)
    .map((one) => ({ step: one.step, value: /** @type {any} */ (one)[name] }))
    .filter(({ value }) => typeof value === "number" && Number.isFinite(value));
}

/**
 * Where the points of a line lie in a box; the least at its bottom.
 * @param {{ step: number, value: number }[]} points @param {number} width @param {number} height
 */
export function polyline(points, width, height) {
  const steps = points.map((point) => point.step);
  const values = points.map((point) => point.value);
  const [first, last] = [Math.min(...steps), Math.max(...steps)];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (/** @type {number} */ step) =>
    last === first ? width / 2 : ((step - first) / (last - first)) * width;
  const y = (/** @type {number} */ value) =>
    high === low ? height / 2 : height - ((value - low) / (high - low)) * height;
  const at = points.map(({ step, value }) => ({ step, value, x: x(step), y: y(value) }));
  return { at, first, last, low, high };
}
