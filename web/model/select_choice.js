// What waits to be chosen. Pure functions.
import { living } from "./select.js";
/** @import { Job, Model } from "./types.js" */

/** @param {Job} job */
export const waitsForChoice = (job) => Boolean(job.choice) && job.state === "paused";

/** The jobs that wait for a choice, the oldest first. @param {Model} model @returns {string[]} */
export const atChoices = (model) =>
  living(model).filter(waitsForChoice).map((job) => job.job_id).reverse();

/** How many wait, those included that this page has not read. @param {Model} model */
export const choicesLeft = (model) => Math.max(model.several.choices, atChoices(model).length);

/** Where a picture of it is. @param {Job} job @param {number} number from 1 */
export const choicePicture = (job, number) =>
  `/midrun/jobs/${encodeURIComponent(job.job_id)}/choice/${number}?v=${job.choice?.version ?? ""}`;
