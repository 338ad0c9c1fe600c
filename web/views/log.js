// What happened to a job, one line an event.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function logView({ t }, model, job) {
  const events = model.events[job.job_id] ?? [];
  return h(
    "ol",
    { class: "midrun-log", tabindex: "0", "aria-label": t("tab.log") },
    events.map((event, index) =>
      h(
        "li",
        { key: String(index) },
        h("time", { datetime: event.at, title: format.moment(event.at) }, format.time(event.at)),
        h("span", { class: "midrun-kind" }, t(nameOf(event))),
        h("span", { class: "midrun-step" }, t("step.alone", { step: event.step })),
        h("span", { class: "midrun-line-detail" }, details(t, event.detail).join(" · ")),
      ),
    ),
  );
}

/** What there is to say besides, the most important first. @param {Translate} t @param {any} detail @returns {string[]} */
function details(t, { abort_reason, error, warning, sigma, action, reason, because, message, edits = [] }) {
  const said = action && t(`log.said.${action}`);
  const changes = edits.map((/** @type {any} */ { undone, input, from, to }) =>
    undone ? t("log.undone", { input }) : `${input}: ${format.short(from, 24)} → ${format.short(to, 24)}`,
  );
  const why = typeof error === "string" ? error : error?.message;
  const level = typeof sigma === "number" && `σ ${format.sigma(sigma)}`;
  return [said, reason, because, abort_reason, why, warning, message, level, ...changes].filter(Boolean);
}

/** The key of its name: the new state, or what it is. @param {any} event */
function nameOf({ kind, detail, state_from, state_to }) {
  if (state_from !== state_to) return `state.${state_to}`;
  if (detail.warning) return "log.warning";
  return kind.endsWith("_over") ? "log.over" : `log.${kind}`; // the end of a span: "time_over"
}
