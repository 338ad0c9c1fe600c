// The cursor that all views share, and the timeline in the bottom panel. Part of reducer.js.
import { focusOf, isBeyond, lastStep } from "./select_cursor.js";
import { rootOf } from "./select_family.js";
/** @import { Reducers } from "./action_types.js" */
/** @import { Cursor, Model, Timeline, TimelineModel } from "./types.js" */

/** @type {TimelineModel} */
export const initialTimeline = Object.freeze({
  cursor: null,
  timeline: {
    shown: false,
    job_id: null,
    from: null,
    to: null,
    top: 0,
    width: 0,
    height: 0,
    hover: null,
    drag: null,
    params: null,
  },
});

/** A timeline that is shown whole, with nothing pointed at or dragged. */
const WHOLE = Object.freeze({ from: null, to: null, top: 0, hover: null, drag: null });

/** @satisfies {Partial<Reducers>} */
export const onTimeline = {
  /** Where to look; without a step, the newest of all. */
  cursor(model, { job_id, node_id = null, step = null }) {
    const cursor = job_id === null || step === null ? null : cursorAt(model, job_id, node_id, step);
    return { ...model, cursor, timeline: focused(model, job_id) };
  },

  /** Another job at the same step, where it has that; an open panel follows. */
  focus(model, { job_id }) {
    const { cursor, tray } = model;
    const there = cursor !== null && cursor.step <= lastStep(model.jobs[job_id]);
    const moved = there ? cursorAt(model, job_id, null, cursor.step) : null;
    const follows = tray.open !== null && tray.open !== job_id;
    return {
      ...model,
      cursor: moved,
      timeline: focused(model, job_id),
      tray: follows ? { ...tray, open: job_id, left: tray.open, search: "" } : tray,
    };
  },

  /** What dragged is let go: a key, or else the pointer. */
  released(model, { key }) {
    const { drag } = model.timeline;
    if (drag === null || (drag.kind === "keys") !== key) return model;
    return { ...model, timeline: { ...model.timeline, drag: null } };
  },

  timeline: (model, { type: _, ...changed }) => ({ ...model, timeline: { ...model.timeline, ...changed } }),
};

/** A cursor at that step of a node, or of the one that the job is at. @param {Model} model @param {string} jobId @param {string | null} nodeId @param {number} step @returns {Cursor} */
export const cursorAt = (model, jobId, nodeId, step) => ({
  job_id: jobId,
  node_id: nodeId ?? model.jobs[jobId]?.node_id ?? null,
  step,
});

/** A cursor at a step that its job no longer has follows the job. @param {Model} model @returns {Model} */
export function withoutCursorBeyond(model) {
  const { cursor, jobs } = model;
  const job = jobs[cursor?.job_id ?? ""];
  return cursor !== null && job && isBeyond(cursor, job) ? { ...model, cursor: null } : model;
}

/** The timeline about that job; of another family, it is shown whole. @param {Model} model @param {string | null} id @returns {Timeline} */
export function focused(model, id) {
  const { jobs, timeline } = model;
  if (id === null || id === timeline.job_id || !(id in jobs)) return timeline;
  const before = focusOf(model);
  if (before?.job_id === id) return { ...timeline, job_id: id };
  const related = before && rootOf(model, before) === rootOf(model, jobs[id]);
  return { ...timeline, job_id: id, ...(related ? { drag: null } : WHOLE) };
}

/** The timeline after jobs are gone: of the job that it was about nothing stays. @param {Model} model with the jobs still @param {Set<string>} gone @returns {Timeline} */
export const unfocused = (model, gone) =>
  gone.has(focusOf(model)?.job_id ?? "") ? { ...model.timeline, job_id: null, ...WHOLE } : model.timeline;
