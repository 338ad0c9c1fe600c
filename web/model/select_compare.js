// Which job or step the viewer compares with, and what is known of it. Pure functions.
import { ACTIVE } from "./select.js";
import { isLeftOver } from "./reducer_travel.js";
import { cursorStep } from "./select_cursor.js";
import { chosenFrame } from "./select_pictures.js";
/** @import { Job, Model, Viewer } from "./types.js" */

/** The step whose picture is in the viewer. @param {Model} model @param {Viewer} viewer @returns {number | null} */
export function viewedStep(model, viewer) {
  const job = model.jobs[viewer.job_id];
  if (!job) return null;
  const { all, newest } = chosenFrame(model, job, viewer.node_id ?? job.node_id, null);
  return cursorStep(model, job, viewer.node_id) ?? all[newest]?.step ?? job.step;
}

/** The job that is compared with, or null. @param {Viewer} viewer @returns {string | null} */
export const comparedJob = ({ compare }) =>
  compare !== null && typeof compare === "object" ? compare.job : null;

/**
 * Whose parameters differ, at which step: the job itself stands for what its rewind left over. Null: they are the same.
 * @param {Model} model @param {Viewer} viewer @returns {{ job: string, step: number } | null}
 */
export function comparedWith(model, viewer) {
  const { compare, job_id } = viewer;
  const other = comparedJob(viewer);
  const step = other === null ? compare : viewedStep(model, viewer);
  const job = model.jobs[other ?? job_id];
  if (!job || typeof step !== "number") return null;
  const node_id = viewer.node_id ?? job.node_id ?? "";
  return other !== null || isLeftOver(job, { node_id, step }) ? { job: job.job_id, step } : null;
}

/** What is known of that comparison. @param {Model} model @param {Viewer} viewer */
export function comparisonOf(model, viewer) {
  const { comparison } = model;
  const fits = comparison?.job_id === viewer.job_id && comparison.with === comparedWith(model, viewer)?.job;
  return fits ? comparison : null;
}

/** Of what a curve of both is read: it is another once one of them stands elsewhere. @param {Job} one @param {Job} other */
const curveKey = (one, other) =>
  JSON.stringify(
    [one, other].map((job) => [job.job_id, ACTIVE.includes(job.state) || [job.node_id, job.step]]),
  );

/** The other job that the viewer's is compared with over all steps. @param {Model} model @param {Viewer} viewer */
export function curveWanted(model, viewer) {
  const other = model.jobs[comparedJob(viewer) ?? ""];
  const job = model.jobs[viewer.job_id];
  return job && other ? { with: other.job_id, key: curveKey(job, other) } : null;
}

/** @param {Model} model @param {Viewer} viewer */
export function curveOf(model, viewer) {
  const wanted = curveWanted(model, viewer);
  const { curve } = model;
  return wanted && curve?.job_id === viewer.job_id && curve.with === wanted.with ? curve : null;
}
