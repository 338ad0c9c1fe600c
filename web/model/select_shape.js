// The timeline as it is laid out now: what is where, in steps and pixels. Pure functions.
import { ROW, bandsOf, columnsOf, spanOf, tracksHeight, within } from "./axis.js";
import { cursorStep } from "./select_cursor.js";
import { lanesOf, lastOf } from "./select_timeline.js";
/** @import { Job, Model } from "./types.js" */

const ROOM = 900; // pixels of a panel that has room for parameters

/** Whether parameters stand beside the tracks: where there is room, and the other panel has not the same. @param {Model} model @param {Job} job */
export function showsParams({ timeline, tray }, job) {
  const beside = tray.shown && tray.open === job.job_id && tray.tab === "parameters";
  return timeline.params ?? (timeline.width >= ROOM && !beside);
}

/** @param {Model} model @param {Job} job that it is about */
export function shapeOf(model, job) {
  const { timeline } = model;
  const rows = lanesOf(model, job);
  const last = lastOf(model, rows);
  const height = tracksHeight(timeline.height);
  const bands = bandsOf(height, rows.length);
  return {
    rows,
    last,
    height,
    bands,
    columns: columnsOf(timeline.width, showsParams(model, job)),
    span: spanOf(timeline, last),
    step: cursorStep(model, job, job.node_id) ?? job.step,
    top: within(timeline.top, 0, Math.max(0, rows.length * ROW - bands.lanes.height)),
  };
}

/** @typedef {ReturnType<typeof shapeOf>} Shape */

/** The lane at a height of the tracks, or null. @param {Shape} shape @param {number} y */
export function laneAt({ bands, rows, top }, y) {
  if (y < bands.lanes.top || y >= bands.lanes.top + bands.lanes.height) return null;
  return rows[Math.floor((y - bands.lanes.top + top) / ROW)] ?? null;
}

/** How far the lanes have to be scrolled for one to be in sight. @param {Shape} shape @param {string} id */
export function topFor({ rows, bands, top }, id) {
  const at = rows.findIndex((one) => one.id === id) * ROW;
  if (at < 0) return top;
  return within(top, at + ROW - bands.lanes.height, at);
}
