// The parameters of a job: grouped by node, one row an input. Unsaved, pending and applied are told apart.
import { h } from "../ui/dom.js";
import { editorOf } from "../model/reducer_editor.js";
import { editCounts, hasEnded } from "../model/select.js";
import { unmoved } from "../model/select_cursor.js";
import { remembering } from "../ui/records.js";
import { inputRow } from "./input_row.js";
/** @import { Input, Job, Model, ParamNode } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @typedef {"tray" | "timeline"} Place  where it stands, as it may be in two places at once */

/** What a word does is asked of the step of the cursor; nothing else of it moves with that. @param {Tools} tools @param {Model} model @param {Job} job @param {Place} [place] */
export const editorView = (tools, model, job, place = "tray") =>
  editors[place](tools, tools.t, model.lens === null ? unmoved(model) : model, job);

/** @param {Place} place */
const editorAt = (place) =>
  remembering(
    (/** @type {Tools} */ tools, /** @type {Tools["t"]} */ _, /** @type {Model} */ model, /** @type {Job} */ job) =>
      editor(tools, model, job, place),
  );
const editors = { tray: editorAt("tray"), timeline: editorAt("timeline") };

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Place} place */
function editor(tools, model, job, place) {
  const { t, dispatch } = tools;
  const { nodes } = editorOf(model, job.job_id);
  if (nodes === null) return [h("p", { class: "midrun-told" }, t("editor.loading"))];
  const search = model.tray.search.trim().toLowerCase();
  const { first, rest } = grouped(nodes, job, search);
  const groups = first.map(([id, node]) => group(tools, model, job, id, node, search, place));
  const folded = rest.map(([id, node]) => group(tools, model, job, id, node, search, place));
  return [
    h("input", {
      key: "search",
      type: "search",
      class: "midrun-search",
      placeholder: t("editor.search"),
      "aria-label": t("editor.search"),
      value: model.tray.search,
      onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) =>
        dispatch({ type: "tray", search: input.value }),
    }),
    h(
      "div",
      { key: "groups", class: "midrun-groups" },
      groups,
      folded.length > 0 &&
        (search
          ? folded
          : h(
              "details",
              { key: "rest", class: "midrun-rest" },
              h("summary", null, t("editor.rest", { n: folded.length })),
              folded,
            )),
      !groups.length && !folded.length && h("p", { class: "midrun-told" }, t("editor.nothing")),
    ),
    footer(tools, model, job),
  ];
}

/** The sampling node, then prompts, LoRAs, ControlNets; the rest apart. @param {Record<string, ParamNode>} nodes @param {Job} job @param {string} search */
export function grouped(nodes, job, search) {
  const samplers = new Set([job.display_node_id, ...job.sampler_nodes]);
  const rank = (/** @type {[string, ParamNode]} */ [id, node]) => {
    if (id === job.display_node_id) return 0;
    if (samplers.has(id)) return 1;
    if (Object.values(node.inputs).some((input) => input.multiline)) return 2;
    if (/lora/i.test(node.class_type)) return 3;
    if (/controlnet/i.test(node.class_type)) return 4;
    return 5;
  };
  const wanted = Object.entries(nodes).filter(([, node]) => inputsOf(node, search).length > 0);
  const sorted = wanted
    .map((entry, index) => ({ entry, index, rank: rank(entry) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index);
  const of = (/** @type {(rank: number) => boolean} */ choose) =>
    sorted.filter((one) => choose(one.rank)).map((one) => one.entry);
  const first = of((rank) => rank < 5);
  return first.length ? { first, rest: of((rank) => rank === 5) } : { first: of(() => true), rest: [] };
}

/** @param {ParamNode} node @param {string} search @returns {[string, Input][]} */
function inputsOf(node, search) {
  const all = Object.entries(node.inputs);
  if (!search || node.title.toLowerCase().includes(search)) return all;
  return all.filter(
    ([name, input]) =>
      name.toLowerCase().includes(search) || String(input.value).toLowerCase().includes(search),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job @param {string} id @param {ParamNode} node @param {string} search @param {string} place */
function group(tools, model, job, id, node, search, place) {
  return h(
    "section",
    { key: id, class: "midrun-group", "data-node": id, "aria-label": `${node.title} #${id}` },
    h("h3", null, node.title, h("span", { class: "midrun-node-id" }, `#${id}`)),
    inputsOf(node, search).map(([name, input]) => inputRow(tools, model, job, id, name, input, place)),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job */
function footer(tools, model, job) {
  const { t, actions, dispatch } = tools;
  const id = job.job_id;
  const unsaved = Object.keys(model.editors[id]?.drafts ?? {}).length;
  const { pending, applied } = editCounts(job);
  const canvas = (model.canvas[id] ?? []).length;
  const stands = job.state === "paused" || job.state === "failed";
  const ended = hasEnded(job);
  const nodes = Object.values(model.editors[id]?.nodes ?? {});
  const rewinds = nodes.some((node) => Object.values(node.inputs).some((input) => input.rewind));
  const counts = [
    unsaved && t("editor.unsaved", { n: unsaved }),
    pending && t("editor.pending", { n: pending }),
    applied && t("editor.applied", { n: applied }),
    ended && t(rewinds ? "verdict.endedRewinds" : "verdict.ended"),
  ].filter(Boolean);
  const push = (
    /** @type {string} */ verb,
    /** @type {string} */ label,
    /** @type {() => any} */ act,
    primary = false,
  ) =>
    h(
      "button",
      {
        key: verb,
        type: "button",
        class: `midrun-button${primary ? " midrun-primary" : ""}`,
        "data-verb": verb,
        "data-home": primary,
        onClick: act,
      },
      label,
    );
  return h(
    "div",
    { key: "footer", class: "midrun-editor-footer" },
    h(
      "span",
      { class: "midrun-counts", "aria-live": "polite" },
      counts.length ? counts.join(" · ") : t("editor.unchanged"),
    ),
    h(
      "span",
      { class: "midrun-footer-buttons" },
      !ended && unsaved + pending > 0 && push("undoAll", t("editor.undoAll"), () => actions.undoAll(id)),
      !ended && unsaved > 0 && push("save", t("editor.save"), () => actions.save(id)),
      unsaved > 0 &&
        job.state === "running" &&
        push("applyNow", t("editor.applyNow"), () => actions.save(id, "next_step"), true),
      stands &&
        canvas > 0 &&
        push("canvas", t("canvas.resume", { n: canvas }), () => dispatch({ type: "confirm", job_id: id })),
      stands &&
        unsaved + pending > 0 &&
        push("resumeWithChanges", t("editor.resume"), () => actions.resumeWithChanges(id), true),
    ),
  );
}
