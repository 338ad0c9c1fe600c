// Finds nodes of the graph on screen by ComfyUI's execution ids ("2:1": node 1 in the subgraph node 2). Pure.

/** @typedef {{ id: string | number, subgraph?: Graph, graph?: Graph, [more: string]: any }} GraphNode */
/** @typedef {{ id?: string, nodes?: GraphNode[], _nodes?: GraphNode[], getNodeById: (id: any) => GraphNode | null, [more: string]: any }} Graph */

const DEEPEST = 20;

/** @param {Graph} graph @returns {GraphNode[]} */
export const nodesOf = (graph) => graph.nodes ?? graph._nodes ?? [];

/**
 * Where each graph is used: "" for the root, "2:" for the subgraph that node 2 is, several for one used often.
 * @param {Graph} root
 * @returns {Map<Graph, string[]>}
 */
export function prefixes(root) {
  /** @type {Map<Graph, string[]>} */ const found = new Map();
  const visit = (/** @type {Graph} */ graph, /** @type {string} */ prefix, /** @type {number} */ depth) => {
    found.set(graph, [...(found.get(graph) ?? []), prefix]);
    if (depth > DEEPEST) return;
    for (const node of nodesOf(graph))
      if (node.subgraph) visit(node.subgraph, `${prefix}${node.id}:`, depth + 1);
  };
  visit(root, "", 0);
  return found;
}

/** @param {Map<Graph, string[]>} places of `prefixes` @param {GraphNode} node @returns {string[]} */
export function executionIds(places, node) {
  const graph = node.graph;
  return graph ? (places.get(graph) ?? []).map((prefix) => `${prefix}${node.id}`) : [];
}

/** @param {Graph} root @param {string} executionId @returns {GraphNode | null} */
export function nodeAt(root, executionId) {
  /** @type {Graph | undefined} */ let graph = root;
  const path = executionId.split(":");
  for (const [index, part] of path.entries()) {
    /** @type {GraphNode | null} */ const node =
      graph?.getNodeById(part) ?? graph?.getNodeById(Number(part)) ?? null;
    if (node === null || index === path.length - 1) return node;
    graph = node.subgraph;
  }
  return null;
}
