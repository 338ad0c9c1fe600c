// Beside this job in the viewer: another one, or what a rewind of it left over. Which, and what differs between the two.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { comparisonOf } from "../model/select_compare.js";
import { family } from "../model/select_family.js";
import { changesTable } from "./parts.js";
import { curveView } from "./curve.js";
import { relativeName } from "./travel.js";
/** @import { Difference, Job, Model, Viewer } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

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
  const { differences, message, step } = comparison;
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
    message !== null
      ? h("p", { class: "midrun-told midrun-alert" }, message)
      : differences.length
        ? changesTable([t("canvas.input"), t("compare.this"), name], differences.map(line))
        : h("p", { class: "midrun-told" }, t("compare.same")),
    curveView(tools, model, viewer),
  );
}
