// What a resume will be like, where the model's patches remember: one word, and the whole of it in a tooltip.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";

/** @import { Job } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Job} job */
export function exactnessWord({ t }, job) {
  const { kind, evaluations, seconds, because } = job.exactness ?? {};
  if (!kind || !because || job.state === "completed") return null;
  const told = { count: evaluations ?? 0, time: format.clock(seconds ?? 0), because };
  /** @type {Record<string, [string, string]>} */
  const texts = {
    exact: [t("exactness.exact"), t("exactness.exactTip", told)],
    recomputes: [
      t("exactness.recomputes"),
      seconds === null ? t("exactness.recomputesTip", told) : t("exactness.recomputesInTip", told),
    ],
    inexact: [t("exactness.inexact"), t("exactness.inexactTip", told)],
  };
  const [word, tip] = texts[kind];
  return h("span", { class: "midrun-time", "data-exactness": kind, title: tip, tabindex: "0" }, word);
}
