// What the views of rewinds and breakpoints want to know of the model. Pure functions.
/** @import { Breakpoint, BreakpointForm, Input, Job } from "./types.js" */

const STANDS = ["paused", "failed", "aborted", "completed"];
export const MOST_MORE = 10000; // steps, as the server allows
const LONGEST = 3600; // seconds that an answer may take
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

/** Whether it can get more steps. @param {Job} job */
export const canHaveMore = (job) => job.state === "completed" && job.evaluations > 0;

/** The steps that are asked for, as typed; null while that is no number of steps. @param {string} typed */
export function moreOf(typed) {
  const number = typed.trim() === "" ? Number.NaN : Number(typed);
  return Number.isInteger(number) && number >= 1 && number <= MOST_MORE ? number : null;
}

/** From and to where, from 0 to 1, the steps go that a rewind left over. @param {Job} job @returns {[number, number] | null} */
export function leftOver(job) {
  const { take, total_steps: total } = job;
  if (!take || !total || take.node_id !== job.node_id || take.step <= job.step) return null;
  return [Math.min(1, job.step / total), Math.min(1, take.step / total)];
}

/** Where it will pause by itself at a step, from 0 to 1. @param {Job} job @returns {{ at: number, step: number, logOnly: boolean }[]} */
export function stepMarks(job) {
  const total = job.total_steps;
  return total ? stopSteps(job).map((one) => ({ ...one, at: one.step / total })) : [];
}

/** The steps at which it will pause by itself, and those that are only noted. @param {Job} job @returns {{ step: number, logOnly: boolean }[]} */
export function stopSteps(job) {
  const total = job.total_steps;
  if (!total) return [];
  /** @type {Map<number, boolean>} */ const found = new Map(); // step -> whether it is only noted
  for (const { kind, value, enabled, node_id, iteration, action } of job.breakpoints ?? []) {
    const logs = action === "log";
    if (!enabled || !value || !isAbout(job, node_id, iteration)) continue;
    if (kind === "step" && value <= total) found.set(value, logs && found.get(value) !== false);
    if (kind !== "every" || total / value > MOST_MARKS) continue;
    for (let step = value; step <= total; step += value)
      found.set(step, logs && found.get(step) !== false);
  }
  return [...found].map(([step, logOnly]) => ({ step, logOnly }));
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

/** How long an answer may take; null while what was typed is no such time. @param {BreakpointForm} form */
function waitOf({ action, timeout }) {
  if (action !== "ask" || timeout.trim() === "") return {};
  const seconds = Number(timeout);
  return seconds >= 1 && seconds <= LONGEST ? { timeout_s: seconds } : null;
}

/** Which text says what the form lacks. @param {BreakpointForm} form */
export const lackOf = (form) => `breakpoint.needs.${waitOf(form) === null ? "timeout" : form.kind}`;

/**
 * What was typed into the form, as a breakpoint; null while it is none.
 * @param {BreakpointForm} form
 */
export function breakpointOf(form) {
  const { kind, value, until, node_id, iteration, action } = form;
  const only = iteration.trim() === "" ? null : Number(iteration);
  if (only !== null && !(Number.isInteger(only) && only > 0)) return null;
  const wait = waitOf(form);
  if (wait === null) return null;
  const base = { kind, action, enabled: true, ...wait, ...(only === null ? {} : { iteration: only }) };
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
