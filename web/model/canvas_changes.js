// The graph on screen against a job's: what was changed on the canvas since it was queued. Pure functions.
import { pathKey } from "./reducer_editor.js";
import { same } from "../ui/records.js";
/** @import { CanvasChange, ParamNode } from "./types.js" */

/**
 * @typedef {Record<string, { inputs?: Record<string, any> }>} Prompt  API format, by execution id
 * @typedef {{ prompt: Prompt, automatic: Set<string>, workflow?: any }} Canvas  the graph on screen, and as a file, and (by `pathKey`) what the
 *   frontend changes by itself after each queueing, such as a randomized seed
 */

/**
 * An input was changed on the canvas when it is neither what the job has now nor what the canvas had before.
 * @param {Record<string, ParamNode>} nodes of GET params
 * @param {Canvas} canvas
 * @param {Record<string, any>} base by `pathKey`: what the canvas had when it was sent last
 * @returns {CanvasChange[]} without those that can have no effect
 */
export function changesOnCanvas(nodes, { prompt, automatic }, base) {
  return Object.entries(nodes).flatMap(([nodeId, node]) =>
    Object.entries(node.inputs).flatMap(([input, known]) => {
      const given = prompt[nodeId]?.inputs;
      const key = pathKey(nodeId, input);
      if (given === undefined || !(input in given) || isLink(given[input]) || automatic.has(key)) return [];
      const to = given[input];
      const before = key in base ? base[key] : known.original;
      if (known.verdict === "consumed" || same(to, known.value) || same(to, before)) return [];
      return [{ node_id: nodeId, input, title: node.title, from: known.value, to }];
    }),
  );
}

/**
 * The graph on screen as the job is to go on with it: what is not changed there, or cannot be, stays the job's.
 * @param {Record<string, ParamNode>} nodes
 * @param {Canvas} canvas
 * @param {Record<string, any>} base
 * @returns {{ prompt: Prompt, sent: Record<string, any> }} sent: what the canvas had, for the next `base`
 */
export function promptToSend(nodes, canvas, base) {
  const changed = new Set(changesOnCanvas(nodes, canvas, base).map((one) => pathKey(one.node_id, one.input)));
  /** @type {Prompt} */ const merged = structuredClone(canvas.prompt);
  /** @type {Record<string, any>} */ const sent = {};
  for (const [nodeId, node] of Object.entries(nodes)) {
    const given = merged[nodeId]?.inputs;
    if (given === undefined) continue;
    for (const [input, known] of Object.entries(node.inputs)) {
      const key = pathKey(nodeId, input);
      if (input in given) sent[key] = given[input];
      if (!changed.has(key) && !isLink(given[input])) given[input] = known.value;
    }
  }
  return { prompt: merged, sent };
}

/** @param {any} value */
const isLink = (value) =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && Number.isInteger(value[1]);
