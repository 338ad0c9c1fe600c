// One widget a node, as long as the node is there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNodeWidgets } from "../../web/comfyui/node_widgets.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { createStore } from "../../web/ui/store.js";

/** Widgets of a page that has this graph. */
function widgetsOf(root) {
  globalThis.document = { createElement: () => ({ dataset: {}, addEventListener() {} }) };
  const page = { root: () => root, dirty() {} };
  return createNodeWidgets(page, createStore(reduce, initial), { mount: () => () => {} }, {});
}

/** A node of ours in a graph. */
function samplerIn(graph) {
  const node = { id: 1, type: "MidrunKSampler", graph, widgets: [], size: [300, 100] };
  node.addDOMWidget = (name) => (node.widgets.push({ name }), node.widgets.at(-1));
  node.setSize = (size) => (node.size = size);
  node.computeSize = () => [300, 100];
  graph.nodes.push(node);
  return node;
}

test("a node keeps its one widget where its subgraph's place was looked for before it had one", () => {
  const [root, inner] = [{ nodes: [] }, { nodes: [] }];
  const widgets = widgetsOf(root);
  const node = samplerIn(inner);
  widgets.add(node);
  widgets.jobOf(node); // drawn while the graph comes to be: nothing leads to the subgraph yet
  root.nodes.push({ id: 2, subgraph: inner });
  widgets.sweep();
  assert.equal(widgets.size, 1);
  widgets.add(node);
  assert.deepEqual(node.widgets.map((one) => one.name), ["midrun"]);
});

test("the widget of a node whose graph is gone is forgotten", () => {
  const root = { nodes: [] };
  const widgets = widgetsOf(root);
  widgets.add(samplerIn(root));
  widgets.add(samplerIn({ nodes: [] }));
  widgets.sweep();
  assert.equal(widgets.size, 1);
});
