// What the views want to know of the model. Pure functions.
import { onceFor, remembering } from "../ui/records.js";
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Job, Model } from "./types.js" */

export const ACTIVE = ["queued", "running", "pausing"];
export const ALIVE = [...ACTIVE, "paused", "failed"];

/** @param {Job} job */
export const hasEnded = (job) => job.state === "completed" || job.state === "aborted";
/** @type {Record<string, string[]>} */
export const FILTERS = {
  all: [],
  running: ACTIVE,
  paused: ["paused"],
  failed: ["failed", "aborted"],
  done: ["completed"],
};

/** Of maybe thousands of jobs, looked through once for each change of them. */
const lists = onceFor((/** @type {Model["jobs"]} */ jobs, /** @type {string[]} */ order) => {
  /** @type {Job[]} */ const living = [];
  /** @type {Map<string | null, Job[]>} */ const ofEach = new Map(); // by workflow
  for (const id of order) {
    const job = jobs[id];
    if (ALIVE.includes(job.state)) living.push(job);
    const others = ofEach.get(job.workflow.id);
    if (others) others.push(job);
    else ofEach.set(job.workflow.id, [job]);
  }
  return { living, ofEach };
});

/** The jobs that have not ended, the newest first. @param {Model} model */
export const living = (model) => lists(model.jobs, model.order).living;

/** The jobs of a workflow, the newest first; none where it has no id. @param {Model} model @param {string | null} workflowId */
export const jobsOf = (model, workflowId) =>
  (workflowId === null ? undefined : lists(model.jobs, model.order).ofEach.get(workflowId)) ?? [];

/**
 * The job that a node of the graph on screen shows: the newest of its workflow that samples there.
 * @param {Model} model
 * @param {string | null} workflowId
 * @param {string[]} executionIds the node's, in each instance of its subgraph
 * @param {boolean} always also jobs that ended
 * @returns {Job | null}
 */
export function jobOfNode(model, workflowId, executionIds, always) {
  for (const job of jobsOf(model, workflowId)) {
    if (!always && !ALIVE.includes(job.state)) continue;
    if (job.display_node_id !== null && executionIds.includes(job.display_node_id)) return job;
    if (job.sampler_nodes.some((node) => executionIds.includes(node))) return job;
  }
  return null;
}

/** The newest job of a workflow. @param {Model} model @param {string | null} workflowId @returns {Job | null} */
export const ofWorkflow = (model, workflowId) =>
  lists(model.jobs, model.order).ofEach.get(workflowId)?.[0] ?? null;

/** The nodes that sample, of jobs that are alive, of that workflow. @param {Model} model @param {string | null} workflowId */
export function liveNodes(model, workflowId) {
  const alive = jobsOf(model, workflowId).filter((job) => ALIVE.includes(job.state));
  return new Set(alive.map((job) => job.display_node_id).filter((id) => id !== null));
}

/** What may be asked of a job in its state. @param {Job} job */
export function verbs(job) {
  const { state } = job;
  const alive = ALIVE.includes(state);
  return {
    pause: state === "queued" || state === "running",
    resume: state === "pausing" || state === "paused" || state === "failed",
    step: state === "paused" || state === "failed",
    edit: alive,
    abort: alive,
    remove: ["completed", "aborted", "failed"].includes(state) || (state === "paused" && !job.held),
  };
}

/** Times as they are now, between what the server tells. @param {Model} model @param {Job} job */
export function timing(model, job) {
  const since = Math.max(0, (model.now - (model.received[job.job_id] ?? model.now)) / 1000);
  const { active_s, paused_s, eta_s, eta_rough } = job.timing;
  const runs = (job.state === "running" || job.state === "pausing") && job.node_id !== null;
  const stands = job.state === "failed" || eta_s === null;
  return {
    active: runs ? active_s + since : active_s,
    paused: job.state === "paused" ? paused_s + since : paused_s,
    eta: stands ? null : Math.max(0, eta_s - (job.state === "running" ? since : 0)),
    rough: eta_rough === true,
  };
}

/** @param {Job} job @returns {number} from 0 to 1 */
export function progress(job) {
  if (job.state === "completed") return 1;
  return job.total_steps ? Math.min(1, job.step / job.total_steps) : 0;
}

/** Whether steps of a node are those that the job counts now; null: of none in particular. @param {Job} job @param {string | null | undefined} nodeId */
export const isCounted = (job, nodeId) => !nodeId || nodeId === job.node_id;

