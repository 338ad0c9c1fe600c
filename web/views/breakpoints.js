// On what a job pauses by itself: a list, and a form to add to it.
import { h } from "../ui/dom.js";
import { editorOf } from "../model/reducer_editor.js";
import { breakpointSentence } from "../model/select_travel.js";
import { actionSelect, breakpointForm } from "./breakpoint_form.js";
import { icon } from "./icons.js";
/** @import { Breakpoint, Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function breakpointsView(tools, model, job) {
  const { t } = tools;
  const all = job.breakpoints ?? [];
  const nodes = editorOf(model, job.job_id).nodes ?? {};
  const title = (/** @type {string} */ id) => (nodes[id] ? `${nodes[id].title} #${id}` : `#${id}`);
  return [
    h(
      "ul",
      { key: "list", class: "midrun-breakpoints", "aria-label": t("breakpoint.label") },
      all.map((one) => row(tools, job, one, title)),
      !all.length && h("li", { key: "none", class: "midrun-told" }, t("breakpoint.empty")),
    ),
    breakpointForm(tools, model, job, nodes),
  ];
}

/** @param {Tools} tools @param {Job} job @param {Breakpoint} one @param {(id: string) => string} title of a node */
function row(tools, job, one, title) {
  const { t, actions } = tools;
  const [key, values] = breakpointSentence(one, title);
  const sentence = t(key, values);
  const change = (/** @type {Partial<Breakpoint>} */ more) => actions.changeBreakpoint(job.job_id, one.id, more);
  const label = t("breakpoint.enabled", { sentence });
  const where =
    one.kind !== "node" && one.node_id !== null && t("breakpoint.in", { node: title(one.node_id) });
  const only = one.iteration && t("breakpoint.inIteration", { n: one.iteration });
  const wait = one.action === "ask" && t("breakpoint.waits", { n: one.timeout_s });
  const about = [where, only, wait, t("breakpoint.hits", { n: one.hits })].filter(Boolean);
  return h(
    "li",
    {
      key: one.id,
      class: "midrun-breakpoint",
      "data-kind": one.kind,
      "data-enabled": String(one.enabled),
      "data-action": one.action,
    },
    h("input", {
      key: "enabled",
      type: "checkbox",
      role: "switch",
      class: "midrun-switch",
      "aria-label": label,
      checked: one.enabled,
      onChange: (/** @type {any} */ _, /** @type {any} */ input) => change({ enabled: input.checked }),
    }),
    h("span", { key: "sentence", class: "midrun-sentence" }, sentence),
    remover(t("breakpoint.remove", { sentence }), () => actions.removeBreakpoint(job.job_id, one.id)),
    h("span", { key: "told", class: "midrun-note" }, about.join(" · ")),
    actionSelect(tools, one.kind, one.action, {
      key: "action",
      class: "midrun-does",
      "data-field": "does",
      onChange: (/** @type {any} */ _, /** @type {any} */ select) => change({ action: select.value }),
    }),
  );
}

/** @param {string} label @param {() => any} act */
const remover = (label, act) =>
  h(
    "button",
    {
      key: "remove",
      type: "button",
      class: "midrun-button midrun-undo",
      "data-verb": "removeBreakpoint",
      "aria-label": label,
      title: label,
      onClick: act,
    },
    icon("trash"),
  );
