// The left of the timeline: how its job stands, what can be done with it, and the picture at the cursor.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { remembering } from "../ui/records.js";
import { titleOf } from "../model/select.js";
import { unmoved } from "../model/select_cursor.js";
import { stateMark } from "./icons.js";
import { button, frameLabel, progressBar, stepText, timeText, toolbar, whyText } from "./parts.js";
import { lookedAt, picture } from "./stage.js";
import { takeNote, travelButtons } from "./travel.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function factsView(tools, model, job) {
  const { t } = tools;
  const { shown, src, left } = lookedAt(model, job);
  const label = frameLabel(tools, job, shown);
  return h(
    "section",
    { key: "facts", class: "midrun-facts-column", "aria-label": t("timeline.job"), "data-state": job.state },
    h(
      "div",
      { key: "look", class: "midrun-look", "data-left-over": left ? "" : undefined },
      picture(tools, model, job, shown, src, label),
      h(
        "span",
        { class: "midrun-look-label", "aria-hidden": "true" },
        shown ? t("step.alone", { step: shown.step }) : "",
      ),
    ),
    words(tools, tools.t, unmoved(model), job),
    h(
      "div",
      { key: "does", class: "midrun-look-buttons" },
      toolbar(tools, model, job),
      travelButtons(tools, model, job, shown),
      takeNote(tools, model, job),
    ),
  );
}

/** The same while only the cursor moves. */
const words = remembering(
  (/** @type {Tools} */ tools, /** @type {Tools["t"]} */ _, /** @type {Model} */ model, /** @type {Job} */ job) =>
    wordsOf(tools, model, job),
);

/** @param {Tools} tools @param {Model} model @param {Job} job */
function wordsOf(tools, model, job) {
  const { t, actions } = tools;
  const title = titleOf(t, model, job);
  const inPanel = model.tray.shown && model.tray.open === job.job_id;
  return h(
    "div",
    { key: "words", class: "midrun-look-words" },
    h(
      "div",
      { class: "midrun-look-title" },
      h("h3", { title }, title),
      !inPanel &&
        button(t("timeline.toPanel"), "open", true, () => actions.editFromNode(job.job_id), {
          small: true,
          verb: "toPanel",
        }),
    ),
    h(
      "div",
      { class: "midrun-head" },
      stateMark(tools, job.state),
      h("span", { class: "midrun-step" }, stepText(tools, job)),
    ),
    progressBar(tools, job),
    why(tools, model, job),
    h(
      "div",
      { class: "midrun-times" },
      [timeText(tools, model, job), job.sigma === null ? "" : `σ ${format.sigma(job.sigma)}`]
        .filter(Boolean)
        .join(" · "),
    ),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job */
function why({ t }, model, job) {
  const refused = model.refusals[job.job_id];
  const alert = refused || job.state === "failed" ? " midrun-alert" : "";
  const text = refused ?? whyText(t, job);
  return h("p", { class: `midrun-told${alert}`, title: text }, text);
}
