// What the page knows, and the one pure function that changes it. No DOM, no requests, no clock.
import { onEditor } from "./reducer_editor.js";
import { keep, same, without, withoutThose } from "../ui/records.js";
import { initialBoard, onBoard } from "./reducer_board.js";
import { initialChoosing, onChoosing } from "./reducer_choice.js";
import { initialLens, onLens } from "./reducer_lens.js";
import { initialSeveral, onSeveral } from "./reducer_several.js";
import { cursorAt, focused, initialTimeline, onTimeline, unfocused, withoutCursorBeyond } from "./reducer_timeline.js";
import { initialTravel, onTravel, withTravel } from "./reducer_travel.js";
/** @import { Action, Reducers } from "./action_types.js" */
/** @import { Job, Model, Preview } from "./types.js" */

/** @type {Model} */
export const initial = Object.freeze({
  jobs: {}, // job_id -> Job
  order: [], // job_ids, newest first
  byPrompt: {}, // prompt_id of a run that is not the first -> job_id
  received: {}, // job_id -> when it was last heard of, by `now`
  stepsByNode: {}, // job_id -> node_id that it has left -> steps it was seen to have done there
  next: undefined, // cursor of the next page; null: there is none; undefined: nothing was read yet
  loading: false,
  offline: false,
  now: 0, // milliseconds
  usage: null,
  previews: {},
  editors: {},
  events: {},
  requests: {}, // job_id -> verb that is under way
  refusals: {}, // job_id -> why its last request was refused
  names: {}, // workflow id -> name, as far as this browser knows it
  canvas: {}, // job_id -> what differs on the canvas
  canvasBaselines: {}, // job_id -> pathKey -> value that the canvas had when it was sent last
  tray: {
    filter: "all",
    open: null,
    left: null, // was open before
    tab: "parameters",
    search: "",
    top: 0,
    height: 0,
    shown: false,
    pointed: null,
    focused: null,
    touch: false,
    over: false,
    incoming: null,
    shares: false,
    trouble: null,
    others: [],
    taken: null,
  },
  abort: null,
  viewer: null,
  confirm: null,
  removing: null,
  ledger: null,
  ...initialBoard,
  ...initialChoosing,
  ...initialLens,
  ...initialSeveral,
  ...initialTimeline,
  ...initialTravel,
});

