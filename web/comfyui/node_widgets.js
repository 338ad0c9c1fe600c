// The widget on the nodes that sample, and on breakpoints: one a node, gone with it.
import { isUnfolded, toggleFolded } from "./folding.js";
import { executionIds, nodeAt, nodesOf, prefixes } from "./graph.js";
import { jobOfNode, liveNodes } from "../model/select.js";
import { stoppedBefore } from "../model/select_wires.js";
import { HEIGHT, nodeView } from "../views/node.js";
import { BREAKPOINT_HEIGHT, breakpointView } from "../views/wires.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Job } from "../model/types.js" */
/** @import { Tools } from "../views/tools.js" */
/** @import { Screen } from "../ui/screen.js" */
/** @import { Graph, GraphNode } from "./graph.js" */

/**
 * @typedef {{ widget: any, unmount: () => void, own: boolean, size: number[] | null }} Held
 */

const [SAMPLER, BREAKPOINT] = ["MidrunKSampler", "MidrunBreakpoint"];
const NAME = "midrun";
const WIDTH = 300; // pixels, at least, of a node that is new
const TYPE = "MIDRUN_STATE"; // of no widget of the frontend

/**
 * @param {{ root: () => Graph | null, dirty: () => void, foldsInVue: () => boolean }} page
 * @param {Store} store
 * @param {Screen} screen
 * @param {Tools} tools
 */
export function createNodeWidgets(page, store, screen, tools) {
  /** @type {Map<GraphNode, Held>} */ const held = new Map();

  /** @param {GraphNode} node */
  function add(node) {
    if (held.has(node) || typeof node.addDOMWidget !== "function") return;
    const [own, low] = [isOwn(node), isBreakpoint(node)];
    const element = document.createElement("div");
    element.className = ["midrun-widget", own && "midrun-own", low && "midrun-stop-widget"].filter(Boolean).join(" ");
    element.dataset.captureWheel = "true";
    for (const type of ["pointerdown", "pointermove", "pointerup", "dblclick"])
      element.addEventListener(type, (event) => event.stopPropagation());
    const size = own ? null : [...node.size];
    const height = () => (low ? BREAKPOINT_HEIGHT : HEIGHT);
    const widget = node.addDOMWidget(NAME, TYPE, element, {
      serialize: false,
      hideOnZoom: true,
      getMinHeight: height,
      getMaxHeight: height,
      getHeight: height,
      getValue: () => "",
      setValue: () => {},
    });
    widget.serialize = false;
    const view = () => {
      const model = store.get();
      const ids = executionIds(places_(), node);
      const job = jobAt(node, ids, own);
      const options = own ? { shown: isUnfolded(node), toggle: () => toggle(node) } : null;
      return low ? breakpointView(tools, model, job, options) : nodeView(tools, model, job, ids, options);
    };
    // Our own sampler has its pictures in the widget, at one height. In Nodes 2.0 styles/node.css leaves core's out.
    if (own) node.onDrawBackground = () => {};
    held.set(node, { widget, own, size, unmount: screen.mount({ element, view }) });
    const removed = node.onRemoved;
    node.onRemoved = function (/** @type {any[]} */ ...args) {
      drop(node, false);
      return removed?.apply(this, args);
    };
    const [width, height_] = [Math.max(node.size[0], WIDTH), node.computeSize()[1]];
    node.setSize([width, own ? height_ : Math.max(node.size[1], height_)]);
    page.dirty();
  }

  /** Its inputs that are folded away. @param {GraphNode} node */
  function toggle(node) {
    toggleFolded(node, !page.foldsInVue());
    screen.refresh();
    page.dirty();
  }

  /** @param {GraphNode} node @param {boolean} lives the node stays, and gets back the size that it had */
  function drop(node, lives) {
    const known = held.get(node);
    if (!known) return;
    held.delete(node);
    known.unmount();
    if (!lives) return;
    const at = node.widgets?.indexOf(known.widget) ?? -1;
    if (typeof node.removeWidget === "function" && at >= 0) node.removeWidget(known.widget);
    else if (at >= 0) node.widgets.splice(at, 1);
    known.widget.onRemove?.();
    if (known.size) node.setSize(known.size);
    page.dirty();
  }

  /** @param {GraphNode} node @param {string[]} ids @param {boolean} always also one that ended @returns {Job | null} */
  function jobAt(node, ids, always) {
    const at = /** @type {const} */ ([store.get(), page.root()?.id ?? null, ids]);
    return isBreakpoint(node) ? stoppedBefore(...at) : jobOfNode(...at, always);
  }

  /** @type {Map<Graph, string[]> | null} */ let places = null;
  function places_() {
    if (places === null) {
      const root = page.root();
      places = root ? prefixes(root) : new Map();
      queueMicrotask(() => (places = null));
    }
    return places;
  }

  return {
    add,
    isOwn,
    /** Nodes behind a Midrun Attach have the widget while their job lives. */
    follow() {
      const root = page.root();
      if (!root) return;
      const wanted = new Set([...liveNodes(store.get(), root.id ?? null)].map((id) => nodeAt(root, id)));
      for (const node of wanted) if (node !== null) add(node);
      for (const [node, { own }] of held) if (!own && !wanted.has(node)) drop(node, true);
    },
    /** Forget the nodes of graphs that are not there any more: onRemoved is not always called. */
    sweep() {
      places = null; // what was found while the graph came to be is not all of it
      const there = places_();
      for (const node of held.keys())
        if (!node.graph || !there.has(node.graph) || !nodesOf(node.graph).includes(node)) drop(node, false);
    },
    get size() {
      return held.size;
    },
    /** The job of a node, or null. @param {GraphNode} node */
    jobOf: (node) => jobAt(node, executionIds(places_(), node), true),
  };
}

/** @typedef {ReturnType<typeof createNodeWidgets>} NodeWidgets */

/** @param {GraphNode} node @param {string} kind */
const isA = (node, kind) => node.comfyClass === kind || node.type === kind;

/** @param {GraphNode} node */
const isBreakpoint = (node) => isA(node, BREAKPOINT);

/** @param {GraphNode} node */
const isOwn = (node) => isA(node, SAMPLER) || isBreakpoint(node);
