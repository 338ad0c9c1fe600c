// What stands on the wires into the node before which a job is paused. Pure functions.
import { digits } from "../ui/format.js";
import { jobsOf } from "./select.js";
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Job, Model, WireValue } from "./types.js" */

/**
 * The newest job of that workflow that is paused before one of these nodes.
 * @param {Model} model @param {string | null} workflowId @param {string[]} executionIds @returns {Job | null}
 */
export function stoppedBefore(model, workflowId, executionIds) {
  const isThere = (/** @type {Job} */ job) =>
    job.state === "paused" && job.paused_before !== null && executionIds.includes(job.paused_before);
  return jobsOf(model, workflowId).find(isThere) ?? null;
}

/** Where a picture of it is. @param {Job} job @param {number} number from 1 */
export const wirePicture = (job, number) =>
  `/midrun/jobs/${encodeURIComponent(job.job_id)}/wires/${number}?v=${job.wires?.version ?? ""}`;

/** In figures and words, a line each, without its name and its text. @param {Translate} t @param {WireValue} value @returns {string[]} */
export function wireLines(t, value) {
  const { shape, dtype, device, minimum, maximum, mean, not_finite, tokens, parts, count } = value;
  const isMeasured = minimum !== null && maximum !== null && mean !== null;
  const more = [
    not_finite > 0 && t("wire.notFinite", { n: not_finite }),
    tokens !== null && t("wire.tokens", { n: tokens }),
    parts.length > 0 && t("wire.with", { parts: parts.join(", ") }),
    count > 1 && t("wire.first", { n: count }),
  ];
  return [
    [value.type, shape?.join("×")],
    [dtype, device],
    [isMeasured && t("wire.range", { minimum: digits(minimum), maximum: digits(maximum) })],
    [isMeasured && t("wire.mean", { mean: digits(mean) })],
    more,
  ]
    .map((line) => line.filter(Boolean).join(" · "))
    .filter(Boolean);
}