/** Where edits took effect, from 0 to 1. @param {Job} job @returns {number[]} */
export function editMarks(job) {
  const steps = Object.entries(job.modified_params).flatMap(([node, named]) =>
    Object.entries(named).map(([input, { from_step }]) => (isCounted(job, job.modified_in[node]?.[input]) ? from_step : null)),
  );
  const total = job.total_steps;
  if (!total) return [];
  return [...new Set(steps)].filter((step) => step !== null).map((step) => Math.min(1, step / total));
}

/** @param {Job} job @returns {{ pending: number, applied: number }} */
export function editCounts(job) {
  const edits = Object.values(job.modified_params).flatMap((named) => Object.values(named));
  const pending = edits.filter((edit) => edit.from_step === null).length;
  return { pending, applied: edits.length - pending };
}

/** As a sentence among others: exceptions say what happened without a full stop. @param {string} message */
const ended = (message) => (/[\p{L}\p{N})\]'"]\s*$/u.test(message) ? `${message.trimEnd()}.` : message);

/**
 * Why it stands: a key of the texts and its values; null where its state says it all.
 * @param {Job} job @returns {[string, Record<string, string | number>] | null}
 */
export function sentence(job) {
  const step = job.paused_at_step ?? job.step;
  if (job.state === "failed") return ["why.failed", { step: job.step, error: ended(job.error?.message ?? "") }];
  if (job.state === "aborted")
    return job.abort_reason
      ? ["why.aborted", { step: job.step, reason: job.abort_reason }]
      : ["why.abortedPlain", { step: job.step }];
  if (job.state === "paused" && job.pause_reason === "asked" && !job.paused_because)
    return ["why.asked", { step }];
  if (job.state === "paused" && job.error && job.pause_reason === "breakpoint")
    return ["why.exception", { step, error: ended(job.error.message) }];
  if (job.state === "paused" && job.paused_because)
    return ["why.because", { step, because: job.paused_because }];
  if (job.state === "paused" && job.choice)
    return [job.choice.most === 1 ? "why.choiceOfOne" : "why.choice", { count: job.choice.count }];
  if (job.state === "paused" && job.paused_before) return ["why.beforeNode", { node: job.paused_before }];
  if (job.state === "paused" && job.error) return ["why.setBack", { step, error: ended(job.error.message) }];
  if (job.state === "paused") return [`why.${job.pause_reason ?? "user"}`, { step }];
  if (job.warnings.length) return ["why.warning", { message: job.warnings[0].message }];
  if (job.state === "running" && job.node_id === null) return ["why.beforeSampling", {}];
  return null;
}

/** @param {Model} model @param {Job} job */
export function nameOf(model, job) {
  return job.workflow.name ?? (job.workflow.id !== null ? model.names[job.workflow.id] : undefined) ?? null;
}

/** Its name, or one made of its id. @param {Translate} t @param {Model} model @param {Job} job */
export const titleOf = (t, model, job) =>
  nameOf(model, job) ?? t("tray.unnamed", { id: job.job_id.slice(0, 8) });

const filteredOf = remembering(
  (/** @type {Model["jobs"]} */ jobs, /** @type {string[]} */ order, /** @type {string[]} */ wanted) =>
    wanted.length ? order.filter((id) => wanted.includes(jobs[id].state)) : order,
);

/** @param {Model} model @returns {string[]} */
export const filtered = (model) =>
  filteredOf(model.jobs, model.order, FILTERS[model.tray.filter] ?? FILTERS.all);

/** @param {Model} model */
export const somethingIsPaused = (model) => living(model).some((job) => job.state === "paused");

/** Whether time has to go on by itself. @param {Model} model */
export const somethingRuns = (model) => living(model).some((job) => ACTIVE.includes(job.state));

export const ROW = 92; // pixels of a row of the list
const AROUND = 2; // rows drawn beyond what is in sight
const NEAR_THE_END = 20; // rows

/** The rows of so many that are drawn. @param {Model} model @param {number} count */
export function rowsInSight({ tray }, count) {
  const first = Math.max(0, Math.floor(tray.top / ROW) - AROUND);
  const last = Math.min(count, Math.ceil((tray.top + (tray.height || 600)) / ROW) + AROUND);
  return { first, last, inSight: first ? first + AROUND : 0 };
}

/** Whether the list is scrolled so far that it needs its next page. @param {Model} model */
export function needsMore(model) {
  const { tray, next, loading } = model;
  if (tray.open !== null || loading || next === null || next === undefined) return false;
  return (tray.top + tray.height) / ROW > filtered(model).length - NEAR_THE_END;
}
