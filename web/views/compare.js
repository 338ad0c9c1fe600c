// Beside this job in the viewer: another one, or what a rewind of it left over. Which, and what differs between the two.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { framesOf, newestIndex } from "../model/select_pictures.js";
import { family } from "../model/select_travel.js";
import { isLeftOver } from "../model/reducer_travel.js";
import { changesTable } from "./parts.js";
import { relativeName } from "./travel.js";
/** @import { Difference, Job, Model, Viewer } from "../model/types.js" */
/** @import { Tools } from "./parts.js" */

/** The step whose picture is in the viewer. @param {Model} model @param {Viewer} viewer @returns {number | null} */
export function viewedStep(model, viewer) {
  const job = model.jobs[viewer.job_id];
  if (!job) return null;
  const all = framesOf(model, job, viewer.node_id ?? job.node_id);
  return viewer.step ?? all[newestIndex(all, job)]?.step ?? job.step;
}

/** The job that is compared with, or null. @param {Viewer} viewer @returns {string | null} */
export const comparedJob = ({ compare }) =>
  compare !== null && typeof compare === "object" ? compare.job : null;

/**
 * Whose parameters differ, at which step: the job itself stands for what its rewind left over. Null: they are the same.
 * @param {Model} model @param {Viewer} viewer @returns {{ job: string, step: number } | null}
 */
export function comparedWith(model, viewer) {
  const { compare, job_id } = viewer;
  const other = comparedJob(viewer);
  const step = other === null ? compare : viewedStep(model, viewer);
  const job = model.jobs[other ?? job_id];
  if (!job || typeof step !== "number") return null;
  const node_id = viewer.node_id ?? job.node_id ?? "";
  return other !== null || isLeftOver(job, { node_id, step }) ? { job: job.job_id, step } : null;
}

/** What is known of that comparison. @param {Model} model @param {Viewer} viewer */
export function comparisonOf(model, viewer) {
  const { comparison } = model;
  const fits = comparison?.job_id === viewer.job_id && comparison.with === comparedWith(model, viewer)?.job;
  return fits ? comparison : null;
}

/** Choices for the list of what to compare with. @param {Tools} tools @param {Model} model @param {Job} job */
export function relatives(tools, model, job) {
  const ids = family(model, job);
  if (!ids.length) return null;
  return h(
    "optgroup",
    { key: "family", label: tools.t("compare.family") },
    ids.map((id) =>
      h("option", { key: `job:${id}`, value: `job:${id}` }, relativeName(tools, model, model.jobs[id])),
    ),
  );
}

/** @param {Tools} tools @param {Model} model @param {Viewer} viewer */
export function differencesView(tools, model, viewer) {
  const { t } = tools;
  const comparison = comparisonOf(model, viewer);
  const other = comparison && model.jobs[comparison.with];
  if (!comparison || !other) return null;
  const { differences, told, step } = comparison;
  const name = other.job_id === viewer.job_id ? t("travel.leftOver") : relativeName(tools, model, other);
  const line = (/** @type {Difference} */ one) =>
    h(
      "tr",
      { key: `${one.node_id} ${one.input}` },
      h("td", null, `${one.title} · ${one.input}`),
      h("td", null, format.short(one.values[0] ?? "–", 120)),
      h("td", null, format.short(one.values[1] ?? "–", 120)),
    );
  return h(
    "aside",
    { key: "differences", class: "midrun-differences", "aria-label": t("compare.title", { step }) },
    h("h3", null, t("compare.title", { step })),
    told !== null
      ? h("p", { class: "midrun-told midrun-alert" }, told)
      : differences.length
        ? changesTable([t("canvas.input"), t("compare.this"), name], differences.map(line))
        : h("p", { class: "midrun-told" }, t("compare.same")),
  );
}
