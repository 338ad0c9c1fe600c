// Breakpoints that nodes carry in the workflow file: "pause before this node", or choose there.
// The dot on the canvas is a badge. In Nodes 2.0, which does not look at badges again, it is a rule of CSS.
import { nodesOf } from "./graph.js";
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Graph, GraphNode } from "./graph.js" */

const PROPERTY = "Midrun.breakpoints"; // the server reads it when the workflow is queued
const DOT = "●";
const BATCHES = ["IMAGE", "LATENT", "MASK"];
const COLOURS = { fgColor: "#ffffff", bgColor: "#ef4444" };
const DRAWN = `{ content: ""; position: absolute; top: -6px; left: -6px; width: 14px; height: 14px; z-index: 1;
  box-sizing: border-box; border: 2px solid #fff; border-radius: 50%; background: #ef4444; pointer-events: none }`;

const nothing = () => {};

/**
 * @param {{
 *   dirty: () => void, badge: (text: string, colours: { fgColor: string, bgColor: string }) => any,
 *   inVue: () => boolean, shownGraph: () => Graph | null,
 *   onGraphShown: (listener: () => void) => void, hasTexts: () => boolean, needTexts: (then: () => void) => void,
 * }} page
 * @param {Translate} t
 * @param {{ pause: string, choose: string }} plain what the menu says before there are texts
 */
export function createNodeBreakpoints(page, t, plain) {
  /** @type {WeakMap<GraphNode, () => any>} */ const dots = new WeakMap();
  /** @type {CSSStyleSheet | null} */ let sheet = null; // once there was a dot
  let waits = false;

  /** @param {GraphNode} node @returns {any[]} */
  const carried = (node) => {
    const found = node.properties?.[PROPERTY];
    return Array.isArray(found) ? found : [];
  };
  /** @param {any} one */
  const pausesBefore = (one) => one?.kind === "node" && one.enabled !== false;
  /** @param {GraphNode} node */
  const isSet = (node) => carried(node).some(pausesBefore);
  /** Whether one may choose there from what comes to the node. @param {GraphNode} node */
  const asks = (node) => carried(node).some((one) => pausesBefore(one) && one.choose != null);
  /** Whether a batch comes to it. @param {GraphNode} node */
  const takesBatch = (node) =>
    (node.inputs ?? []).some((/** @type {any} */ one) => one.link != null && BATCHES.includes(one.type));
  /**
   * Whether a prompt can stop before it: a note, a reroute and a subgraph as a whole do not run, and the stop is on
   * a wire into the node.
   * @param {GraphNode} node
   */
  const stops = (node) =>
    node.comfyClass !== undefined &&
    !node.isVirtualNode &&
    !node.subgraph &&
    (isSet(node) || (node.inputs ?? []).some((/** @type {any} */ one) => one.link != null));

  /** A dot where the node carries one, and only there. @param {GraphNode} node */
  function mark(node) {
    const known = dots.get(node);
    if (isSet(node) === (known !== undefined)) return;
    if (known !== undefined) {
      dots.delete(node);
      node.badges = (node.badges ?? []).filter((/** @type {any} */ one) => one !== known);
    } else {
      const [dot, none] = [page.badge(DOT, COLOURS), page.badge("", COLOURS)];
      if (dot === null) return;
      const badge = () => (page.inVue() ? none : dot);
      dots.set(node, badge);
      node.badges = [...(node.badges ?? []), badge];
    }
    drawSoon();
  }

  /** Once, however many nodes are loaded at a time. */
  function drawSoon() {
    page.dirty();
    if (waits) return;
    waits = true;
    queueMicrotask(draw);
  }

  /** For Nodes 2.0: the nodes of the graph that is shown. */
  function draw() {
    waits = false;
    if (sheet === null) {
      sheet = new CSSStyleSheet();
      document.adoptedStyleSheets.push(sheet);
      page.onGraphShown(draw);
    }
    const graph = page.shownGraph();
    const ids = graph
      ? nodesOf(graph)
          .filter(isSet)
          .map((node) => CSS.escape(String(node.id)))
      : [];
    const nodes = ids.map((id) => `.lg-node[data-node-id="${id}"]::after`).join(", ");
    sheet.replaceSync(ids.length ? `${nodes} ${DRAWN}` : "");
  }

  /** @param {GraphNode} node @param {boolean} [choose] */
  function toggle(node, choose = false) {
    if (!stops(node)) return;
    node.graph?.beforeChange?.(node);
    // Without an id: each node that this one is copied to has one of its own.
    const left = carried(node).filter((one) => !pausesBefore(one));
    const added = choose ? { kind: "node", choose: 1 } : { kind: "node" };
    const next = isSet(node) && asks(node) === choose ? left : [...left, added];
    node.properties ??= {};
    if (next.length) node.properties[PROPERTY] = next;
    else delete node.properties[PROPERTY];
    mark(node);
    node.graph?.afterChange?.(node);
  }

  return {
    toggle,
    stops,
    /** @param {GraphNode} node */
    toggleChoice: (node) => (takesBatch(node) || asks(node)) && toggle(node, true),
    /** Another graph is on screen. */
    graphChanged: () => sheet && draw(),
    /** Whatever the node is loaded or copied from. @param {GraphNode} node */
    follow(node) {
      const configured = node.onConfigure;
      node.onConfigure = function (/** @type {any[]} */ ...args) {
        const answer = configured?.apply(this, args);
        mark(node);
        return answer;
      };
    },
    /** For ComfyUI's context menu of a node. @param {GraphNode} node */
    menu(node) {
      if (!stops(node)) return [];
      page.needTexts(nothing);
      const set = isSet(node) && !asks(node);
      const pause = page.hasTexts() ? t(set ? "node.dontPause" : "node.pause") : plain.pause;
      const items = [{ content: pause, callback: () => toggle(node) }];
      if (!takesBatch(node) && !asks(node)) return items;
      const choose = page.hasTexts() ? t(asks(node) ? "node.dontChoose" : "node.choose") : plain.choose;
      return [...items, { content: choose, callback: () => toggle(node, true) }];
    },
  };
}
