// Whether the model still answers what is on record: a button, how far a check is, and what it found.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { button } from "./parts.js";
/** @import { Check, Job, Model } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

const AT_REST = ["paused", "failed", "completed", "aborted"];
const GIVEN = ["given", "given_rounded"]; // with which no evaluation was asked, so that answers are the same
const OPEN = ["queued", "running"];

/** @param {Job} job */
const isOpen = (job) => OPEN.includes(job.check?.state ?? "");

/** @param {Job} job */
const canCheck = (job) => AT_REST.includes(job.state) && job.evaluations > 0 && !isOpen(job);

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function checkButton({ t, actions }, model, job) {
  const free = model.requests[job.job_id] === undefined;
  return button(t("check.tip"), "done", canCheck(job) && free, () => actions.check(job.job_id), {
    small: true,
    verb: "check",
  });
}

/** The newest check. @param {Tools} tools @param {Job} job */
export function checkView({ t, actions }, job) {
  const { check } = job;
  if (!check) return null;
  return h(
    "div",
    { key: "check", class: "midrun-check", "data-verdict": check.verdict ?? check.state },
    h(
      "div",
      { class: "midrun-check-line" },
      h("p", { class: "midrun-told", "aria-live": "polite", "data-check": "" }, told(t, check)),
      isOpen(job) &&
        button(t("check.cancel"), "close", true, () => actions.cancelCheck(job.job_id), { verb: "cancel-check" }),
    ),
    check.state === "done" && changes(t, check),
  );
}

/** @param {Translate} t @param {Check} check */
function told(t, check) {
  const { state, verdict, compared, total, first, largest, earlier } = check;
  if (state === "queued") return t("check.queued");
  if (state === "running") return t("check.running", { done: compared, total });
  if (state === "cancelled") return t("check.cancelled");
  if (state === "failed") return t("check.failed", { because: check.error ?? "" });
  const left = earlier ? ` ${t("check.earlier", { n: earlier })}` : "";
  if (verdict === "equal") return t("check.equal", { n: compared }) + left;
  if (verdict === "rounding") return t("check.rounding", { difference: digits(largest?.difference) }) + left;
  const where = { step: first?.step ?? 0, evaluation: first?.evaluation ?? 0, node: first?.node_id ?? "" };
  return t("check.different", { ...where, difference: digits(first?.difference) }) + left;
}

/** What changed since, the likeliest culprit first. @param {Translate} t @param {Check} check */
function changes(t, { changed, verdict }) {
  const matter = changed.filter((one) => one.arithmetic || GIVEN.includes(one.code));
  const isKnown = verdict === "equal" || changed.some((one) => one.arithmetic);
  const unknown = isKnown ? null : h("p", { key: "unknown", class: "midrun-told" }, t("check.unknown"));
  if (!matter.length) return unknown;
  const list = h(
    "details",
    { key: "changes", class: "midrun-elsewhere", open: true },
    h("summary", null, t("check.changed", { n: matter.length })),
    h(
      "ul",
      null,
      matter.map((one) =>
        h("li", { key: `${one.code} ${one.name}`, "data-changed": one.code }, one.message),
      ),
    ),
  );
  return [unknown, list];
}

/** @param {number | null | undefined} value */
const digits = (value) => (value === null || value === undefined ? "∞" : format.digits(value));
