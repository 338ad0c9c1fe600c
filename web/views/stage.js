// The picture of a job in the panel, with its steps.
import { h } from "../ui/dom.js";
import { isLeftOver } from "../model/reducer_travel.js";
import { cursorStep, isScrubbed } from "../model/select_cursor.js";
import { chosenFrame, passedUrl, shownUrl } from "../model/select_pictures.js";
import { button, frameLabel } from "./parts.js";
import { takeNote, travelButtons } from "./travel.js";
/** @import { Frame } from "../model/select_pictures.js" */
/** @import { Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function stageView(tools, model, job) {
  const { t, actions } = tools;
  const frames = lookedAt(model, job);
  const { all, shown, src, left } = frames;
  if (!src && all.length < 2)
    return h("div", { key: "pictures", class: "midrun-stage midrun-empty" }, t("picture.none"));
  const label = frameLabel(tools, job, shown);
  return h(
    "div",
    { key: "pictures", class: "midrun-stage", "data-left-over": left ? "" : undefined },
    picture(tools, model, job, shown, src, label),
    all.length > 1 && slider(tools, job, frames, label),
    h(
      "div",
      { class: "midrun-stage-foot" },
      h("div", { class: "midrun-label", title: label }, left ? `${t("travel.leftOver")} · ${label}` : label),
      actions.hasTimeline() &&
        button(t("timeline.open"), "timeline", true, actions.showTimeline, { small: true, verb: "timeline" }),
    ),
    travelButtons(tools, model, job, shown),
    takeNote(tools, model, job),
  );
}

/** The frame that is looked at and its picture; left: a rewind left it over. @param {Model} model @param {Job} job */
export function lookedAt(model, job) {
  const step = cursorStep(model, job, job.node_id);
  const frames = chosenFrame(model, job, job.node_id, step);
  const { all, at, shown } = frames;
  const passes = isScrubbed(model) && shown?.made === null;
  const src = passes ? passedUrl(all, at) : shownUrl(model, job, shown, step !== null);
  return { ...frames, src, left: shown !== undefined && isLeftOver(job, shown) };
}

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Frame | undefined} shown @param {string | null} src @param {string} label */
export function picture({ t, url, actions }, model, job, shown, src, label) {
  return h(
    "button",
    {
      type: "button",
      class: "midrun-picture",
      "data-verb": "view",
      title: t("picture.open"),
      onClick: () => actions.view(job.job_id, job.node_id, cursorStep(model, job, job.node_id)),
    },
    src
      ? h("img", {
          src: url(src),
          alt: label,
          draggable: "false",
          onLoad: () => shown?.made === null && actions.previews(job.job_id),
        })
      : h("span", { class: "midrun-empty" }, t("picture.none")),
  );
}

/** @param {Tools} tools @param {Job} job @param {{ all: Frame[], newest: number, at: number }} frames @param {string} label */
function slider({ t, dispatch }, job, { all, newest, at }, label) {
  return h("input", {
    type: "range",
    min: 0,
    max: all.length - 1,
    value: at,
    "aria-label": t("picture.slider"),
    "aria-valuetext": label,
    onInput: (/** @type {Event} */ _, /** @type {HTMLInputElement} */ input) => {
      const index = Number(input.value);
      const step = index === newest ? null : all[index].step;
      dispatch({ type: "cursor", job_id: job.job_id, node_id: job.node_id, step });
    },
  });
}
