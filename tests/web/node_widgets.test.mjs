// One widget a node, as long as the node is there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fold, toggleFolded } from "../../web/comfyui/folding.js";
import { createNodeWidgets } from "../../web/comfyui/node_widgets.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { createStore } from "../../web/ui/store.js";

/** Widgets of a page that has this graph. */
function widgetsOf(root) {
  globalThis.document = { createElement: () => ({ dataset: {}, addEventListener() {} }) };
  const page = { root: () => root, dirty() {}, foldsInVue: () => true };
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

test("inputs of a node that are folded away take no room on the canvas, and have their place back when unfolded", () => {
  const widget = (name, advanced) => ({ name, options: { advanced } });
  const node = { widgets: [widget("cfg", undefined), widget("queue_policy", true)], id: 1 };
  node.computeSize = () => [210, 4 + node.widgets.reduce((sum, one) => sum + (one.computeSize?.(210)[1] ?? 20) + 4, 0)];
  [node.size, node.setSize] = [[300, 0], (size) => (node.size = size)];
  node.toggleAdvanced = () => (node.showAdvanced = !node.showAdvanced);
  fold(node, true);
  const [shown, folded] = node.widgets;
  assert.equal(shown.advanced, undefined);
  assert.deepEqual([folded.advanced, folded.options.hidden, folded.computeSize(200)], [true, true, [0, -4]]);
  assert.deepEqual(node.size, [300, 28]);
  toggleFolded(node, true);
  assert.deepEqual([folded.options.hidden, folded.computeSize(200)], [false, [200, 20]]);
  assert.deepEqual(node.size, [300, 52]);
  assert.deepEqual(node.widgets, [shown, folded], "in their order");
});
