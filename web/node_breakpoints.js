// Breakpoints that nodes carry in the workflow file: "pause before this node". Nothing happens on import.

/** @typedef {import("./graph.js").GraphNode} GraphNode */

const PROPERTY = "Midrun.breakpoints"; // the server reads it when the workflow is queued
const DOT = "●";
const COLOURS = { fgColor: "#ef4444", bgColor: "#ffffff" };

/**
 * @param {{
 *   dirty: () => void, badge: (text: string, colours: { fgColor: string, bgColor: string }) => any,
 *   hasTexts: () => boolean, needTexts: (then: () => void) => void,
 * }} page
 * @param {import("./i18n.js").Translate} t
 * @param {string} plain what the menu says before there are texts
 */
export function createNodeBreakpoints(page, t, plain) {
  /** @type {WeakMap<GraphNode, any>} */ const dots = new WeakMap();

  /** @param {GraphNode} node @returns {any[]} */
  const carried = (node) => {
    const found = node.properties?.[PROPERTY];
    return Array.isArray(found) ? found : [];
  };
  /** @param {any} one */
  const pausesBefore = (one) => one?.kind === "node" && one.enabled !== false;
  /** @param {GraphNode} node */
  const isSet = (node) => carried(node).some(pausesBefore);
  /** Whether it runs at all: a note, a reroute and a subgraph as a whole do not. @param {GraphNode} node */
  const runs = (node) => node.comfyClass !== undefined && !node.isVirtualNode && !node.subgraph;

  /** A dot where the node carries one, and only there. @param {GraphNode} node */
  function mark(node) {
    const known = dots.get(node);
    if (isSet(node) === (known !== undefined)) return;
    if (known !== undefined) {
      dots.delete(node);
      node.badges = (node.badges ?? []).filter((/** @type {any} */ one) => one !== known);
    } else {
      const badge = page.badge(DOT, COLOURS);
      if (badge === null) return;
      dots.set(node, badge);
      node.badges = [...(node.badges ?? []), badge];
    }
    page.dirty();
  }

  /** @param {GraphNode} node */
  function toggle(node) {
    if (!runs(node)) return;
    node.graph?.beforeChange?.(node);
    // Without an id: each node that this one is copied to has one of its own.
    const left = carried(node).filter((one) => !pausesBefore(one));
    const next = isSet(node) ? left : [...left, { kind: "node" }];
    node.properties ??= {};
    if (next.length) node.properties[PROPERTY] = next;
    else delete node.properties[PROPERTY];
    mark(node);
    node.graph?.afterChange?.(node);
  }

  return {
    isSet,
    toggle,
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
      if (!runs(node)) return [];
      page.needTexts(() => {});
      const told = isSet(node) ? "node.dontPause" : "node.pause";
      return [{ content: page.hasTexts() ? t(told) : plain, callback: () => toggle(node) }];
    },
  };
}
