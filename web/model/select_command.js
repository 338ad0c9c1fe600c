// The job that a command is about, from the palette, the menu or a key, and how a job goes on. Pure functions.
import { verbs } from "./select.js";
import { waitsForChoice } from "./select_choice.js";
import { focusOf } from "./select_cursor.js";
/** @import { Job, Model } from "./types.js" */

/** @typedef {"pause" | "resume" | "choose"} Way */

export const RESUMABLE = ["paused", "pausing", "failed"];
export const PAUSABLE = ["running", "queued"];
export const IN_FRONT = ["running", "pausing", "paused", "failed", "queued"]; // what the user sees going on comes first

/**
 * Of those that can take it: the selected one, else what is in sight in the timeline or the panel, else the first state.
 * @param {Model} model @param {string[]} states @param {string | null} [selected] job_id of the selected node
 * @returns {string | null}
 */
export function jobForCommand(model, states, selected = null) {
  const { timeline, tray } = model;
  const inSight = [timeline.shown ? focusOf(model)?.job_id : null, tray.shown ? tray.open : null];
  const can = (/** @type {string | null | undefined} */ id) => states.includes(model.jobs[id ?? ""]?.state);
  return [selected, ...inSight].find(can) ?? firstOf(model, states);
}

/**
 * As any command, but what runs comes before a failed job that is only in sight.
 * @param {Model} model @param {string | null} [selected]
 */
export function jobToPauseOrResume(model, selected = null) {
  const found = jobForCommand(model, IN_FRONT, selected);
  if (found === null || found === selected || model.jobs[found].state !== "failed") return found;
  return firstOf(model, ["running", "pausing"]) ?? found;
}

/** What stops a job or lets it go on, whichever is possible: both share one button and one key. @param {Job} job @returns {Way | null} */
export function wayOn(job) {
  const can = verbs(job);
  if (can.pause) return "pause";
  if (waitsForChoice(job)) return "choose";
  return can.resume ? "resume" : null;
}

/** @param {Model} model @param {string[]} states */
function firstOf(model, states) {
  for (const state of states) {
    const found = model.order.find((id) => model.jobs[id].state === state);
    if (found !== undefined) return found;
  }
  return null;
}
