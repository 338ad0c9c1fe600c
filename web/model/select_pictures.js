// What there is to see of a job: a frame for each step. Pure functions.
import { onceFor, remembering } from "../ui/records.js";
import { ACTIVE } from "./select.js";
/** @import { Job, Model, Preview } from "./types.js" */

/** @typedef {{ node_id: string, step: number, made: Preview | null, url: string | null }} Frame  url null: it cannot be shown */

/** The pictures that were made, of all nodes or of one: as it executes, or of what a node of the workflow became last. @param {Model} model @param {string} jobId @param {string | null} [nodeId] @returns {Preview[]} */
export function previewsOf(model, jobId, nodeId = null) {
  const all = model.previews[jobId] ?? NONE;
  return nodeId === null ? all : ofNode(all, nodeId);
}

/** Thousands, which are not looked through again at each step that is looked at. @param {Preview[]} all @param {string} nodeId */
function ofNode(all, nodeId) {
  const known = byNode(all);
  const found = known.get(nodeId) ?? thoseOf(all, nodeId);
  known.set(nodeId, found);
  return found;
}

const byNode = onceFor((/** @type {Preview[]} */ _) => /** @type {Map<string, Preview[]>} */ (new Map()));

/** @param {Preview[]} all @param {string} nodeId */
function thoseOf(all, nodeId) {
  const known = all.some((one) => one.node_id === nodeId);
  const id = known ? nodeId : all.findLast((one) => one.display_node_id === nodeId)?.node_id;
  return all.filter((preview) => preview.node_id === id);
}

/**
 * Every step of a node, in order: with the picture that was made of it, else the server makes one when it is asked.
 * After the steps that are done come the pictures of what a rewind left over.
 * @param {Model} model @param {Job} job @param {string | null} nodeId @returns {Frame[]}
 */
export function framesOf(model, job, nodeId) {
  if (nodeId === null) return (model.previews[job.job_id] ?? NONE).map(frameOf);
  const here = nodeId === job.node_id || nodeId === job.display_node_id;
  const done = here ? job.step : (model.stepsByNode[job.job_id]?.[nodeId] ?? 0);
  const off = job.previews?.pause_method === "none";
  return allFrames(model.previews[job.job_id] ?? NONE, job.job_id, nodeId, done, off);
}

/** @type {Preview[]} */
const NONE = [];

/** @param {Preview} one @returns {Frame} */
const frameOf = (one) => ({ node_id: one.node_id, step: one.step, made: one, url: one.url });

/** Thousands of steps are not listed anew whenever another of them is looked at. */
const allFrames = remembering(
  (
    /** @type {Preview[]} */ previews,
    /** @type {string} */ jobId,
    /** @type {string} */ nodeId,
    /** @type {number} */ done,
    /** @type {boolean} */ off,
  ) => {
    const made = ofNode(previews, nodeId);
    const frames = made.map(frameOf);
    const there = new Set(made.map((one) => one.step));
    for (let step = 1; step <= done; step += 1)
      if (!there.has(step))
        frames.push({ node_id: nodeId, step, made: null, url: off ? null : stepUrl(jobId, nodeId, step) });
    return frames.sort((a, b) => a.step - b.step);
  },
);

/**
 * Where the job stands among its frames: what comes after it is left over by a rewind. While it goes on, the newest
 * step has no picture yet, and asking for one would make the server decode every step.
 * @param {Frame[]} frames @param {Job} job
 */
export function newestIndex(frames, job) {
  const goesOn = ACTIVE.includes(job.state);
  const at = frames.findLastIndex(
    (one) => one.node_id === job.node_id && one.step <= job.step && !(goesOn && one.made === null),
  );
  return at < 0 ? frames.length - 1 : at;
}

/**
 * The frames of a node, and which of them is shown: that of the step, or the newest where it is null or not there.
 * @param {Model} model @param {Job} job @param {string | null} nodeId @param {number | null} step
 */
export function chosenFrame(model, job, nodeId, step) {
  const all = framesOf(model, job, nodeId);
  const newest = newestIndex(all, job);
  const found = step === null ? newest : all.findIndex((frame) => frame.step === step);
  const at = found < 0 ? newest : found;
  /** @type {Frame | undefined} */ const shown = all[at];
  return { all, newest, at, shown };
}

/**
 * What is shown of a frame while the cursor is dragged past it: the last picture that was made. The server would have
 * to decode those that were not.
 * @param {Frame[]} frames @param {number} at
 */
export function passedUrl(frames, at) {
  for (let index = at; index >= 0; index -= 1) if (frames[index]?.made) return frames[index].url;
  return frames.find((one) => one.made !== null)?.url ?? null;
}

/** @param {Model} model @param {Job} job @returns {string | null} a URL below ComfyUI's */
export function newestPicture(model, job) {
  const all = previewsOf(model, job.job_id, job.node_id);
  const made =
    all.findLast((one) => one.node_id === job.node_id && one.step <= job.step) ?? all[all.length - 1];
  if (!made) return job.preview_url;
  const newest = new URLSearchParams(job.preview_url?.split("?")[1] ?? "");
  const newer = newest.get("node_id") === made.node_id && Number(newest.get("step")) > made.step;
  return newer ? job.preview_url : made.url; // this page does not hear of pictures of other clients' jobs
}

/** What is shown of a frame: of the newest, unless it was chosen, what was made anyway. @param {Model} model @param {Job} job @param {Frame | undefined} frame @param {boolean} chosen */
export function shownUrl(model, job, frame, chosen) {
  if (frame === undefined) return job.preview_url;
  return chosen || frame.node_id !== job.node_id ? frame.url : newestPicture(model, job);
}

/** The newest picture of a sampler of the job, whichever samples now. @param {Model} model @param {Job} job @param {string | null} nodeId */
export function pictureOfNode(model, job, nodeId) {
  if (nodeId === null || nodeId === job.node_id) return newestPicture(model, job);
  const frames = framesOf(model, job, nodeId);
  return frames[frames.length - 1]?.url ?? null;
}

/** @param {string} jobId @param {string} nodeId @param {number} step */
const stepUrl = (jobId, nodeId, step) =>
  `/midrun/jobs/${encodeURIComponent(jobId)}/preview?node_id=${encodeURIComponent(nodeId)}&step=${step}`;
