// On what a job pauses by itself: a list, and a form to add to it.
import { h } from "../ui/dom.js";
import { editorOf } from "../model/reducer_editor.js";
import { breakpointSentence } from "../model/select_travel.js";
import { icon } from "./icons.js";
/** @import { Breakpoint, BreakpointForm, Job, Kind, Model, ParamNode } from "../model/types.js" */
/** @import { Tools } from "./parts.js" */

/** @type {Kind[]} */
const KINDS = ["step", "every", "sigma_below", "change_below", "node", "nan", "exception", "time", "heat"];
/** @type {Record<string, { type: string, min?: number, step?: string }>} a condition that holds until another does */
const SPANS = { time: { type: "time" }, heat: { type: "number", min: 1, step: "any" } };
const WHOLE = ["step", "every"];
const NUMBERS = [...WHOLE, "sigma_below", "change_below"];

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
      all.map((one) => row(tools, model, job, one, title)),
      !all.length && h("li", { key: "none", class: "midrun-told" }, t("breakpoint.empty")),
    ),
    form(tools, model, job, nodes),
  ];
}

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Breakpoint} one @param {(id: string) => string} title */
function row({ t, actions }, model, job, one, title) {
  const [key, values] = breakpointSentence(one, title);
  const sentence = t(key, values);
  const where =
    one.kind !== "node" && one.node_id !== null ? t("breakpoint.in", { node: title(one.node_id) }) : "";
  const change = (/** @type {Partial<Breakpoint>} */ more) =>
    actions.changeBreakpoint(job.job_id, one.id, more);
  const only = one.iteration ? t("breakpoint.inIteration", { n: one.iteration }) : "";
  const told = [where, only, t("breakpoint.hits", { n: one.hits })];
  return h(
    "li",
    {
      key: one.id,
      class: "midrun-breakpoint",
      "data-kind": one.kind,
      "data-enabled": String(one.enabled),
      "data-log-only": String(one.log_only),
    },
    h("input", {
      key: "enabled",
      type: "checkbox",
      role: "switch",
      class: "midrun-switch",
      "aria-label": t("breakpoint.enabled", { sentence }),
      checked: one.enabled,
      onChange: (/** @type {any} */ _, /** @type {HTMLInputElement} */ box) =>
        change({ enabled: box.checked }),
    }),
    h("span", { key: "sentence", class: "midrun-sentence" }, sentence),
    h(
      "button",
      {
        key: "remove",
        type: "button",
        class: "midrun-button midrun-undo",
        "data-verb": "removeBreakpoint",
        "aria-label": t("breakpoint.remove", { sentence }),
        title: t("breakpoint.remove", { sentence }),
        onClick: () => actions.removeBreakpoint(job.job_id, one.id),
      },
      icon("trash"),
    ),
    h("span", { key: "told", class: "midrun-note" }, told.filter(Boolean).join(" · ")),
    h(
      "label",
      { key: "logOnly", class: "midrun-note midrun-log-only" },
      h("input", {
        type: "checkbox",
        checked: one.log_only,
        onChange: (/** @type {any} */ _, /** @type {HTMLInputElement} */ box) =>
          change({ log_only: box.checked }),
      }),
      t("breakpoint.logOnly"),
    ),
  );
}

/** Whether the workflow has loops of ComfyUI. @param {Job} job @param {Record<string, ParamNode>} nodes */
const hasLoops = (job, nodes) =>
  Boolean(job.iteration) || Object.values(nodes).some((node) => node.class_type === "StartLoop");

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Record<string, ParamNode>} nodes */
function form({ t, actions, dispatch }, model, job, nodes) {
  const { kind, node_id, iteration, log_only, refused } = model.breakpointForm;
  const set = (/** @type {Partial<BreakpointForm>} */ more) => dispatch({ type: "breakpointForm", ...more });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void actions.addBreakpoint(job.job_id);
  };
  const field = (/** @type {"value" | "until"} */ name, /** @type {any} */ more) =>
    h("input", {
      key: kind in SPANS ? `${kind} ${name}` : name, // a field whose type changes forgets its value
      "data-field": name,
      "aria-label": t(`breakpoint.${name}.${kind}`),
      placeholder: t(`breakpoint.${name}.${kind}`),
      title: t(`breakpoint.${name}.${kind}`),
      "aria-invalid": refused ? "true" : undefined,
      value: model.breakpointForm[name],
      onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) => set({ [name]: input.value }),
      ...more,
    });
  return h(
    "form",
    { key: "form", class: "midrun-breakpoint-form", onSubmit: submit, novalidate: true },
    h(
      "label",
      { key: "kind", class: "midrun-when" },
      h("span", null, t("breakpoint.when")),
      h(
        "select",
        {
          "data-field": "kind",
          value: kind,
          onChange: (/** @type {any} */ _, /** @type {HTMLSelectElement} */ select) =>
            set({ kind: /** @type {any} */ (select.value), value: "", until: "" }),
        },
        KINDS.map((one) => h("option", { key: one, value: one }, t(`breakpoint.kind.${one}`))),
      ),
    ),
    NUMBERS.includes(kind) &&
      field(
        "value",
        WHOLE.includes(kind) ? { type: "number", min: 1, step: 1 } : { type: "number", min: 0, step: "any" },
      ),
    kind in SPANS && field("value", SPANS[kind]),
    kind in SPANS && field("until", SPANS[kind]),
    kind === "node" &&
      h(
        "select",
        {
          key: "node",
          "data-field": "node",
          "aria-label": t("breakpoint.value.node"),
          "aria-invalid": refused ? "true" : undefined,
          value: node_id,
          onChange: (/** @type {any} */ _, /** @type {HTMLSelectElement} */ select) =>
            set({ node_id: select.value }),
        },
        h("option", { key: "", value: "" }, t("breakpoint.value.node")),
        Object.entries(nodes).map(([id, node]) =>
          h("option", { key: id, value: id }, `${node.title} #${id}`),
        ),
      ),
    hasLoops(job, nodes) &&
      !(kind in SPANS) &&
      h("input", {
        key: "iteration",
        "data-field": "iteration",
        type: "number",
        min: 1,
        step: 1,
        "aria-label": t("breakpoint.iteration"),
        placeholder: t("breakpoint.iteration"),
        title: t("breakpoint.iteration"),
        value: iteration,
        onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) =>
          set({ iteration: input.value }),
      }),
    h(
      "label",
      { key: "logOnly", class: "midrun-log-only", title: t("breakpoint.logOnlyTip") },
      h("input", {
        type: "checkbox",
        "data-field": "logOnly",
        checked: log_only,
        onChange: (/** @type {any} */ _, /** @type {HTMLInputElement} */ box) =>
          set({ log_only: box.checked }),
      }),
      t("breakpoint.logOnly"),
    ),
    h(
      "button",
      { key: "add", type: "submit", class: "midrun-button midrun-primary", "data-verb": "addBreakpoint" },
      icon("plus"),
      h("span", null, t("breakpoint.add")),
    ),
    (refused || kind === "node") &&
      h(
        "p",
        {
          key: "note",
          class: `midrun-note${refused ? " midrun-alert" : ""}`,
          "aria-live": refused ? "assertive" : undefined,
        },
        refused ?? t("breakpoint.nextRun"),
      ),
  );
}
