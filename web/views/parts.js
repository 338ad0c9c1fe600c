// Small pieces that every view draws with. Pure functions.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { editMarks, progress, sentence, timing, verbs } from "../model/select.js";
import { wayOn } from "../model/select_command.js";
import { icon } from "./icons.js";
import { leftOver, stepMarks } from "../model/select_travel.js";
/** @import { Way } from "../model/select_command.js" */
/** @import { Frame } from "../model/select_pictures.js" */
/** @import { Job, Model } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Job} job */
export function stepText({ t }, job) {
  const where = job.iteration ? `${t("step.iteration", { n: job.iteration })} · ` : "";
  if (job.total_steps === null) return job.step ? where + t("step.alone", { step: job.step }) : "";
  return where + t("step.of", { step: job.step, total: job.total_steps });
}

/** What a picture shows, and how it was made. @param {Tools} tools @param {Job} job @param {Frame | undefined} frame */
export function frameLabel({ t }, job, frame) {
  if (frame === undefined) return t("picture.label");
  const at = { step: frame.step, total: job.total_steps ?? "?" };
  return frame.made ? t("picture.step", { ...at, method: frame.made.method }) : t("picture.stepAlone", at);
}

/** @param {Translate} t @param {number} seconds @param {boolean | undefined} rough */
export const leftText = (t, seconds, rough) =>
  t(rough ? "time.about" : "time.left", { time: format.clock(seconds) });

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function timeText({ t }, model, job) {
  const { active } = timing(model, job);
  return active > 0 ? t("time.active", { time: format.clock(active) }) : "";
}

/**
 * What there is to say of a job beside its state: why it stands, and what that freed; "" where there is nothing.
 * @param {Translate} t @param {Job} job
 */
export function whyText(t, job) {
  const told = sentence(job);
  const free = job.state === "paused" && job.gpu_free ? t("why.gpuFree", { size: format.size(job.gpu_free) }) : "";
  return [told && t(...told), free].filter(Boolean).join(" ");
}

/** @param {Tools} tools @param {Job} job @param {boolean} [told] whether it is in words beside it, for screen readers */
export function progressBar({ t }, job, told = false) {
  const share = progress(job);
  const left = leftOver(job);
  const shown = {
    role: "progressbar",
    "aria-label": t("step.progress"),
    "aria-valuemin": 0,
    "aria-valuemax": job.total_steps ?? 1,
    "aria-valuenow": job.step,
  };
  return h(
    "div",
    { class: "midrun-bar", "data-state": job.state, ...(told ? { "aria-hidden": "true" } : shown) },
    left &&
      h("div", {
        key: "left",
        class: "midrun-bar-left",
        title: t("mark.left"),
        vars: { "--midrun-from": String(left[0]), "--midrun-to": String(left[1]) },
      }),
    h("div", { key: "fill", class: "midrun-bar-fill", vars: { "--midrun-share": String(share) } }),
    marks(t, job),
  );
}

/** Where edits took effect, and where it will pause by itself. @param {Translate} t @param {Job} job */
export function marks(t, job) {
  return [
    stepMarks(job).map(({ at, step, logOnly }) =>
      h("span", {
        key: `stop-${step}`,
        class: `midrun-stop${logOnly ? " midrun-stop-logs" : ""}`,
        title: t("mark.stop", { step }),
        vars: { "--midrun-at": String(at) },
      }),
    ),
    editMarks(job).map((at) =>
      h("span", {
        key: `edit-${at}`,
        class: "midrun-mark",
        title: t("mark.edit"),
        vars: { "--midrun-at": String(at) },
      }),
    ),
  ];
}

/** @type {Record<Way, string>} */
const ICONS = { pause: "pause", resume: "play", choose: "done" };

/**
 * Resume and Pause share one place; what is not possible now keeps its place, greyed.
 * @param {Tools} tools @param {Model} model @param {Job} job
 * @param {{ edit?: () => void, small?: boolean }} [options] small: icons alone
 */
