// The form that adds a breakpoint to a job.
import { h } from "../ui/dom.js";
import { icon } from "./icons.js";
/** @import { Action, BreakpointForm, Job, Kind, Model, ParamNode } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

const WHOLE = { type: "number", min: 1, step: 1 };
const POSITIVE = { type: "number", min: 0, step: "any" };
const DEGREES = { type: "number", min: 1, step: "any" };
const HOUR = { type: "time" };
/** @type {Action[]} */
const ACTIONS = ["pause", "log", "abort", "finish", "ask"];

/**
 * What is typed for each kind. One with `until` holds until another condition does.
 * @typedef {Record<string, any>} Field
 * @type {Record<Kind, { value?: Field, until?: Field }>}
 */
const KINDS = {
  step: { value: WHOLE },
  every: { value: WHOLE },
  sigma_below: { value: POSITIVE },
  change_below: { value: POSITIVE },
  node: {},
  nan: {},
  exception: {},
  time: { value: HOUR, until: HOUR },
  heat: { value: DEGREES, until: DEGREES },
};

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Record<string, ParamNode>} nodes */
export function breakpointForm(tools, model, job, nodes) {
  const { t, actions } = tools;
  const { breakpointForm: typed } = model;
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void actions.addBreakpoint(job.job_id);
  };
  return h(
    "form",
    { key: "form", class: "midrun-breakpoint-form", onSubmit: submit, novalidate: true },
    actionChoice(tools, typed),
    kindChoice(tools, typed),
    typedField(tools, typed, "value"),
    typedField(tools, typed, "until"),
    typed.kind === "node" && nodeChoice(tools, typed, nodes),
    hasLoops(job, nodes) && !KINDS[typed.kind].until && iterationField(tools, typed),
    typed.action === "ask" && timeoutField(tools, typed),
    h(
      "button",
      { key: "add", type: "submit", class: "midrun-button midrun-primary", "data-verb": "addBreakpoint" },
      icon("plus"),
      h("span", null, t("breakpoint.add")),
    ),
    note(tools, typed),
  );
}

/** Whether the workflow has loops of ComfyUI. @param {Job} job @param {Record<string, ParamNode>} nodes */
const hasLoops = (job, nodes) =>
  Boolean(job.iteration) || Object.values(nodes).some((node) => node.class_type === "StartLoop");

/** @param {Tools} tools @param {(field: any) => Partial<BreakpointForm>} changed by what a field has now */
const sets =
  ({ dispatch }, changed) =>
  (/** @type {any} */ _, /** @type {any} */ field) =>
    dispatch({ type: "breakpointForm", ...changed(field) });

/** Of another kind: what was typed for the one before makes no sense. @param {Kind} kind @param {Action} action */
const changed = (kind, action) => ({
  kind,
  value: "",
  until: "",
  action: KINDS[kind].until && action === "ask" ? /** @type {Action} */ ("pause") : action,
});

/** @param {Tools} tools @param {BreakpointForm} typed */
function kindChoice(tools, { kind, action }) {
  const { t } = tools;
  const onChange = sets(tools, (select) => changed(select.value, action));
  return h(
    "select",
    { key: "kind", "data-field": "kind", "aria-label": t("breakpoint.when"), value: kind, onChange },
    Object.keys(KINDS).map((one) => h("option", { key: one, value: one }, t(`breakpoint.kind.${one}`))),
  );
}

/** @param {Tools} tools @param {BreakpointForm} typed */
function actionChoice(tools, { kind, action }) {
  const onChange = sets(tools, (select) => ({ action: select.value }));
  return actionSelect(tools, kind, action, { key: "action", "data-field": "action", onChange });
}

/** @param {Tools} tools @param {Kind} kind @param {Action} value @param {Record<string, any>} more */
export function actionSelect({ t }, kind, value, more) {
  const possible = KINDS[kind].until ? ACTIONS.filter((one) => one !== "ask") : ACTIONS;
  const label = t("breakpoint.does");
  return h(
    "select",
    { ...more, "aria-label": label, title: t(`breakpoint.tip.${value}`), value },
    possible.map((one) => h("option", { key: one, value: one }, t(`breakpoint.action.${one}`))),
  );
}

/** @param {Tools} tools @param {BreakpointForm} typed @param {"value" | "until"} name */
function typedField(tools, typed, name) {
  const { kind, refused } = typed;
  const field = KINDS[kind][name];
  if (field === undefined) return null;
  const label = tools.t(`breakpoint.${name}.${kind}`);
  return h("input", {
    key: KINDS[kind].until ? `${kind} ${name}` : name, // a field whose type changes forgets its value
    "data-field": name,
    "aria-label": label,
    placeholder: label,
    title: label,
    "aria-invalid": refused ? "true" : undefined,
    value: typed[name],
    onInput: sets(tools, (input) => ({ [name]: input.value })),
    ...field,
  });
}

/** @param {Tools} tools @param {BreakpointForm} typed @param {Record<string, ParamNode>} nodes */
function nodeChoice(tools, { node_id, refused }, nodes) {
  const { t } = tools;
  return h(
    "select",
    {
      key: "node",
      "data-field": "node",
      "aria-label": t("breakpoint.value.node"),
      "aria-invalid": refused ? "true" : undefined,
      value: node_id,
      onChange: sets(tools, (select) => ({ node_id: select.value })),
    },
    h("option", { key: "", value: "" }, t("breakpoint.value.node")),
    Object.entries(nodes).map(([id, node]) => h("option", { key: id, value: id }, `${node.title} #${id}`)),
  );
}

/** @param {Tools} tools @param {BreakpointForm} typed */
function iterationField(tools, { iteration }) {
  const label = tools.t("breakpoint.iteration");
  return h("input", {
    key: "iteration",
    "data-field": "iteration",
    ...WHOLE,
    "aria-label": label,
    placeholder: label,
    title: label,
    value: iteration,
    onInput: sets(tools, (input) => ({ iteration: input.value })),
  });
}

/** @param {Tools} tools @param {BreakpointForm} typed */
function timeoutField(tools, { timeout, refused }) {
  const label = tools.t("breakpoint.timeout");
  return h("input", {
    key: "timeout",
    "data-field": "timeout",
    ...WHOLE,
    "aria-label": label,
    placeholder: label,
    title: label,
    "aria-invalid": refused ? "true" : undefined,
    value: timeout,
    onInput: sets(tools, (input) => ({ timeout: input.value })),
  });
}

/** @param {Tools} tools @param {BreakpointForm} typed */
function note({ t }, { kind, refused }) {
  if (!refused && kind !== "node") return null;
  return h(
    "p",
    {
      key: "note",
      class: `midrun-note${refused ? " midrun-alert" : ""}`,
      "aria-live": refused ? "assertive" : undefined,
    },
    refused ?? t("breakpoint.nextRun"),
  );
}
