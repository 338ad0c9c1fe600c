// What became of a job between two of its states that this page heard of. Pure functions.
import { same } from "../ui/records.js";
import { ACTIVE } from "./select.js";
/** @import { Job } from "./types.js" */

/** Whether what is read of a job besides itself may be another now. @param {Job} job @param {Job} was */
export function isElsewhere(job, was) {
  const edited = !same(job.modified_params, was.modified_params);
  const moved = job.state === "paused" && (job.step !== was.step || job.take?.step !== was.take?.step);
  return edited || moved || job.state !== was.state || job.node_id !== was.node_id;
}

/** Whether it came to a stand or to its end. @param {Job} job @param {Job | undefined} was */
export const stopped = (job, was) =>
  was !== undefined && was.state !== job.state && !ACTIVE.includes(job.state);

/** Whether there may be steps between of which this page heard nothing. @param {Job} job @param {Job} was */
export const leapt = (job, was) =>
  job.node_id !== was.node_id || (job.step !== was.step && job.step !== was.step + 1);
