// What Midrun needs of the page that it runs in: ComfyUI's frontend, in any version.
import { pathKey } from "../model/reducer_editor.js";
import { nodesOf, prefixes } from "./graph.js";
import { speak } from "../ui/format.js";
import { spoken, translator } from "../ui/i18n.js";
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Ring, Toast } from "./notifications.js" */

const NAMES = "Midrun.WorkflowNames"; // in the browser's storage: workflow id -> name
const MOST_NAMES = 200;
const EXAMPLE = "Pause and edit"; // of example_workflows

/** @param {any} app @param {any} api @param {string} here URL of index.js */
export function createPage(app, api, here) {
  /** @type {Record<string, any> | null} */ let texts = null;
  /** @type {Promise<void> | null} */ let loading = null;
  /** @type {Set<() => void>} */ const wanting = new Set();
  /** @type {Translate} */ let translate = (key) => key;
  let language = "en"; // of the texts
  const t = (/** @type {string} */ key, /** @type {any} */ values) => translate(key, values);
  const setting = (/** @type {string} */ id) => app.extensionManager.setting.get(id);
  const root = () => app.rootGraph ?? app.graph ?? null;
  const workflowId = () => root()?.id ?? null;

  /** Midrun's in the sidebar. What is set on it the frontend follows, as it does nothing else of an extension's. */
  const ownTab = () =>
    (app.extensionManager.getSidebarTabs?.() ?? []).find((/** @type {any} */ one) => one.id === "midrun");

  /** @param {string} name @param {unknown} value */
  function setOnTab(name, value) {
    const tab = ownTab();
    if (tab && tab[name] !== value) tab[name] = value;
  }

  function choose() {
    const wanted = setting("Comfy.Locale") ?? "en";
    speak(wanted);
    if (texts !== null) translate = translator(texts, wanted);
    [language] = [...spoken(texts ?? {}, wanted), "en"];
    for (const then of [...wanting]) then();
  }

  return {
    t,
    /** As `t`, but another function in another language: for what is made anew then. */
    translate: () => translate,
    root,
    clock: () => Date.now(),
    hasTexts: () => texts !== null,
    language: () => language,
    /** Read the texts once, when the first is wanted. @param {() => void} then now, and in another language; the same function each time */
    needTexts(then) {
      wanting.add(then);
      loading ??= api
        .fetchApi("/i18n")
        .then((/** @type {Response} */ response) => response.json())
        .catch(() => ({}))
        .then((/** @type {any} */ found) => {
          texts = found;
          choose();
          app.ui.settings.addEventListener("Comfy.Locale.change", choose);
        });
    },
    style() {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = new URL("./midrun.css", here).href;
      document.head.append(link);
    },
    dirty: () => root()?.setDirtyCanvas?.(true, true),
    /** @param {string} text @param {{ fgColor: string, bgColor: string }} [colours] */
    badge(text, colours = { fgColor: "#1c1400", bgColor: "#eab308" }) {
      const Badge = /** @type {any} */ (globalThis).LGraphBadge;
      return Badge ? new Badge({ text, ...colours }) : null;
    },
    /** A number on the sidebar's icon, where the frontend shows such; none for 0. @param {number} count */
    countOnTab: (count) => setOnTab("iconBadge", count ? String(count) : null),
    setOnTab,
    /** @param {string} name */
    onTab: (name) => ownTab()?.[name],
    /** Whether the frontend knows a command, as it does of a tab that it shows. @param {string} id */
    hasCommand: (id) =>
      (app.extensionManager.command.commands ?? []).some((/** @type {any} */ one) => one.id === id),
    /** Calls when the colours change. @param {() => void} listener @returns {() => void} */
    onPalette(listener) {
      const soon = () => [100, 700].forEach((ms) => setTimeout(listener, ms)); // they come a little later
      app.ui.settings.addEventListener("Comfy.ColorPalette.change", soon);
      return () => app.ui.settings.removeEventListener("Comfy.ColorPalette.change", soon);
    },
    isHidden: () => document.hidden,
    /** Whether what goes on comes of a key that is held: the frontend calls a command while it hears the key, and tells it of none. */
    keyIsHeld: () => /** @type {any} */ (globalThis).event?.repeat === true,
    hasNoMouse: () => matchMedia("(hover: none)").matches,
    /** Whether Nodes 2.0 folds the advanced inputs of nodes away by itself. */
    foldsInVue: () => setting("Comfy.Node.AlwaysShowAdvancedWidgets") !== undefined,
    inVue: () => Boolean(/** @type {any} */ (globalThis).LiteGraph?.vueNodesMode),
    /** The graph that is shown, which may be inside a subgraph node. */
    shownGraph: () => app.canvas?.graph ?? root(),
    onGraphShown: (/** @type {() => void} */ listener) =>
      app.canvas?.canvas?.addEventListener("litegraph:set-graph", listener),
    /** @type {Toast} */
    toast(severity, summary, detail) {
      const toast = app.extensionManager.toast;
      if (typeof toast.warning === "function")
        toast[severity === "warn" ? "warning" : severity](summary, { description: detail, duration: 8000 });
      else toast.add({ severity, summary, detail, life: 8000 });
    },
    /** @type {Ring} */
    ring(summary, detail) {
      if (setting("Midrun.Sound") === true) beep();
      const wanted = setting("Midrun.Notifications") === true && document.hidden;
      if (wanted && globalThis.Notification?.permission === "granted")
        new Notification(summary, { body: detail, tag: summary });
    },
    /** The browser asks the user once. @param {unknown} on */
    allowNotifications(on) {
      if (on === true && globalThis.Notification?.permission === "default")
        void Notification.requestPermission();
    },
    /** The nodes that are selected on the canvas. @returns {any[]} */
    selected: () => [...(app.canvas?.selectedItems ?? [])].filter((item) => item.comfyClass !== undefined),
    /** Calls at each change of the graph on screen. @param {() => void} listener @returns {() => void} */
    onGraphChanged(listener) {
      api.addEventListener("graphChanged", listener);
      return () => api.removeEventListener("graphChanged", listener);
    },
    /** The name of the workflow on screen, kept for the jobs that are queued from it. */
    names() {
      const known = storedNames();
      const id = workflowId();
      const name = app.extensionManager.workflow?.activeWorkflow?.filename;
      if (typeof name === "string" && id !== null && known[id] !== name) {
        const { [id]: _, ...rest } = known;
        const kept = Object.fromEntries([...Object.entries(rest), [id, name]].slice(-MOST_NAMES));
        try {
          localStorage.setItem(NAMES, JSON.stringify(kept));
        } catch {
          // the browser's storage is full or closed: then until the page is left
        }
        return kept;
      }
      return known;
    },
    storedNames,
    ports: {
      t,
      clock: () => Date.now(),
      setting,
      setSetting: (/** @type {string} */ id, /** @type {any} */ value) =>
        app.extensionManager.setting.set(id, value),
      workflowId,
      async canvas() {
        const { output, workflow } = await app.graphToPrompt();
        return { prompt: output, workflow, automatic: automatic(root()) };
      },
      async insertExample() {
        const pack = decodeURIComponent(new URL(here).pathname.split("/").at(-2) ?? "");
        const packs = await (await api.fetchApi("/workflow_templates")).json();
        const names = packs[pack] ?? [];
        const name = names.includes(EXAMPLE) ? EXAMPLE : names[0];
        if (name === undefined) return;
        const route = `/workflow_templates/${encodeURIComponent(pack)}/${encodeURIComponent(name)}.json`;
        await app.loadGraphData(await (await api.fetchApi(route)).json(), true, true, name);
      },
    },
  };
}

