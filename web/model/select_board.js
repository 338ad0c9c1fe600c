// What the board of drafts shows. Pure functions.
import { hasEnded } from "./select.js";
import { remembering } from "../ui/records.js";
/** @import { Board, Job, Model } from "./types.js" */

/** Whether it is one of several drafts. @param {Job} job */
export const isDraft = (job) => job.grid !== null && job.parent === null;

const newest = remembering((/** @type {Model["jobs"]} */ jobs, /** @type {string[]} */ order) => {
  const first = order.find((id) => isDraft(jobs[id]));
  if (first === undefined) return null;
  const { grid } = jobs[first];
  return { grid, n: order.filter((id) => jobs[id].grid === grid).length };
});

/** The newest drafts that are known, and how many they are. @param {Model} model */
export const newestDrafts = (model) => newest(model.jobs, model.order);

/** What a draft has of its own. @param {Job} job */
export const labelOf = (job) =>
  Object.values(job.varied ?? {})
    .flatMap((named) => Object.entries(named).map(([input, value]) => `${input} ${value}`))
    .join(" · ");

/** The jobs on it that there still are, in their order. @param {Model} model @param {Board} board @returns {Job[]} */
export const onBoardOf = (model, board) => board.ids.map((id) => model.jobs[id]).filter(Boolean);

/** Whether a draft pauses, or is to pause, to be chosen: nobody told it to run to its end. @param {Job} job */
const isUndecided = (job) => !hasEnded(job) && job.breakpoints.some((one) => one.id === "draft" && one.enabled);

/** Those of which nobody decided yet. @param {Job[]} jobs */
export const undecidedOf = (jobs) => jobs.filter(isUndecided);

/** Whether it paused where drafts do. @param {Job} job */
export const waitsToBeChosen = (job) =>
  isDraft(job) &&
  job.state === "paused" &&
  !job.paused_because &&
  job.breakpoints.some((one) => one.id === "draft" && one.enabled && one.value === job.step);

/** Steps that were computed, and those that discarded drafts did not need. @param {Job[]} jobs */
export function spent(jobs) {
  const computed = jobs.reduce((sum, job) => sum + job.step, 0);
  const steps = Math.max(0, ...jobs.map((job) => job.total_steps ?? 0));
  const discarded = jobs.filter((job) => job.state === "aborted");
  return { computed, saved: discarded.reduce((sum, job) => sum + Math.max(0, steps - job.step), 0) };
}
