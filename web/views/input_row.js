// One input of a job: its control, what became of it, and what else can be done about it.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { editorOf, pathKey } from "../model/reducer_editor.js";
import { hasEnded } from "../model/select.js";
import { rewindFor } from "../model/select_travel.js";
import { field } from "./field.js";
import { icon } from "./icons.js";
import { lensView } from "./lens.js";
/** @import { Draft, Edit, Input, Job, Model, ParamNode } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

const LONGEST = 22; // characters of a value beside its name

/** @param {Tools} tools @param {Model} model @param {Job} job @param {string} nodeId @param {string} name @param {Input} input @param {string} place of the editor */
export function inputRow(tools, model, job, nodeId, name, input, place) {
  const { t, actions } = tools;
  const { nodes, drafts, refused } = editorOf(model, job.job_id);
  const key = pathKey(nodeId, name);
  const draft = drafts[key];
  const edit = job.modified_params[nodeId]?.[name];
  const status = statusOf(input, draft, edit);
  const before = draft ? input.value : edit ? edit.from : input.original;
  const fieldId = `midrun-${place}-${job.job_id}-${nodeId}-${name}`.replace(/[^\w-]/g, "_");
  const way = wayTo(nodes, input);
  return h(
    "div",
    {
      key,
      class: "midrun-param",
      "data-input": name,
      "data-status": status,
      "data-refused": refused[key] ? "" : undefined,
      "data-wide": isWide(input) ? "" : undefined,
    },
    h("label", { for: fieldId, title: name }, name),
    status &&
      h("span", { key: "badge", class: "midrun-badge", "data-status": status }, badge(t, status, edit)),
    status &&
      (draft || !hasEnded(job)) &&
      undo(t("editor.undo", { input: name }), () => actions.undo(job.job_id, nodeId, name)),
    h("div", { key: "field", class: "midrun-field" }, field(tools, job, nodeId, name, input, draft, fieldId)),
    status &&
      h("del", { key: "before", class: "midrun-before", title: String(before) }, format.short(before, 80)),
    note(t, job, input, `${fieldId}-note`, way, refused[key]),
    lensView(tools, model, job, nodeId, name, input, edit),
    way &&
      draft?.value !== undefined &&
      rewindFor(job, input) &&
      rewindButton(t("editor.rewind", way), () => actions.rewindWithEdit(job.job_id, nodeId, name)),
  );
}

/** Whether its value has a line of its own below its name. It stays there while one types. @param {Input} input */
const isWide = ({ multiline, value }) => Boolean(multiline) || (typeof value === "string" && value.length > LONGEST);

/** What became of it; null: nothing. @param {Input} input @param {Draft | undefined} draft @param {Edit | undefined} edit */
function statusOf(input, draft, edit) {
  if (draft) return "unsaved";
  if (edit) return edit.from_step === null ? "pending" : "applied";
  return input.modified ? "applied" : null;
}

/** @param {Translate} t @param {string} status @param {Edit | undefined} edit */
const badge = (t, status, edit) =>
  status === "applied" && edit && edit.from_step !== null
    ? t("badge.appliedFrom", { step: edit.from_step })
    : t(`badge.${status}`);

/** The rewind after which it can be edited, as values of the texts. @param {Record<string, ParamNode> | null} nodes @param {Input} input */
function wayTo(nodes, { rewind }) {
  if (!rewind) return null;
  const title = nodes?.[rewind.node_id]?.title;
  return {
    node: title === undefined ? `#${rewind.node_id}` : `${title} #${rewind.node_id}`,
    step: rewind.step,
  };
}

/**
 * What an edit would do, or why it was refused.
 * @param {Translate} t @param {Job} job @param {Input} input @param {string} id
 * @param {{ node: string, step: number } | null} way @param {string | undefined} refused
 */
function note(t, job, input, id, way, refused) {
  const verdict = way ? t("verdict.rewind", way) : t(`verdict.${input.verdict}`);
  return h(
    "p",
    {
      key: "note",
      id,
      class: `midrun-note${refused ? " midrun-alert" : ""}`,
      "aria-live": refused ? "assertive" : undefined,
      title: input.reason,
    },
    refused ?? (hasEnded(job) ? "" : verdict),
  );
}

/** @param {string} label @param {() => any} act */
const undo = (label, act) =>
  h(
    "button",
    {
      key: "undo",
      type: "button",
      class: "midrun-button midrun-undo",
      "data-verb": "undo",
      "aria-label": label,
      title: label,
      onClick: act,
    },
    icon("undo"),
  );

/** @param {string} label @param {() => any} act */
const rewindButton = (label, act) =>
  h(
    "button",
    {
      key: "way",
      type: "button",
      class: "midrun-button midrun-way",
      "data-verb": "rewindWithEdit",
      onClick: act,
    },
    icon("rewind"),
    label,
  );
