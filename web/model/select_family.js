// Which jobs come from which: parents, forks, and the list as trees. Pure functions.
import { remembering } from "../ui/records.js";
/** @import { Job, Model } from "./types.js" */

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

/** Where a job comes from: its root, or the job that this one was forked from and that is gone. @param {Model} model @param {Job} job */
function originOf(model, job) {
  const root = rootOf(model, job);
  return model.jobs[root]?.parent?.job_id ?? root;
}

/** The others that come from where this one comes from, the newest first. @param {Model} model @param {Job} job @returns {string[]} */
export function family(model, job) {
  const origin = originOf(model, job);
  return model.order.filter((id) => id !== job.job_id && originOf(model, model.jobs[id]) === origin);
}

/** Which of them a job is compared with first: the one that it was forked from, else the newest. @param {Model} model @param {Job} job @returns {string | undefined} */
export function firstRelative(model, job) {
  const parent = job.parent?.job_id ?? "";
  return parent in model.jobs ? parent : family(model, job)[0];
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
