// Registers Midrun with ComfyUI's frontend. The only module here with side effects.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { whileWanted } from "./ui/schedule.js";
import { createScreen } from "./ui/screen.js";
import { createStore } from "./ui/store.js";
import { initial, reduce } from "./model/reducer.js";
import { createActions } from "./server/actions.js";
import { createClient, listen } from "./server/client.js";
import { overlaysView } from "./views/dialogs.js";
import { readTab } from "./views/tabs.js";
import { trayView } from "./views/tray.js";
import { aboutBadges } from "./comfyui/about.js";
import { createActionBar } from "./comfyui/action_bar.js";
import { createBadges } from "./comfyui/badges.js";
import { createCommands, keybindings, menuCommands } from "./comfyui/commands.js";
import { createDraftMenu } from "./comfyui/draft_menu.js";
import { createEffects } from "./comfyui/effects.js";
import { fold } from "./comfyui/folding.js";
import { createNodeBreakpoints } from "./comfyui/node_breakpoints.js";
import { createNodeWidgets } from "./comfyui/node_widgets.js";
import { toolboxCommands } from "./comfyui/toolbox.js";
import { createTitleMark } from "./comfyui/notifications.js";
import { createPage } from "./comfyui/page.js";
import { settings } from "./comfyui/settings.js";
import { TAB, createTimeline } from "./comfyui/timeline.js";

const WATCH = "Midrun.WatchEverything";
const TOGGLE_TIMELINE = `Workspace.ToggleBottomPanelTab.${TAB}`;
const OURS = /^Midrun/; // nodes
const page = createPage(app, api, import.meta.url);
const store = createStore(reduce, initial);
const client = createClient(api);
const actions = createActions(client, store, { ...page.ports, showPanel, showTimeline, hasTimeline });
const { url, latentUrl, csvUrl, sheetUrl, bundleUrl, reportUrl, ledgerUrl } = client;
const urls = { url, latentUrl, csvUrl, sheetUrl, bundleUrl, reportUrl, ledgerUrl };
const tools = {
  get t() {
    return page.translate();
  },
  actions,
  ...urls,
  dispatch: store.dispatch,
};
const screen = createScreen(store, page.hasTexts, page.language);
const widgets = createNodeWidgets(page, store, screen, tools);
const badges = createBadges(page, page.t);
const breakpoints = createNodeBreakpoints(page, page.t, {
  pause: "Midrun: Pause before this node",
  choose: "Midrun: Choose before this node",
});
const drafts = createDraftMenu(page, page.t, "Midrun: Draft seeds…", actions.askToDraft);
const commands = createCommands(store, actions, page, widgets, breakpoints, drafts, togglePanel, toggleTimeline);
const timeline = createTimeline(page, store, screen, tools);
const bar = createActionBar(store, actions, page);
const markTitle = createTitleMark(document);

/** Dialogs have a place of their own on the page while one is open. */
const overlays = whileWanted(() => {
  const host = document.body.appendChild(document.createElement("div"));
  host.className = "midrun-overlays";
  const unmount = screen.mount({
    element: host,
    view: (model) => overlaysView(tools, model),
    drawn: effects.overlaysDrawn,
  });
  return () => {
    for (const dialog of host.querySelectorAll("dialog")) dialog.close(); // gives the focus back
    unmount();
    host.remove();
  };
});

const effects = createEffects({ store, actions, page, widgets, badges, bar, overlays, markTitle, readTab });

listen(api, store.dispatch, () => void effects.readAll(), page.clock); // at once: unknown events are errors
api.addEventListener("status", effects.queueChanged);
store.subscribe(effects.changed);

/** What follows from a setting. @type {Record<string, (on: unknown) => void>} */
const follows = { [WATCH]: watching, "Midrun.Notifications": page.allowNotifications };

app.registerExtension({
  name: "midrun",
  settings: settings.map((one) => (one.id in follows ? { ...one, onChange: follows[one.id] } : one)),
  commands,
  keybindings,
  menuCommands,
  bottomPanelTabs: [timeline], // where the frontend has such
  aboutPageBadges: aboutBadges(import.meta.url),
  get actionBarButtons() {
    return bar.buttons();
  },
  getSelectionToolboxCommands: (/** @type {any} */ item) => toolboxCommands(item, widgets, breakpoints),
  async setup() {
    page.style();
    app.extensionManager.registerSidebarTab({
      id: "midrun",
      icon: "icon-[lucide--step-forward]",
      title: "Midrun",
      tooltip: "Midrun",
      type: "custom",
      render: showTray,
      destroy: hideTray,
    });
    await effects.readAll();
  },
  getNodeMenuItems: (/** @type {any} */ node) => [...breakpoints.menu(node), ...drafts.menu(node)],
  nodeCreated(/** @type {any} */ node) {
    breakpoints.follow(node);
    if (!widgets.isOwn(node)) return OURS.test(node.comfyClass) && fold(node, false);
    fold(node, !page.foldsInVue());
    page.needTexts(screen.refresh);
    widgets.add(node);
  },
  afterConfigureGraph() {
    widgets.sweep();
    breakpoints.graphChanged();
    effects.graphChanged();
  },
});

/** @param {unknown} on */
function watching(on) {
  store.dispatch({ type: "watching", on: on === true });
}

/** @type {(() => void) | null} */ let unmountTray = null;

/** May be called again with another element. @param {HTMLElement} element */
function showTray(element) {
  unmountTray?.();
  page.needTexts(screen.refresh);
  element.classList.add("midrun-slot");
  const panel = element.appendChild(document.createElement("div"));
  panel.className = "midrun-panel-root";
  const unmount = screen.mount({
    element: panel,
    view: (model) => trayView(tools, model),
    drawn: effects.trayDrawn,
  });
  unmountTray = () => {
    unmount();
    panel.remove();
  };
  store.dispatch({ type: "tray", shown: true, touch: page.hasNoMouse() });
  effects.queueChanged();
  void actions.usage();
  void actions.others();
}

function hideTray() {
  unmountTray?.();
  unmountTray = null;
  store.dispatch({ type: "tray", shown: false });
}

function togglePanel() {
  return app.extensionManager.command.execute("Workspace.ToggleSidebarTab.midrun");
}

function showPanel() {
  if (!store.get().tray.shown) void togglePanel();
}

function hasTimeline() {
  return page.hasCommand(TOGGLE_TIMELINE);
}

function toggleTimeline() {
  return hasTimeline() && app.extensionManager.command.execute(TOGGLE_TIMELINE);
}

function showTimeline() {
  if (!store.get().timeline.shown) void toggleTimeline();
}
