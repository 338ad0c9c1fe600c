// The panel: a list of jobs, of which only those in sight are drawn, or one job.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { remembering } from "../ui/records.js";
import { FILTERS, ROW, filtered, rowsInSight } from "../model/select.js";
import { unmoved } from "../model/select_cursor.js";
import { asTrees } from "../model/select_family.js";
import { dropping, importButton, incomingView } from "./bundles.js";
import { card } from "./card.js";
import { detailView } from "./detail.js";
import { othersView } from "./others.js";
import { noJobs } from "./parts.js";
import { severalView } from "./several.js";
/** @import { Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model */
export function trayView(tools, model) {
  const open = model.tray.open === null ? undefined : model.jobs[model.tray.open];
  const drop = { ...dropping(tools), "data-over": model.tray.over };
  if (open)
    return [
      h("div", { key: "detail", class: "midrun-tray midrun-detail", ...drop }, [
        incomingView(tools, model),
        ...detailView(tools, model, open),
      ]),
    ];
  return [listView(tools, tools.t, unmoved(model))];
}

/** All the jobs: the same while only the cursor moves. */
const listView = remembering((/** @type {Tools} */ tools, /** @type {Tools["t"]} */ _, /** @type {Model} */ model) =>
  h(
    "div",
    { key: "list", class: "midrun-tray", ...dropping(tools), "data-over": model.tray.over },
    header(tools, model),
    incomingView(tools, model),
    severalView(tools, model),
    list(tools, model),
    othersView(tools, model),
    footer(tools, model),
  ),
);

/** @param {Tools} tools @param {Model} model */
function header(tools, model) {
  const { t, dispatch } = tools;
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
    h("div", { class: "midrun-top" }, h("h2", null, "Midrun"), importButton(tools), watchSwitch(tools, model)),
    h(
      "div",
      { class: "midrun-chips", role: "group", "aria-label": t("filter.label") },
      Object.keys(FILTERS).map(chip),
    ),
  );
}

/** @param {Tools} tools @param {Model} model */
function watchSwitch({ t, actions }, model) {
  return h(
    "label",
    { class: "midrun-watch", title: t("tray.watchTip") },
    h("input", {
      type: "checkbox",
      role: "switch",
      class: "midrun-switch",
      "data-verb": "watch",
      checked: model.watching,
      onChange: () => actions.watchEverything(!model.watching), // whatever was drawn since the click
    }),
    t("tray.watch"),
  );
}

/** @param {Tools} tools @param {Model} model */
function list(tools, model) {
  const { t, dispatch } = tools;
  const rows = asTrees(model, filtered(model));
  const seen = (/** @type {Element} */ element) =>
    dispatch({ type: "tray", top: element.scrollTop, height: element.clientHeight });
  const scrolls = {
    key: model.tray.filter,
    class: "midrun-list",
    ref: (/** @type {Element} */ element) =>
      queueMicrotask(() => {
        element.scrollTop = model.tray.top; // as it was left
        seen(element);
      }),
    onScroll: (/** @type {Event} */ _, /** @type {Element} */ element) => seen(element),
  };
  if (!rows.length) {
    const unread = model.next === undefined ? model.loading : model.next !== null;
    return h("div", { ...scrolls }, unread ? null : empty(tools, model)); // stays while it is read again
  }
  const { first, last, inSight } = rowsInSight(model, rows.length);
  const shown = rows.slice(first, last);
  const home = shown.find(({ id }) => id === model.tray.left) ?? rows[inSight];
  return h(
    "div",
    { ...scrolls, role: "list", "aria-label": t("tray.jobs") },
    h(
      "div",
      { class: "midrun-rows", vars: { "--midrun-height": `${rows.length * ROW}px` } },
      shown.map((row, index) => card(tools, model, row, first + index, rows.length, row === home)),
    ),
  );
}

/** @param {Tools} tools @param {Model} model */
function empty(tools, model) {
  if (model.tray.filter === "all" || model.order.length === 0) return noJobs(tools);
  return h("div", { class: "midrun-none" }, h("p", null, tools.t("tray.noneSuch")));
}

/** @param {Tools} tools @param {Model} model */
function footer({ t, actions }, model) {
  if (model.usage === null) return h("footer", { class: "midrun-footer" });
  const n = Object.values(model.usage.jobs).reduce((sum, count) => sum + count, 0);
  const text = model.offline
    ? t("tray.offline")
    : t("tray.usage", { n, size: format.size(model.usage.bytes) });
  return h(
    "footer",
    { class: "midrun-footer" },
    h("span", { "aria-live": "polite" }, text),
    h(
      "button",
      {
        type: "button",
        class: "midrun-spared",
        "data-verb": "ledger",
        title: t("ledger.footTip"),
        onClick: actions.openLedger,
      },
      t("ledger.foot", { time: format.clock(model.usage.spared_s) }),
    ),
  );
}
