// A row of the panel's list: one job.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { ROW, timing, titleOf, verbs } from "../model/select.js";
import { newestPicture } from "../model/select_pictures.js";
import { canHaveMore } from "../model/select_travel.js";
import { reportLink } from "./bundles.js";
import { checkButton } from "./check.js";
import { button, leftText, progressBar, removal, stepText, toolbar, whyText } from "./parts.js";
import { stateMark } from "./icons.js";
import { relativeName } from "./travel.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

const DEEPEST = 4; // indented

/**
 * @param {Tools} tools @param {Model} model
 * @param {{ id: string, depth: number }} row @param {number} index @param {number} count
 * @param {boolean} home whether it gets the focus of what is gone
 */
export function card(tools, model, { id, depth }, index, count, home) {
  const { dispatch } = tools;
  const job = model.jobs[id];
  const { touch, pointed, focused } = model.tray;
  return h(
    "div",
    {
      key: id,
      recycle: true,
      class: "midrun-card",
      role: "listitem",
      "data-job": id,
      "data-state": job.state,
      "data-picked": model.several.selected?.includes(id),
      "aria-setsize": count,
      "aria-posinset": index + 1,
      "data-depth": depth || undefined,
      "data-parent": job.parent?.job_id,
      onPointerenter: () => dispatch({ type: "tray", pointed: id }),
      onFocusin: () => dispatch({ type: "tray", focused: id }),
      vars: { "--midrun-top": `${index * ROW}px`, "--midrun-depth": String(Math.min(depth, DEEPEST)) },
    },
    opener(tools, model, job, depth, home),
    times(tools, model, job),
    !model.several.selected &&
      (touch || pointed === id || focused === id) &&
      cardTools(tools, model, job),
  );
}

/** The card itself, which opens the job. @param {Tools} tools @param {Model} model @param {Job} job @param {number} depth @param {boolean} home */
function opener(tools, model, job, depth, home) {
  const { t, actions, dispatch, url } = tools;
  const { job_id: id } = job;
  const { selected } = model.several;
  const name = job.parent ? relativeName(tools, model, job, depth === 0) : titleOf(t, model, job);
  const picture = newestPicture(model, job);
  const why = model.refusals[id] ?? whyText(t, job);
  return h(
    "button",
    {
      type: "button",
      class: "midrun-open",
      "data-home": home,
      "aria-pressed": selected ? String(selected.includes(id)) : undefined,
      onClick: () => (selected ? dispatch({ type: "toggle", job_id: id }) : actions.open(id)),
    },
    h(
      "span",
      { class: "midrun-thumb" },
      picture && h("img", { key: picture, src: url(picture), alt: "", loading: "lazy", draggable: "false" }),
    ),
    h(
      "span",
      { class: "midrun-facts" },
      h("span", { class: "midrun-name", title: name }, name),
      h(
        "span",
        { class: "midrun-line" },
        stateMark(tools, job.state),
        h("span", { class: "midrun-step" }, stepText(tools, job)),
      ),
      progressBar(tools, job, true),
      h("span", { class: "midrun-why", title: why }, why),
    ),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job */
function times({ t }, model, job) {
  const { active, paused, eta, rough } = timing(model, job);
  const left = eta !== null && leftText(t, eta, rough);
  const worked = !(left && (job.state === "running" || active < 1)) && t("time.active", { time: format.clock(active) });
  const waited = paused >= 1 && t("time.paused", { time: format.clock(paused) });
  return h("span", { class: "midrun-times" }, [worked, left, waited].filter(Boolean).join(" · "));
}

/**
 * Half of what is in a card: not made for all that pass while the list is scrolled.
 * @param {Tools} tools @param {Model} model @param {Job} job
 */
function cardTools(tools, model, job) {
  const { t, actions } = tools;
  const { parent, job_id: id } = job;
  return h(
    "span",
    { class: "midrun-hover" },
    toolbar(tools, model, job, { small: true, edit: () => actions.open(id) }),
    parent &&
      model.jobs[parent.job_id] &&
      button(t("travel.toParent"), "fork", true, () => actions.open(parent.job_id), {
        small: true,
        verb: "parent",
      }),
    canHaveMore(job) &&
      button(t("more.open"), "plus", true, () => actions.askForMore(id), { small: true, verb: "more" }),
    checkButton(tools, model, job),
    job.step > 0 && reportLink(tools, job, true),
    verbs(job).remove && removal(tools, model, id),
  );
}
