// The widget on the nodes that sample: one a node, gone with it.
import { executionIds, nodeAt, nodesOf, prefixes } from "./graph.js";
import { jobOfNode, liveNodes } from "../model/select.js";
import { HEIGHT, nodeView } from "../views/node.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Tools } from "../views/tools.js" */
/** @import { Screen } from "../ui/screen.js" */
/** @import { Graph, GraphNode } from "./graph.js" */

/**
 * @typedef {{ widget: any, unmount: () => void, own: boolean, size: number[] | null }} Held
 */

const OWN = "MidrunKSampler";
const NAME = "midrun";
const WIDTH = 300; // pixels, at least, of a node that is new
const TYPE = "MIDRUN_STATE"; // of no widget of the frontend

/**
 * @param {{ root: () => Graph | null, dirty: () => void }} page
 * @param {Store} store
 * @param {Screen} screen
 * @param {Tools} tools
 */
export function createNodeWidgets(page, store, screen, tools) {
  /** @type {Map<GraphNode, Held>} */ const held = new Map();

  /** @param {GraphNode} node */
  function add(node) {
    if (held.has(node) || typeof node.addDOMWidget !== "function") return;
    const own = isOwn(node);
    const element = document.createElement("div");
    element.className = own ? "midrun-widget midrun-own" : "midrun-widget";
    element.dataset.captureWheel = "true";
    for (const type of ["pointerdown", "pointermove", "pointerup", "dblclick"])
      element.addEventListener(type, (event) => event.stopPropagation());
    const size = own ? null : [...node.size];
    const height = () => HEIGHT;
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
      const places = places_();
      const ids = executionIds(places, node);
      const model = store.get();
      return nodeView(tools, model, jobOfNode(model, page.root()?.id ?? null, ids, own), ids);
    };
    // Our own sampler has its pictures in the widget, at one height. In Nodes 2.0 styles/node.css leaves core's out.
    if (own) node.onDrawBackground = () => {};
    held.set(node, { widget, own, size, unmount: screen.mount({ element, view }) });
    const removed = node.onRemoved;
    node.onRemoved = function (/** @type {any[]} */ ...args) {
      drop(node, false);
      return removed?.apply(this, args);
    };
    node.setSize([Math.max(node.size[0], WIDTH), Math.max(node.size[1], node.computeSize()[1])]);
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
    jobOf(node) {
      return jobOfNode(store.get(), page.root()?.id ?? null, executionIds(places_(), node), true);
    },
  };
}

/** @typedef {ReturnType<typeof createNodeWidgets>} NodeWidgets */

/** @param {GraphNode} node */
const isOwn = (node) => node.comfyClass === OWN || node.type === OWN;
