// What a sampling node shows: state, progress, newest picture, buttons. The same height in every state.
import { h } from "../dom.js";
import * as format from "../format.js";
import { newestPicture, sentence } from "../select.js";
import { icon, progressBar, stateMark, stepText, timeText, toolbar } from "./parts.js";

export const HEIGHT = 262; // pixels; node.css divides them

/**
 * @param {import("./parts.js").Tools} tools
 * @param {import("../state.js").Model} model
 * @param {import("../state.js").Job | null} job
 * @param {string[]} executionIds of the node, in each instance of its subgraph
 */
export function nodeView(tools, model, job, executionIds) {
  const { t } = tools;
  if (job === null)
    return [
      frame("idle", [
        head(tools, "idle"),
        told(t("why.idle"), false),
        emptyBar(),
        ...picture(tools, null, null, null),
        idleButtons(tools),
      ]),
    ];
  const here = job.node_id === null || executionIds.includes(job.node_id);
  const state =
    here || job.state === "completed"
      ? job.state
      : executionIds.some((id) => id in (model.seen[job.job_id] ?? {}))
        ? "nodeDone"
        : "elsewhere";
  return [
    frame(state, [
      head(tools, state, here ? stepText(tools, job) : "", timeText(tools, model, job)),
      why(tools, model, job),
      h(
        "div",
        { class: "midrun-progress" },
        progressBar(tools, job),
        h("span", { class: "midrun-sigma" }, job.sigma === null ? "" : `σ ${format.sigma(job.sigma)}`),
      ),
      ...picture(tools, job, newestPicture(model, job), job.source_url),
      toolbar(tools, model, job, { edit: () => tools.actions.editFromNode(job.job_id) }),
    ]),
  ];
}

/** @param {string} state @param {any[]} children */
const frame = (state, children) => h("div", { class: "midrun-node", "data-state": state }, children);

/** @param {import("./parts.js").Tools} tools @param {string} state */
function head(tools, state, step = "", time = "") {
  return h(
    "div",
    { class: "midrun-head" },
    h("span", { class: "midrun-live", "aria-live": "polite" }, stateMark(tools, state)),
    h("span", { class: "midrun-step" }, step),
    h("span", { class: "midrun-time" }, time),
  );
}

/** @param {import("./parts.js").Tools} tools @param {import("../state.js").Model} model @param {import("../state.js").Job} job */
function why(tools, model, job) {
  const { t, dispatch } = tools;
  const id = job.job_id;
  if (model.told[id] !== undefined) return told(model.told[id], true);
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
  const [key, values] = sentence(job);
  return told(t(key, values), job.state === "failed");
}

/** @param {string} text @param {boolean} alert */
const told = (text, alert) =>
  h("div", { class: `midrun-why${alert ? " midrun-alert" : ""}`, title: text, "aria-live": "polite" }, text);

const emptyBar = () =>
  h(
    "div",
    { class: "midrun-progress" },
    h("div", { class: "midrun-bar" }),
    h("span", { class: "midrun-sigma" }),
  );

/**
 * @param {import("./parts.js").Tools} tools @param {import("../state.js").Job | null} job
 * @param {string | null} newest @param {string | null} source
 */
function picture(tools, job, newest, source) {
  const { t, url, actions } = tools;
  const open = () => job && actions.view(job.job_id, job.node_id);
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

/** @param {import("./parts.js").Tools} tools */
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
