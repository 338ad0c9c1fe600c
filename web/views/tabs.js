// The tabs of a job in the panel: one row of TABS each.
import { h } from "../ui/dom.js";
import { breakpointsView } from "./breakpoints.js";
import { chartView } from "./chart.js";
import { editorView } from "./editor.js";
import { logView } from "./log.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { Tools } from "./tools.js" */

/**
 * `read` asks the server for what the view shows, when the tab comes in sight and when its job changed. The name is
 * that of the texts, too: `tab.<name>`.
 * @type {{
 *   name: string, view: (tools: Tools, model: Model, job: Job) => any, read: (actions: Actions, id: string) => any,
 * }[]}
 */
const TABS = [
  { name: "parameters", view: editorView, read: (actions, id) => actions.params(id) },
  { name: "breakpoints", view: breakpointsView, read: (actions, id) => actions.params(id) }, // the names of nodes
  { name: "log", view: logView, read: (actions, id) => actions.events(id) },
  { name: "chart", view: chartView, read: (actions, id) => actions.telemetry(id) },
];

/** @param {string} name */
const tabOf = (name) => TABS.find((one) => one.name === name) ?? TABS[0];

/** Ask for what a tab of a job shows. @param {Actions} actions @param {string} id @param {string} name */
export const readTab = (actions, id, name) => void tabOf(name).read(actions, id);

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function tabsView(tools, model, job) {
  const { t } = tools;
  const chosen = tabOf(model.tray.tab);
  return h(
    "div",
    { key: "tabs", class: "midrun-tabs" },
    h(
      "div",
      {
        class: "midrun-tablist",
        role: "tablist",
        "aria-label": t("tab.label"),
        onKeydown: (/** @type {KeyboardEvent} */ event, /** @type {HTMLElement} */ list) =>
          arrows(tools, chosen.name, event, list),
      },
      TABS.map(({ name }) => tab(tools, name, name === chosen.name)),
    ),
    h(
      "div",
      {
        key: chosen.name,
        id: "midrun-tabpanel",
        role: "tabpanel",
        class: "midrun-panel",
        "aria-labelledby": `midrun-tab-${chosen.name}`,
      },
      chosen.view(tools, model, job),
    ),
  );
}

/** @param {Tools} tools @param {string} name @param {boolean} chosen */
function tab({ t, dispatch }, name, chosen) {
  return h(
    "button",
    {
      key: name,
      type: "button",
      role: "tab",
      id: `midrun-tab-${name}`,
      class: "midrun-tab",
      "data-tab": name,
      "aria-selected": String(chosen),
      "aria-controls": "midrun-tabpanel",
      tabindex: chosen ? "0" : "-1",
      onClick: () => dispatch({ type: "tray", tab: name }),
    },
    t(`tab.${name}`),
  );
}

/** @param {Tools} tools @param {string} chosen @param {KeyboardEvent} event @param {HTMLElement} list */
function arrows({ dispatch }, chosen, event, list) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  const at = (TABS.findIndex((one) => one.name === chosen) + by + TABS.length) % TABS.length;
  dispatch({ type: "tray", tab: TABS[at].name });
  /** @type {HTMLElement} */ (list.children[at]).focus();
}
