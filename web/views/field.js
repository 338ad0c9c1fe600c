// The control of one input of a job: a number with a slider, a choice, a switch, a text.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { hasEnded } from "../model/select.js";
import { rewindFor } from "../model/select_travel.js";
/** @import { Draft, Input, Job } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

const SLIDABLE = 2000; // a range with more stops than this is not for a slider

/** Whether an input takes no value now. @param {Job} job @param {Input} input */
function isLocked(job, input) {
  return rewindFor(job, input) === null && (input.verdict === "consumed" || hasEnded(job));
}

/** @param {Tools} tools @param {Job} job @param {string} nodeId @param {string} name @param {Input} input @param {Draft | undefined} draft @param {string} id */
export function field(tools, job, nodeId, name, input, draft, id) {
  const { actions } = tools;
  const locked = isLocked(job, input);
  const shown = draft ? draft.raw : input.value;
  const change = (/** @type {any} */ _, /** @type {any} */ element) =>
    actions.draft(job.job_id, nodeId, name, element.type === "checkbox" ? element.checked : element.value);
  const common = { id, "aria-describedby": `${id}-note` };
  if (input.type === "BOOLEAN")
    return h("input", {
      ...common,
      type: "checkbox",
      role: "switch",
      class: "midrun-switch",
      disabled: locked,
      checked: Boolean(shown),
      onChange: change,
    });
  if (input.options) return choice(common, input.options, String(shown), locked, change);
  if (input.type === "INT" || input.type === "FLOAT")
    return number(common, input, shown, locked, change, save);
  if (input.multiline)
    return h("textarea", {
      ...common,
      rows: 4,
      readonly: locked,
      value: String(shown),
      onInput: change,
      onKeydown: (/** @type {KeyboardEvent} */ event) =>
        event.key === "Enter" && (event.ctrlKey || event.metaKey) && save(event),
    });
  return h("input", {
    ...common,
    type: "text",
    readonly: locked,
    value: typeof shown === "string" ? shown : format.short(shown, 200),
    onInput: change,
    onKeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && save(event),
  });

  /** @param {KeyboardEvent} event */
  function save(event) {
    event.preventDefault();
    event.stopPropagation(); // Ctrl+Enter would queue the workflow, too
    void actions.save(job.job_id);
  }
}

/** @param {any} common @param {any[]} options @param {string} shown @param {boolean} locked @param {any} change */
function choice(common, options, shown, locked, change) {
  const texts = options.map(String);
  const option = (/** @type {string} */ text, key = text) => h("option", { key, value: text }, text);
  return h(
    "select",
    { ...common, disabled: locked, value: shown, onChange: change },
    !texts.includes(shown) && option(shown, "?"),
    texts.map((text) => option(text)),
  );
}

/** @param {any} common @param {Input} input @param {any} shown @param {boolean} locked @param {any} change @param {(event: KeyboardEvent) => void} save */
function number(common, input, shown, locked, change, save) {
  const { min, max } = input;
  const step = input.step ?? (input.type === "INT" ? 1 : 0.01);
  const enter = (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && save(event);
  const slides = !locked && min !== null && max !== null && (max - min) / step <= SLIDABLE;
  return [
    h("input", {
      key: "number",
      ...common,
      type: "number",
      min,
      max,
      step: "any",
      readonly: locked,
      value: shown,
      onInput: change,
      onKeydown: (/** @type {any} */ event, /** @type {any} */ element) =>
        enter(event) || arrows(event, element),
    }),
    slides &&
      h("input", {
        key: "slider",
        type: "range",
        tabindex: "-1",
        "aria-hidden": "true",
        min,
        max,
        step,
        value: Number.isFinite(Number(shown)) ? shown : min,
        onInput: change,
      }),
  ];

  // The arrows go by the step of the node, from wherever the value is; `step` itself would call others invalid.
  function arrows(/** @type {KeyboardEvent} */ event, /** @type {HTMLInputElement} */ element) {
    const direction = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
    if (!direction || locked) return;
    event.preventDefault();
    const moved = Number((Number(element.value) + direction * step).toPrecision(12));
    element.value = String(Math.min(max ?? Infinity, Math.max(min ?? -Infinity, moved)));
    change(event, element);
  }
}
