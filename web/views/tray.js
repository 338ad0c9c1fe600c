// The panel: a list of jobs, of which only those in sight are drawn, or one job.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { FILTERS, filtered, nameOf, sentence, timing, verbs } from "../model/select.js";
import { newestPicture } from "../model/select_pictures.js";
import { asTrees } from "../model/select_travel.js";
import { button, progressBar, stateMark, stepText, toolbar } from "./parts.js";
import { detailView } from "./detail.js";
import { relativeName } from "./travel.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { Tools } from "./parts.js" */

export const ROW = 92; // pixels
const DEEPEST = 4; // indented
const AROUND = 2; // rows drawn beyond what is in sight

/** @param {Tools} tools @param {Model} model */
export function trayView(tools, model) {
  const open = model.tray.open === null ? undefined : model.jobs[model.tray.open];
  if (open)
    return [h("div", { key: "detail", class: "midrun-tray midrun-detail" }, detailView(tools, model, open))];
  return [
    h(
      "div",
      { key: "list", class: "midrun-tray" },
      header(tools, model),
      list(tools, model),
      footer(tools, model),
    ),
  ];
}

/** @param {Tools} tools @param {Model} model */
function header({ t, dispatch, actions }, model) {
  const chip = (/** @type {string} */ name) =>
    h(
      "button",
      {
        key: name,
        type: "button",
        class: "midrun-chip",
        "data-filter": name,
        "aria-pressed": String(model.tray.filter === name),
        onClick: () => dispatch({ type: "tray", filter: name, top: 0 }),
      },
      t(`filter.${name}`),
    );
  return h(
    "header",
    { class: "midrun-header" },
    h(
      "div",
      { class: "midrun-top" },
      h("h2", null, "Midrun"),
      h(
        "label",
        { class: "midrun-watch", title: t("tray.watchTip") },
        h("input", {
          type: "checkbox",
          role: "switch",
          class: "midrun-switch",
          "data-verb": "watch",
          checked: model.watching,
          onChange: (/** @type {any} */ _, /** @type {HTMLInputElement} */ box) =>
            actions.watchEverything(box.checked),
        }),
        t("tray.watch"),
      ),
    ),
    h(
      "div",
      { class: "midrun-chips", role: "group", "aria-label": t("filter.label") },
      Object.keys(FILTERS).map(chip),
    ),
  );
}

/** @param {Tools} tools @param {Model} model */
function list(tools, model) {
  const { t, dispatch, actions } = tools;
  const rows = asTrees(model, filtered(model));
  const seen = (/** @type {Element} */ element) =>
    dispatch({ type: "tray", top: element.scrollTop, height: element.clientHeight });
  const scrolls = {
    key: model.tray.filter,
    class: "midrun-list",
    role: "list",
    "aria-label": t("tray.jobs"),
    ref: (/** @type {Element} */ element) =>
      queueMicrotask(() => {
        element.scrollTop = model.tray.top; // as it was left
        seen(element);
      }),
    onScroll: (/** @type {Event} */ _, /** @type {Element} */ element) => seen(element),
  };
  if (!rows.length) {
    const unread = model.next === undefined ? model.loading : model.next !== null;
    return h("div", { ...scrolls }, unread ? null : empty(tools, model, actions)); // stays while it is read again
  }
  const first = Math.max(0, Math.floor(model.tray.top / ROW) - AROUND);
  const last = Math.min(rows.length, Math.ceil((model.tray.top + (model.tray.height || 600)) / ROW) + AROUND);
  const shown = rows.slice(first, last);
  const home = shown.find(({ id }) => id === model.tray.left) ?? shown[first ? AROUND : 0];
  return h(
    "div",
    { ...scrolls },
    h(
      "div",
      { class: "midrun-rows", vars: { "--midrun-height": `${rows.length * ROW}px` } },
      shown.map((row, index) => card(tools, model, row, first + index, rows.length, row === home)),
    ),
  );
}

/** @param {Tools} tools @param {Model} model @param {Actions} actions */
function empty({ t }, model, actions) {
  const none = model.tray.filter === "all" || model.order.length === 0;
  return h(
    "div",
    { class: "midrun-none" },
    h("p", null, none ? t("tray.empty") : t("tray.noneSuch")),
    none &&
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
}

/**
 * @param {Tools} tools @param {Model} model
 * @param {{ id: string, depth: number }} row @param {number} index @param {number} count @param {boolean} home
 */
function card(tools, model, { id, depth }, index, count, home) {
  const { t, actions, dispatch, url } = tools;
  const job = model.jobs[id];
  const name = job.parent ? relativeName(tools, model, job, depth === 0) : title(tools, model, job);
  const picture = newestPicture(model, job);
  const { active, paused } = timing(model, job);
  const [key, values] = sentence(job);
  const why = model.told[id] ?? t(key, values);
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
      "aria-setsize": count,
      "aria-posinset": index + 1,
      "data-depth": depth || undefined,
      "data-parent": job.parent?.job_id,
      onPointerenter: () => dispatch({ type: "tray", pointed: id }),
      onFocusin: () => dispatch({ type: "tray", focused: id }),
      vars: { "--midrun-top": `${index * ROW}px`, "--midrun-depth": String(Math.min(depth, DEEPEST)) },
    },
    h(
      "button",
      {
        type: "button",
        class: "midrun-open",
        "data-home": home,
        "aria-label": t("tray.open", { name, state: t(`state.${job.state}`) }),
        onClick: () => actions.open(id),
      },
      h(
        "span",
        { class: "midrun-thumb" },
        picture &&
          h("img", { key: picture, src: url(picture), alt: "", loading: "lazy", draggable: "false" }),
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
        progressBar(tools, job),
        h("span", { class: "midrun-why", title: why }, why),
      ),
    ),
    h(
      "span",
      { class: "midrun-times" },
      t("time.active", { time: format.clock(active) }),
      paused >= 1 ? ` · ${t("time.paused", { time: format.clock(paused) })}` : "",
    ),
    (touch || pointed === id || focused === id) && cardTools(tools, model, job),
  );
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
    verbs(job).remove && removal(tools, model, id),
  );
}

/** Deleting asks once, in place. @param {Tools} tools @param {Model} model @param {string} id */
export function removal({ t, actions, dispatch }, model, id) {
  if (model.removing !== id)
    return button(t("verb.remove"), "trash", true, () => dispatch({ type: "remove", job_id: id }), {
      small: true,
      verb: "remove",
    });
  return h(
    "button",
    {
      key: "really",
      type: "button",
      class: "midrun-button midrun-danger",
      "data-verb": "really",
      onClick: () => actions.remove(id),
      onBlur: () => dispatch({ type: "remove", job_id: null }),
      ref: (/** @type {HTMLElement} */ element) => queueMicrotask(() => element.focus()),
    },
    t("verb.removeReally"),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function title({ t }, model, job) {
  return nameOf(model, job) ?? t("tray.unnamed", { id: job.job_id.slice(0, 8) });
}

/** @param {Tools} tools @param {Model} model */
function footer({ t }, model) {
  if (model.usage === null) return h("footer", { class: "midrun-footer" });
  const n = Object.values(model.usage.jobs).reduce((sum, count) => sum + count, 0);
  const told = model.offline
    ? t("tray.offline")
    : t("tray.usage", { n, size: format.size(model.usage.bytes) });
  return h("footer", { class: "midrun-footer", "aria-live": "polite" }, told);
}