/** @typedef {ReturnType<typeof createPage>} Page */

/** Two short tones, made by the browser. */
function beep() {
  const audio = new AudioContext();
  const volume = audio.createGain();
  volume.gain.value = 0.08;
  volume.connect(audio.destination);
  for (const [index, frequency] of [660, 880].entries()) {
    const tone = audio.createOscillator();
    tone.frequency.value = frequency;
    tone.connect(volume);
    tone.start(audio.currentTime + index * 0.15);
    tone.stop(audio.currentTime + index * 0.15 + 0.12);
    if (index) tone.addEventListener("ended", () => void audio.close());
  }
}

/** @returns {Record<string, string>} */
function storedNames() {
  try {
    const found = JSON.parse(localStorage.getItem(NAMES) ?? "{}");
    return found && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}

/** What the frontend changes by itself: widgets with a "control after generate" that is not "fixed". @param {any} root */
function automatic(root) {
  /** @type {Set<string>} */ const found = new Set();
  for (const [graph, places] of root ? prefixes(root) : []) {
    for (const node of nodesOf(graph)) {
      for (const widget of node.widgets ?? []) {
        const controls = (widget.linkedWidgets ?? []).filter(
          (/** @type {any} */ one) => one.name === "control_after_generate",
        );
        if (!controls.some((/** @type {any} */ one) => one.value !== "fixed")) continue;
        for (const place of places) found.add(pathKey(`${place}${node.id}`, widget.name));
      }
    }
  }
  return found;
}
