// Small pieces that every view draws with. Pure functions.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { editMarks, progress, timing, verbs } from "../model/select.js";
import { leftOver, stepMarks } from "../model/select_travel.js";
/** @import { Action } from "../model/action_types.js" */
/** @import { Frame } from "../model/select_pictures.js" */
/** @import { Job, Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { Translate } from "../ui/i18n.js" */

/**
 * @typedef {{ t: Translate, actions: Actions, url: (url: string) => string,
 *   latentUrl: (id: string) => string, csvUrl: (id: string) => string, sheetUrl: (id: string) => string,
 *   dispatch: (action: Action) => void }} Tools  what views are given
 */

/** 16 by 16, drawn in the colour of the text. @type {Record<string, string>} */
const PATHS = {
  play: "M4.5 2.8v10.4L13 8z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  step: "M3 3l7 5-7 5zM11.5 3h2v10h-2z",
  stop: "M3.5 3.5h9v9h-9z",
  edit: "M11.3 2.3l2.4 2.4-8 8-3.2.8.8-3.2z",
  done: "M2.8 8.6l1.4-1.4 2.6 2.6 5-5.4 1.4 1.3-6.4 7z",
  failed: "M8 1.6L15 14H1zM7.2 6v4h1.6V6zM7.2 11v1.6h1.6V11z",
  wait: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zm0 1.6a4.9 4.9 0 1 1 0 9.8 4.9 4.9 0 0 1 0-9.8zM7.3 4.5h1.4v3.2l2.3 1.4-.7 1.2-3-1.8z",
  idle: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  undo: "M6 3L2 6.5 6 10V7.6h3.2a2.2 2.2 0 0 1 0 4.4H6v1.8h3.2a4 4 0 0 0 0-8H6z",
  trash: "M6 2h4l.5 1H14v1.5H2V3h3.5zM3.5 5.5h9l-.7 8.5H4.2z",
  back: "M10.5 2.5L12 4 8 8l4 4-1.5 1.5L5 8z",
  close: "M3.4 2.3L8 6.9l4.6-4.6 1.1 1.1L9.1 8l4.6 4.6-1.1 1.1L8 9.1l-4.6 4.6-1.1-1.1L6.9 8 2.3 3.4z",
  open: "M3 3h4v1.5H4.5v2.5H3zM9 3h4v4h-1.5V4.5H9zM3 9h1.5v2.5H7V13H3zM11.5 9H13v4H9v-1.5h2.5z",
  compare: "M7.3 1.5h1.4v13H7.3zM2 4h4v8H2zm8 0h4v8h-4zm1.4 1.4v5.2h1.2V5.4z",
  plus: "M7.2 3h1.6v4.2H13v1.6H8.8V13H7.2V8.8H3V7.2h4.2z",
  minus: "M3 7.2h10v1.6H3z",
  rewind: "M8 3v10L2.5 8zM13.5 3v10L8 8z",
  fork: "M4 2a2 2 0 0 1 .8 3.8v1.4c0 .7.4 1 1.2 1h4c.8 0 1.2-.3 1.2-1V5.8a2 2 0 1 1 1.6 0v1.6c0 1.5-1 2.4-2.5 2.4H8.8v.4a2 2 0 1 1-1.6 0v-.4H5.7C4.2 9.8 3.2 8.9 3.2 7.4V5.8A2 2 0 0 1 4 2z",
  save: "M7.2 2h1.6v6l2.2-2.2 1.1 1.1L8 11 3.9 6.9 5 5.8 7.2 8zM2.5 12.4h11V14h-11z",
  fit: "M2.5 3.5h11v9h-11zm1.5 1.5v6h8V5z",
};

/** @param {string} name */
export function icon(name) {
  return h(
    "svg",
    { class: "midrun-icon", viewBox: "0 0 16 16", "aria-hidden": "true" },
    h("path", { d: PATHS[name] ?? PATHS.idle }),
  );
}

/** @type {Record<string, string>} */
const STATE_ICONS = {
  queued: "wait",
  running: "play",
  pausing: "pause",
  paused: "pause",
  completed: "done",
  aborted: "stop",
  failed: "failed",
  idle: "idle",
  elsewhere: "wait",
  nodeDone: "done",
};

/** Dot, icon and word: never colour alone. @param {Tools} tools @param {string} state */
export function stateMark({ t }, state) {
  return h(
    "span",
    { class: "midrun-state", "data-state": state },
    h("span", { class: "midrun-dot", "aria-hidden": "true" }),
    icon(STATE_ICONS[state] ?? "idle"),
    h("span", { class: "midrun-word" }, t(`state.${state}`)),
  );
}

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

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function timeText({ t }, model, job) {
  const { active, eta } = timing(model, job);
  if (job.state === "running" && eta !== null) return t("time.left", { time: format.clock(eta) });
  return active > 0 ? t("time.active", { time: format.clock(active) }) : "";
}

/** @param {Tools} tools @param {Job} job */
export function progressBar({ t }, job) {
  const share = progress(job);
  const left = leftOver(job);
  const shown = {
    role: "progressbar",
    "aria-valuemin": 0,
    "aria-valuemax": job.total_steps ?? 1,
    "aria-valuenow": job.step,
  };
  return h(
    "div",
    { class: "midrun-bar", "data-state": job.state, "aria-label": t("step.progress"), ...shown },
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

/**
 * Resume and Pause share one place; what is not possible now keeps its place, greyed.
 * @param {Tools} tools @param {Model} model @param {Job} job
 * @param {{ edit?: () => void, small?: boolean }} [options] small: icons alone
 */
export function toolbar(tools, model, job, { edit, small = false } = {}) {
  const { t, actions } = tools;
  const id = job.job_id;
  const can = verbs(job);
  const asked = model.asked[id] !== undefined;
  const goes = can.pause || (!can.resume && !can.pause);
  const count = Object.values(job.modified_params).reduce((sum, named) => sum + Object.keys(named).length, 0);
  const editing = count ? t("verb.editCount", { n: count }) : t("verb.edit");
  return h(
    "div",
    {
      class: `midrun-buttons${small ? " midrun-small" : ""}`,
      role: "toolbar",
      "aria-label": t("verb.toolbar"),
    },
    goes
      ? button(t("verb.pause"), "pause", can.pause && !asked, () => actions.pause(id), {
          small,
          primary: true,
          verb: "primary",
        })
      : button(t("verb.resume"), "play", can.resume && !asked, () => actions.resume(id), {
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
      onClick: (/** @type {Event} */ event) => {
        event.stopPropagation();
        if (enabled) act();
      },
    },
    icon(picture),
    small ? null : h("span", null, label),
  );
}

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
        heads.map((head) => h("th", { key: head }, head)),
      ),
    ),
    h("tbody", null, rows),
  );
