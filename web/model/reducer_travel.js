// The part of the model that time travel and breakpoints need, and how it changes. Part of reducer.js.
import { pathKey } from "./reducer_editor.js";
/** @import { Reducers } from "./action_types.js" */
/** @import { BreakpointForm, ForkDialog, Job, Measured, Model, TravelModel } from "./types.js" */

const MORE = "12"; // steps, until another number is typed

/** @type {BreakpointForm} */
const emptyForm = Object.freeze({
  kind: "step",
  value: "",
  until: "",
  node_id: "",
  iteration: "",
  action: "pause",
  timeout: "",
  refused: null,
});

/** @type {TravelModel} */
export const initialTravel = Object.freeze({
  fork: null,
  breakpointForm: emptyForm,
  telemetry: {}, // job_id -> what was measured, by step
  chart: "sigma", // which of it is drawn
  comparison: null,
  curve: null,
  more: null,
  watching: false, // whether every sampler is, by the setting
});

/** @satisfies {Partial<Reducers>} */
export const onTravel = {
  forkDialog: (model, { job_id, node_id = null, step = 0, key = "" }) => ({
    ...model,
    fork:
      job_id === null
        ? null
        : {
            job_id,
            node_id,
            step,
            axes: [
              { key, text: "" },
              { key: "", text: "" },
            ],
            refused: {},
            message: null,
            sent: false,
          },
  }),

  forkStep: (model, { step }) => changed(model, { step }),

  /** Another input starts without values: those of one make no sense for another. */
  forkAxis(model, { index, key, text }) {
    if (model.fork === null) return model;
    const [one, other] = model.fork.axes;
    const before = index ? other : one;
    const axis =
      key !== undefined && key !== before.key ? { key, text: "" } : { ...before, text: text ?? "" };
    return changed(model, { axes: index ? [one, axis] : [axis, other], refused: {} });
  },

  forkAsked: (model) => changed(model, { sent: true }),

  forkRefused(model, { message, rejected }) {
    const reasons = rejected.map((one) => [pathKey(one.node_id, one.input), one.reason]);
    const axes = model.fork?.axes.map((axis) => axis.key) ?? [];
    const elsewhere = !reasons.some(([key]) => axes.includes(key));
    return changed(model, {
      sent: false,
      refused: Object.fromEntries(reasons),
      message: elsewhere ? message : null,
    });
  },

  breakpoints: (model, { job_id, breakpoints }) =>
    job_id in model.jobs
      ? { ...model, jobs: { ...model.jobs, [job_id]: { ...model.jobs[job_id], breakpoints } } }
      : model,

  breakpointForm: (model, { type: _, ...more }) => ({
    ...model,
    breakpointForm: { ...model.breakpointForm, refused: null, ...more },
  }),

  breakpointAdded: (model) => ({
    ...model,
    breakpointForm: { ...emptyForm, kind: model.breakpointForm.kind },
  }),

  telemetry: (model, { job_id, telemetry }) => ({
    ...model,
    telemetry: { ...model.telemetry, [job_id]: telemetry },
  }),
  chart: (model, { name }) => ({ ...model, chart: name }),
  comparison: (model, { comparison }) => ({ ...model, comparison }),
  curve: (model, { curve }) => ({ ...model, curve }),

  moreDialog: (model, { job_id }) => ({
    ...model,
    more: job_id === null ? null : { job_id, steps: MORE, sent: false, message: null },
  }),
  more: (model, { type: _, ...more }) =>
    model.more === null ? model : { ...model, more: { ...model.more, message: null, ...more } },

  watching: (model, { on }) => (model.watching === on ? model : { ...model, watching: on }),
};

/** @param {Model} model @param {Partial<ForkDialog>} more @returns {Model} */
function changed(model, more) {
  return model.fork === null ? model : { ...model, fork: { ...model.fork, message: null, ...more } };
}

/**
 * What a newer state of a job changes besides itself: its newest measurement is one more, and pictures of what a
 * rewind left behind are gone once another step took their place.
 * @param {Model} model with the job as it is now @param {Job} job @param {Job | undefined} before @returns {Model}
 */
export function withTravel(model, job, before) {
  let next = model;
  const known = model.telemetry[job.job_id];
  const last = job.telemetry && { ...job.telemetry, node_id: job.node_id ?? "" };
  if (known && last)
    next = { ...next, telemetry: { ...next.telemetry, [job.job_id]: withMeasured(known, last) } };
  const pictures = model.previews[job.job_id];
  if (pictures && before?.take && !job.take && job.step < before.take.step)
    next = {
      ...next,
      previews: {
        ...next.previews,
        [job.job_id]: pictures.filter(
          (one) => !isLeftOver(before, one) || one.created_at > before.updated_at,
        ),
      },
    };
  return next;
}

/** @param {Measured[]} known @param {Measured} last */
function withMeasured(known, last) {
  const before = known.filter((one) => one.node_id !== last.node_id || one.step < last.step);
  return [...before, last];
}

/** Whether a picture shows what a rewind left behind. @param {Job} job @param {{ node_id: string, step: number }} preview */
export function isLeftOver(job, preview) {
  return Boolean(job.take) && preview.node_id === job.node_id && preview.step > job.step;
}
