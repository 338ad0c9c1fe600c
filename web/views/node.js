// What a sampling node shows: state, progress, newest picture, buttons. The same height in every state.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { timing } from "../model/select.js";
import { pictureOfNode, previewsOf } from "../model/select_pictures.js";
import { icon, stateMark } from "./icons.js";
import { foldedButton, leftText, progressBar, stepText, timeText, toolbar, whyText } from "./parts.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Folded } from "./parts.js" */
/** @import { Tools } from "./tools.js" */

export const HEIGHT = 262; // pixels; styles/node.css divides them

/**
 * @param {Tools} tools
 * @param {Model} model
 * @param {Job | null} job
 * @param {string[]} executionIds of the node, in each instance of its subgraph
 * @param {Folded | null} options of a node of ours
 */
export function nodeView(tools, model, job, executionIds, options) {
  const { t } = tools;
  if (job === null)
    return [
      frame("idle", [
        head(tools, "idle", "", "", options),
        reason(t("why.idle"), false),
        h("div", { class: "midrun-progress" }, bar(0), h("span", { class: "midrun-sigma" })),
        ...picture(tools, null, null, null, null),
        idleButtons(tools),
      ]),
    ];
  const here = job.display_node_id === null || executionIds.includes(job.display_node_id);
  const seen = model.stepsByNode[job.job_id] ?? {};
  const sampled = (/** @type {string} */ id) => id in seen || previewsOf(model, job.job_id, id).length > 0;
  const nodeId = here ? job.node_id : (executionIds.find(sampled) ?? null);
  const state = here || job.state === "completed" ? job.state : nodeId === null ? "elsewhere" : "nodeDone";
  return [
    frame(state, [
      head(tools, state, here ? stepText(tools, job) : "", timeText(tools, model, job), options),
      why(tools, model, job),
      h(
        "div",
        { class: "midrun-progress" },
        here ? progressBar(tools, job) : bar(nodeId === null ? 0 : 1),
        h(
          "span",
          { class: "midrun-sigma" },
          here && job.sigma !== null ? `σ ${format.sigma(job.sigma)}` : "",
        ),
      ),
      ...(here || nodeId !== null
        ? picture(tools, job, nodeId, pictureOfNode(model, job, nodeId), here ? job.source_url : null)
        : picture(tools, null, null, null, null)),
      toolbar(tools, model, job, { edit: () => tools.actions.editFromNode(job.job_id) }),
    ]),
  ];
}

/** @param {string} state @param {any[]} children */
const frame = (state, children) => h("div", { class: "midrun-node", "data-state": state }, children);

/** @param {Tools} tools @param {string} state @param {string} step @param {string} time @param {Folded | null} options */
function head(tools, state, step, time, options) {
  return h(
    "div",
    { class: "midrun-head" },
    h("span", { class: "midrun-live", "aria-live": "polite" }, stateMark(tools, state)),
    h("span", { class: "midrun-step" }, step),
    h("span", { class: "midrun-time" }, time),
    foldedButton(tools, options),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job */
function why(tools, model, job) {
  const { t, dispatch } = tools;
  const id = job.job_id;
  if (model.refusals[id] !== undefined) return reason(model.refusals[id], true);
  const changes = model.canvas[id] ?? [];
  if (changes.length && (job.state === "paused" || job.state === "failed")) {
    const label = t("canvas.resume", { n: changes.length });
    const ask = () => dispatch({ type: "confirm", job_id: id });
    return h(
      "div",
      { class: "midrun-why" },
      h("button", { type: "button", class: "midrun-link", "data-verb": "canvas", onClick: ask }, label),
    );
  }
  const { eta, rough } = timing(model, job);
  const left = job.state === "running" && eta !== null ? leftText(t, eta, rough) : "";
  return reason(whyText(t, job) || left, job.state === "failed");
}

/** @param {string} text @param {boolean} alert */
const reason = (text, alert) =>
  h("div", { class: `midrun-why${alert ? " midrun-alert" : ""}`, title: text, "aria-live": "polite" }, text);

/** Of a node at which the job is not. @param {number} share */
const bar = (share) =>
  h(
    "div",
    { class: "midrun-bar" },
    h("div", { key: "fill", class: "midrun-bar-fill", vars: { "--midrun-share": String(share) } }),
  );

/**
 * @param {Tools} tools @param {Job | null} job
 * @param {string | null} nodeId @param {string | null} newest @param {string | null} source
 */
function picture(tools, job, nodeId, newest, source) {
  const { t, url, actions } = tools;
  const open = () => job && actions.view(job.job_id, nodeId);
  const shown =
    newest === null
      ? h("div", { class: "midrun-empty" }, t("picture.none"))
      : h(
          "button",
          {
            type: "button",
            class: "midrun-picture",
            "data-verb": "view",
            title: t("picture.open"),
            onClick: open,
          },
          h("img", { src: url(newest), alt: t("picture.alt"), draggable: "false" }),
        );
  const beside = source !== null && newest !== null;
  return [
    h(
      "div",
      { class: "midrun-pictures" },
      shown,
      beside &&
        h(
          "div",
          { class: "midrun-picture midrun-source" },
          h("img", { src: url(source), alt: t("picture.source"), draggable: "false" }),
        ),
    ),
    h(
      "div",
      { class: "midrun-label" },
      newest === null ? "" : t("picture.label"),
      beside && h("span", null, t("picture.source")),
    ),
  ];
}

/** @param {Tools} tools */
function idleButtons({ t }) {
  const names = [
    ["pause", "pause"],
    ["step", "step"],
    ["edit", "edit"],
    ["abort", "stop"],
  ];
  return h(
    "div",
    { class: "midrun-buttons" },
    names.map(([verb, sign]) =>
      h(
        "button",
        {
          key: verb === "pause" ? "primary" : verb,
          type: "button",
          class: `midrun-button${verb === "pause" ? " midrun-primary" : ""}`,
          "aria-disabled": "true",
        },
        icon(sign),
        h("span", null, t(`verb.${verb}`)),
      ),
    ),
  );
}
