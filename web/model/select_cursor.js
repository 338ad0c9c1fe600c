// The step that is looked at, in all views at once, and the job that the timeline is about. Pure functions.
import { ALIVE } from "./select.js";
/** @import { Job, Model } from "./types.js" */

/**
 * The step of a node of a job that is looked at; null: the newest.
 * @param {Model} model @param {Job | undefined} job @param {string | null} nodeId @returns {number | null}
 */
export function cursorStep({ cursor }, job, nodeId) {
  if (cursor === null || job === undefined || cursor.job_id !== job.job_id) return null;
  return (cursor.node_id ?? job.node_id) === (nodeId ?? job.node_id) ? cursor.step : null;
}

/** Whether the cursor is on its way, by the pointer or by a key that is held. @param {Model} model */
export const isScrubbed = ({ timeline }) => ["scrub", "keys"].includes(timeline.drag?.kind ?? "");

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
  const alive = order.find((id) => ALIVE.includes(jobs[id].state) && jobs[id].state !== "queued");
  return jobs[alive ?? order[0] ?? ""] ?? null;
}
