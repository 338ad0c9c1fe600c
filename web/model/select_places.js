// What is shown of jobs where people look anyway: on the sidebar's icon, and beside ComfyUI's Run. Pure functions.
import { living, ofWorkflow } from "./select.js";
/** @import { Job, Model } from "./types.js" */

const AT_WORK = ["running", "pausing"];

/** How many jobs stand until somebody lets them go on, those included that this page has not read. @param {Model} model */
export const standing = (model) =>
  Math.max(model.several.standing, living(model).filter((job) => job.state === "paused").length);

/**
 * The job that is asked to pause or to go on beside ComfyUI's Run: what runs, else what holds its place in the queue,
 * else the paused one of the workflow on screen.
 * @param {Model} model @param {string | null} workflowId @returns {Job | null}
 */
export function inFront(model, workflowId) {
  const jobs = living(model);
  const working = jobs.find((job) => AT_WORK.includes(job.state)) ?? jobs.find((job) => job.held);
  if (working) return working;
  const own = ofWorkflow(model, workflowId);
  return own?.state === "paused" ? own : null;
}