export function toolbar(tools, model, job, { edit, small = false } = {}) {
  const { t, actions } = tools;
  const id = job.job_id;
  const can = verbs(job);
  const asked = model.requests[id] !== undefined;
  const way = wayOn(job);
  const shown = way ?? "pause";
  const count = Object.values(job.modified_params).reduce((sum, named) => sum + Object.keys(named).length, 0);
  const editing = count ? t("verb.editCount", { n: count }) : t("verb.edit");
  return h(
    "div",
    {
      class: `midrun-buttons${small ? " midrun-small" : ""}`,
      role: "toolbar",
      "aria-label": t("verb.toolbar"),
    },
    button(t(`verb.${shown}`), ICONS[shown], way !== null && !asked, () => actions.pauseOrResume(id, shown), {
      small,
      primary: true,
      verb: "primary",
    }),
    button(t("verb.step"), "step", can.step && !asked, () => actions.step(id), { small, verb: "step" }),
    edit && button(editing, "edit", can.edit, edit, { small, verb: "edit" }),
    button(t("verb.abort"), "stop", can.abort && !asked, () => actions.askToAbort(id), {
      small,
      verb: "abort",
    }),
  );
}

/**
 * @param {string} label @param {string} picture @param {boolean} enabled @param {() => any} act
 * @param {{ small?: boolean, primary?: boolean, verb?: string }} [options]
 */
export function button(label, picture, enabled, act, { small = false, primary = false, verb } = {}) {
  return h(
    "button",
    {
      key: verb,
      type: "button",
      class: `midrun-button${primary ? " midrun-primary" : ""}`,
      "data-verb": verb,
      "data-home": primary && !small,
      "aria-disabled": enabled ? undefined : "true",
      "aria-label": small ? label : undefined,
      title: small ? label : undefined,
      // Not the attribute `disabled`, which would take the focus away from under the user's hands.
      onClick: (/** @type {MouseEvent} */ event) => {
        event.stopPropagation();
        // Pause becomes Resume in the same place: the second click of two would undo the first.
        if (enabled && !(verb === "primary" && event.detail > 1)) act();
      },
    },
    icon(picture),
    small ? null : h("span", null, label),
  );
}

/** @typedef {{ shown: boolean, toggle: () => void }} Folded  the inputs of a node that are folded away, or shown */

/** Shows or hides them. @param {Tools} tools @param {Folded | null} folded */
export const foldedButton = ({ t }, folded) =>
  folded &&
  h(
    "button",
    {
      key: "options",
      type: "button",
      class: "midrun-options",
      "data-verb": "options",
      "aria-pressed": String(folded.shown),
      "aria-label": t("verb.options"),
      title: t("verb.options"),
      onClick: folded.toggle,
    },
    icon("options"),
  );

/** What changed or differs: a table. @param {string[]} heads @param {any[]} rows */
export const changesTable = (heads, rows) =>
  h(
    "table",
    { class: "midrun-changes" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        heads.map((head) => h("th", { key: head, scope: "col" }, head)),
      ),
    ),
    h("tbody", null, rows),
  );

/** Deleting asks once, in place. @param {Tools} tools @param {Model} model @param {string} id */
export function removal({ t, actions, dispatch }, model, id) {
  if (model.removing !== id)
    return button(t("verb.remove"), "trash", true, () => dispatch({ type: "remove", job_id: id }), {
      small: true,
      verb: "remove",
    });
  const keep = () => dispatch({ type: "remove", job_id: null });
  return really(t("verb.removeReally"), () => actions.remove(id), keep);
}

/** What asks once, in place: to leave it is to keep things as they are. @param {string} label @param {() => any} act @param {() => void} keep */
export const really = (label, act, keep) =>
  h(
    "button",
    {
      key: "really",
      type: "button",
      class: "midrun-button midrun-danger",
      "data-verb": "really",
      onClick: act,
      onBlur: keep,
      ref: (/** @type {HTMLElement} */ element) => queueMicrotask(() => element.focus()),
    },
    label,
  );

/** Where there is nothing to show yet. @param {Tools} tools */
export const noJobs = ({ t, actions }) =>
  h(
    "div",
    { key: "none", class: "midrun-none" },
    h("p", null, t("tray.empty")),
    h(
      "button",
      {
        type: "button",
        class: "midrun-button",
        "data-verb": "example",
        onClick: () => actions.insertExample(),
      },
      t("tray.example"),
    ),
  );