/** @type {Reducers} */
const on = {
  // -- from the server -----------------------------------------------------------------------------------
  job: (model, { job, at }) => withJobs(model, [job], at),
  read: (model, { jobs, at }) => withJobs(model, jobs, at),

  jobs(model, { jobs, next, first, at, since }) {
    const oldest = next === null ? "" : (jobs.at(-1)?.created_at ?? "");
    const there = new Set(jobs.map((job) => job.job_id));
    const isGone = (/** @type {string} */ id) =>
      !there.has(id) && model.jobs[id].created_at >= oldest && model.received[id] < since;
    const known = first ? withoutJobs(model, model.order.filter(isGone)) : model;
    const further = first && known.next !== undefined && known.next !== null && jobs.length > 0;
    return { ...withJobs(known, jobs, at), next: further ? known.next : next, loading: false };
  },

  loading: (model) => ({ ...model, loading: true }),
  loadingFailed: (model) => ({ ...model, loading: false }),

  preview(model, { preview }) {
    const jobId = model.byPrompt[preview.job_id] ?? preview.job_id;
    // Later ones are of an earlier call of the node, or of what was computed before a rewind.
    const known = (model.previews[jobId] ?? []).filter(
      (one) => one.node_id !== preview.node_id || one.step <= preview.step,
    );
    return { ...model, previews: { ...model.previews, [jobId]: merged(known, [preview]) } };
  },

  previews(model, { job_id, previews }) {
    const steps = previews.filter((one) => one.kind !== "source");
    const kept = newerThan(model.previews[job_id] ?? [], steps);
    return { ...model, previews: { ...model.previews, [job_id]: merged(kept, steps) } };
  },

  events: (model, { job_id, events }) => ({ ...model, events: { ...model.events, [job_id]: events } }),
  usage: (model, { usage }) => ({ ...model, usage }),
  ledger: (model, { type: _, ...changed }) => ({
    ...model,
    ledger: { told: null, by: "week", message: null, ...model.ledger, ...changed },
  }),
  ledgerClosed: (model) => ({ ...model, ledger: null }),

  gone: (model, { job_ids }) => withoutJobs(model, job_ids),
  offline: (model, { offline }) => (model.offline === offline ? model : { ...model, offline }),
  tick: (model, { at }) => ({ ...model, now: at }),

  // -- asked for by the user ------------------------------------------------------------------------------
  ask: (model, { job_id, verb }) => ({
    ...model,
    requests: { ...model.requests, [job_id]: verb },
    refusals: without(model.refusals, job_id),
  }),
  answered: (model, { job_id }) => ({ ...model, requests: without(model.requests, job_id) }),
  refused: (model, { job_id, message }) => ({
    ...model,
    requests: without(model.requests, job_id),
    refusals: { ...model.refusals, [job_id]: message },
  }),

  // -- the canvas -----------------------------------------------------------------------------------------
  names: (model, { names }) => ({ ...model, names: { ...model.names, ...names } }),
  canvas: (model, { job_id, changes }) =>
    same(model.canvas[job_id] ?? [], changes)
      ? model
      : {
          ...model,
          canvas: changes.length ? { ...model.canvas, [job_id]: changes } : without(model.canvas, job_id),
        },
  canvasSent: (model, { job_id, values }) => ({
    ...model,
    canvasBaselines: { ...model.canvasBaselines, [job_id]: { ...model.canvasBaselines[job_id], ...values } },
    canvas: without(model.canvas, job_id),
    confirm: null,
  }),
  confirm: (model, { job_id }) => ({ ...model, confirm: job_id }),

  // -- the tray, the dialogs, the viewer ------------------------------------------------------------------
  tray: (model, { type: _, ...changed }) => ({ ...model, tray: { ...model.tray, ...changed } }),
  open: (model, { job_id, tab = "parameters" }) => ({
    ...model,
    tray: { ...model.tray, open: job_id, left: model.tray.open, tab, search: "" },
    cursor: model.cursor?.job_id === job_id ? model.cursor : null,
    timeline: focused(model, job_id),
  }),
  remove: (model, { job_id }) => ({ ...model, removing: job_id }),
  abortDialog: (model, { job_id }) => ({
    ...model,
    abort: job_id === null ? null : { job_id, mode: "stop", reason: "", reasons: [], sent: false },
  }),
  abort: (model, { type: _, ...changed }) =>
    model.abort === null ? model : { ...model, abort: { ...model.abort, ...changed } },
  view: (model, { job_id, node_id = null, step = null }) => ({
    ...model,
    viewer: job_id === null ? null : { job_id, node_id, compare: null, split: 0.5, zoom: 0, find: null },
    cursor: job_id === null ? model.cursor : step === null ? null : cursorAt(model, job_id, node_id, step),
    timeline: focused(model, job_id),
  }),
  viewer: (model, { type: _, ...changed }) =>
    model.viewer === null ? model : { ...model, viewer: { ...model.viewer, ...changed } },

  ...onEditor,
  ...onBoard,
  ...onChoosing,
  ...onLens,
  ...onSeveral,
  ...onTimeline,
  ...onTravel,
};

/** @param {Model} model @param {Action} action @returns {Model} */
export function reduce(model, action) {
  const change = Object.hasOwn(on, action.type) ? on[action.type] : undefined;
  if (change === undefined) throw new Error(`Midrun: unknown action ${action.type}`);
  return change(model, /** @type {never} */ (action)); // its own, by its type
}

// -- parts --------------------------------------------------------------------------------------------------

