// Inputs of ours that are folded away, as `nodes/folded.py` marks them. The frontend unfolds them (node.showAdvanced);
// here it is helped where it does not look at the mark, or leaves their room empty. Their values stay where they are.
/** @import { GraphNode } from "./graph.js" */

const [ROW, GAP] = [20, 4]; // pixels, as litegraph lays widgets out

/**
 * Of a node that is new.
 * @param {GraphNode} node
 * @param {boolean} inVue whether Nodes 2.0 needs help, too: where it does not fold by itself, and the node can unfold them
 */
export function fold(node, inVue) {
  const isFolded = () => node.showAdvanced !== true;
  for (const widget of node.widgets ?? []) {
    if (!widget.options?.advanced) continue;
    widget.advanced = true;
    widget.computeSize = (/** @type {number} */ width) => (isFolded() ? [0, -GAP] : [width, ROW]);
    if (inVue) Object.defineProperty(widget.options, "hidden", { get: isFolded, set() {}, configurable: true });
  }
  fit(node);
}

/** As high as what it shows. @param {GraphNode} node */
const fit = (node) => node.setSize([node.size[0], node.computeSize()[1]]);

/** @param {GraphNode} node @param {boolean} inVue as above */
export function toggleFolded(node, inVue) {
  node.toggleAdvanced?.();
  fit(node);
  if (inVue && node.widgets?.length) node.widgets.push(node.widgets.pop()); // so that all are looked at again
}

/** @param {GraphNode} node */
export const isUnfolded = (node) => node.showAdvanced === true;
