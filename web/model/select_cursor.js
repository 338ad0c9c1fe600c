// The step that is looked at, in all views at once, and the job that the timeline is about. Pure functions.
import { living } from "./select.js";
/** @import { Cursor, Job, Model } from "./types.js" */

/**
 * The step of a node of a job that is looked at; null: the newest.
 * @param {Model} model @param {Job | undefined} job @param {string | null} nodeId @returns {number | null}
 */
export function cursorStep({ cursor }, job, nodeId) {
  if (cursor === null || job === undefined || cursor.job_id !== job.job_id) return null;
  if ((cursor.node_id ?? job.node_id) !== (nodeId ?? job.node_id)) return null;
  return isBeyond(cursor, job) ? null : cursor.step;
}

/** Whether a cursor is at a step that the job does not have, of the node that it is at. @param {Cursor} cursor @param {Job} job */
export const isBeyond = (cursor, job) =>
  job.node_id !== null && (cursor.node_id ?? job.node_id) === job.node_id && cursor.step > lastStep(job);

/** Whether the cursor is on its way, by the pointer or by a key that is held. @param {Model} model */
export const isScrubbed = ({ timeline }) => ["scrub", "keys"].includes(timeline.drag?.kind ?? "");

/** Whether nothing changed but where is looked at, and what of the timeline is in sight. @param {Model} model @param {Model} before */
export function onlyLooks(model, before) {
  for (const name of /** @type {(keyof Model)[]} */ (Object.keys(model)))
    if (name !== "cursor" && name !== "timeline" && model[name] !== before[name]) return false;
  return true;
}

/** @type {Model | null} */ let kept = null;

/** The model for views that show nothing of the cursor and the timeline: the same one while only those change. @param {Model} model @returns {Model} */
export function unmoved(model) {
  if (kept === null || !onlyLooks(model, kept)) kept = model;
  return kept;
}

/** The last step of a job of which there is something: done, or left over by a rewind. @param {Job} job */
export const lastStep = (job) =>
  Math.max(job.step, job.take && job.take.node_id === job.node_id ? job.take.step : 0);

/**
 * The job that the timeline is about: the one that was chosen, else that which is open in the panel, else the newest
 * that lives, else the newest.
 * @param {Model} model @returns {Job | null}
 */
export function focusOf(model) {
  const { jobs, order, timeline, tray } = model;
  const chosen = jobs[timeline.job_id ?? ""] ?? jobs[tray.open ?? ""];
  if (chosen) return chosen;
  return living(model).find((job) => job.state !== "queued") ?? jobs[order[0] ?? ""] ?? null;
}