/** @param {Model} model @param {Job[]} jobs @param {number} at @returns {Model} */
function withJobs(model, jobs, at) {
  const fresh = jobs.filter((job) => !(model.jobs[job.job_id]?.updated_at > job.updated_at));
  if (!fresh.length) return model;
  // Each of these has an entry for each of maybe thousands of jobs: none is copied without need, or twice.
  const next = { ...model, jobs: { ...model.jobs }, received: { ...model.received } };
  /** @type {string[]} */ const added = [];
  for (const job of fresh) {
    const before = model.jobs[job.job_id];
    next.jobs[job.job_id] = job;
    next.received[job.job_id] = at;
    if (before === undefined) added.push(job.job_id);
    else if (before.node_id !== null && before.node_id !== job.node_id)
      next.stepsByNode = { ...next.stepsByNode, [job.job_id]: withSteps(next.stepsByNode[job.job_id], before) };
    const others = job.prompt_ids.filter((id) => id !== job.job_id && !(id in next.byPrompt));
    if (!others.length) continue;
    if (next.byPrompt === model.byPrompt) next.byPrompt = { ...model.byPrompt };
    for (const id of others) next.byPrompt[id] = job.job_id;
  }
  const order = added.length ? withAdded(model.order, added, next.jobs) : model.order;
  const all = { ...next, order, now: Math.max(model.now, at) };
  return withoutCursorBeyond(fresh.reduce((known, job) => withTravel(known, job, model.jobs[job.job_id]), all));
}

/** The steps that were done on a node that the job has left. @param {Record<string, number> | undefined} known @param {Job} left */
const withSteps = (known, { node_id, display_node_id, step }) => ({
  ...known,
  ...(node_id === null ? {} : { [node_id]: step }),
  ...(display_node_id === null ? {} : { [display_node_id]: step }),
});

/** More jobs in the list, the newest first. @param {string[]} order @param {string[]} added @param {Model["jobs"]} jobs */
function withAdded(order, added, jobs) {
  const newer = (/** @type {string} */ a, /** @type {string} */ b) =>
    jobs[a].created_at < jobs[b].created_at ? 1 : -1;
  const left = [...new Set(added)].sort(newer);
  /** @type {string[]} */ const merged = [];
  for (const id of order) {
    while (left.length && newer(left[0], id) < 0) merged.push(/** @type {string} */ (left.shift()));
    merged.push(id);
  }
  return [...merged, ...left];
}

/** @param {Model} model @param {string[]} ids @returns {Model} */
function withoutJobs(model, ids) {
  if (!ids.length) return model;
  const gone = new Set(ids);
  const isGone = (/** @type {string | null | undefined} */ id) => gone.has(id ?? "");
  const byPrompt = keep(model.byPrompt, (_, id) => !gone.has(id));
  const next = { ...model, byPrompt, order: model.order.filter((known) => !gone.has(known)) };
  for (const name of /** @type {const} */ ([
    "jobs",
    "received",
    "stepsByNode",
    "previews",
    "editors",
    "events",
    "requests",
    "refusals",
    "canvas",
    "canvasBaselines",
    "telemetry",
  ]))
    /** @type {any} */ (next)[name] = withoutThose(/** @type {any} */ (model[name]), gone);
  if (model.several.selected?.some(isGone))
    next.several = { ...model.several, selected: model.several.selected.filter((one) => !gone.has(one)) };
  if (isGone(model.tray.open)) next.tray = { ...model.tray, open: null };
  if (isGone(model.removing)) next.removing = null;
  if (isGone(model.confirm)) next.confirm = null;
  for (const name of /** @type {const} */ (["viewer", "cursor", "abort", "choosing", "lens", "fork", "more"]))
    if (isGone(model[name]?.job_id)) next[name] = null;
  for (const name of /** @type {const} */ (["curve", "comparison"]))
    if (isGone(model[name]?.job_id) || isGone(model[name]?.with)) next[name] = null;
  next.timeline = unfocused(model, gone);
  return next;
}

/** What came while the list was on its way. @param {Preview[]} known @param {Preview[]} list */
function newerThan(known, list) {
  const newest = list.reduce((latest, { created_at }) => (created_at > latest ? created_at : latest), "");
  return known.filter((preview) => preview.created_at > newest);
}

/** One a node and step: the later. By nodes as they were first seen, then by step. @param {Preview[]} known @param {Preview[]} more */
function merged(known, more) {
  const all = new Map([...known, ...more].map((preview) => [`${preview.node_id} ${preview.step}`, preview]));
  /** @type {Record<string, string>} */ const began = {};
  for (const { node_id, created_at } of all.values())
    if (!(began[node_id] < created_at)) began[node_id] = created_at;
  const order = (/** @type {Preview} */ a, /** @type {Preview} */ b) =>
    a.node_id === b.node_id ? a.step - b.step : began[a.node_id] < began[b.node_id] ? -1 : 1;
  return [...all.values()].sort(order);
}
