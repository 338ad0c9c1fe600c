// The dialog that makes new jobs of one: from which step, which inputs vary, over which values.
import { h } from "../ui/dom.js";
import { editorOf, pathKey } from "../model/reducer_editor.js";
import * as format from "../ui/format.js";
import { MOST_FORKS, forkPlan } from "../model/select_fork.js";
import { buttons, dialog } from "./dialog.js";
import { grouped } from "./editor.js";
/** @import { ForkDialog, Input, Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {ForkDialog} fork */
export function forkView(tools, model, fork) {
  const { t, actions, dispatch } = tools;
  const job = model.jobs[fork.job_id];
  const plan = forkPlan(model, fork);
  const close = () => dispatch({ type: "forkDialog", job_id: null });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void actions.forkAsAsked();
  };
  const over = plan.count > MOST_FORKS;
  const count = over
    ? t("fork.over", { n: plan.count, most: MOST_FORKS })
    : t("fork.count", { n: plan.count });
  return dialog("fork", t("fork.title"), close, {}, [
    h(
      "form",
      { class: "midrun-form", onSubmit: submit },
      h("h2", null, t("fork.title")),
      stepField(tools, job, fork),
      axis(tools, model, fork, 0, plan.wrong[0]),
      axis(tools, model, fork, 1, plan.wrong[1]),
      fork.message !== null &&
        h("p", { key: "told", class: "midrun-told midrun-alert", "aria-live": "assertive" }, fork.message),
      h(
        "p",
        { key: "count", class: `midrun-told${over ? " midrun-alert" : ""}`, "aria-live": "polite" },
        h("strong", null, count),
        " ",
        t("fork.shared", { step: fork.step }),
      ),
      buttons(close, t("fork.cancel"), t("fork.do"), false, plan.ready && !fork.sent),
    ),
  ]);
}

/** @param {Tools} tools @param {Job} job @param {ForkDialog} fork */
function stepField({ t, dispatch }, job, fork) {
  return h(
    "label",
    { class: "midrun-fork-step" },
    h("span", null, t("fork.step")),
    h("input", {
      type: "number",
      min: 0,
      max: fork.node_id === job.node_id ? Math.max(job.step, fork.step) : undefined,
      step: 1,
      required: true,
      value: fork.step,
      onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) =>
        input.value !== "" && dispatch({ type: "forkStep", step: Number(input.value) }),
    }),
  );
}

/** An input and its values. @param {Tools} tools @param {Model} model @param {ForkDialog} fork @param {0 | 1} index @param {string | null} wrong */
function axis(tools, model, fork, index, wrong) {
  const { t, dispatch } = tools;
  const { key } = fork.axes[index];
  const [node, name] = key ? JSON.parse(key) : ["", ""];
  const input = editorOf(model, fork.job_id).nodes?.[node]?.inputs[name];
  const id = `midrun-fork-${index}`;
  const refused =
    fork.refused[key] ?? (wrong !== null ? t("fork.wrong", { value: format.short(wrong, 24) }) : null);
  const onChange = (/** @type {any} */ _, /** @type {HTMLSelectElement} */ select) =>
    dispatch({ type: "forkAxis", index, key: select.value });
  return h(
    "fieldset",
    { key: `axis-${index}`, class: "midrun-axis", "data-axis": index },
    h("label", { for: id }, t(index ? "fork.second" : "fork.first")),
    h(
      "select",
      { id, value: key, onChange, "data-refused": refused ? "" : undefined },
      h("option", { key: "", value: "" }, t(index ? "fork.nothingElse" : "fork.nothing")),
      groups(model, fork, index),
    ),
    input && valuesField(tools, fork, index, name, input, refused !== null),
    h(
      "p",
      {
        key: "note",
        id: `${id}-note`,
        class: `midrun-note${refused ? " midrun-alert" : ""}`,
        "aria-live": refused ? "assertive" : undefined,
      },
      refused ?? (input ? hint(tools, input) : ""),
    ),
  );
}

/** @param {Tools} tools @param {ForkDialog} fork @param {0 | 1} index @param {string} name @param {Input} input @param {boolean} refused */
function valuesField({ t, dispatch }, fork, index, name, input, refused) {
  const field = {
    key: "values",
    id: `midrun-fork-${index}-values`,
    "aria-label": t("fork.values", { input: name }),
    "aria-describedby": `midrun-fork-${index}-note`,
    "aria-invalid": refused ? "true" : undefined,
    autofocus: index === 0,
    spellcheck: "false",
    placeholder: input.multiline ? t("fork.lines") : example(input),
    value: fork.axes[index].text,
    onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ element) =>
      dispatch({ type: "forkAxis", index, text: element.value }),
  };
  return input.multiline ? h("textarea", { rows: 3, ...field }) : h("input", { type: "text", ...field });
}

/** The value that it has now. @param {Tools} tools @param {Input} input */
const hint = ({ t }, { multiline, value }) =>
  t(multiline ? "fork.nowLines" : "fork.now", { value: format.short(value, 60) });

/** The inputs that may vary, by node, in the order of the editor. @param {Model} model @param {ForkDialog} fork @param {0 | 1} index */
function groups(model, fork, index) {
  const nodes = editorOf(model, fork.job_id).nodes ?? {};
  const taken = fork.axes[1 - index].key;
  const { first, rest } = grouped(nodes, model.jobs[fork.job_id], "");
  return [...first, ...rest].map(([id, node]) =>
    h(
      "optgroup",
      { key: id, label: `${node.title} #${id}` },
      Object.keys(node.inputs)
        .map((name) => ({ name, key: pathKey(id, name) }))
        .filter(({ key }) => key !== taken)
        .map(({ name, key }) => h("option", { key, value: key }, `${name} · ${node.title}`)),
    ),
  );
}

/** @param {Input} input */
function example(input) {
  if (input.options) return input.options.slice(0, 2).map(String).join(", ");
  if (input.type === "BOOLEAN") return "true, false";
  return input.type === "INT" || input.type === "FLOAT" ? "3, 5, 7" : "a, b";
}
