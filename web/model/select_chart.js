// What was measured, as lines. Pure functions.
/** @import { Measured } from "./types.js" */

/** @type {("sigma" | "change" | "norm" | "seconds" | "memory")[]} */
export const QUANTITIES = ["sigma", "change", "norm", "seconds", "memory"];

/**
 * One quantity of one node over the steps, as far as it was measured.
 * @param {Measured[]} measured @param {string | null} nodeId @param {string} name
 * @returns {{ step: number, value: number }[]}
 */
export function series(measured, nodeId, name) {
  return measured
    .filter((one) => nodeId === null || one.node_id === nodeId)
    .map((one) => ({ step: one.step, value: /** @type {any} */ (one)[name] }))
    .filter(({ value }) => typeof value === "number" && Number.isFinite(value));
}

/**
 * Where the points of a line lie in a box; the least at its bottom.
 * @param {{ step: number, value: number }[]} points @param {number} width @param {number} height
 */
export function polyline(points, width, height) {
  const steps = points.map((point) => point.step);
  const values = points.map((point) => point.value);
  const [first, last] = [Math.min(...steps), Math.max(...steps)];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (/** @type {number} */ step) =>
    last === first ? width / 2 : ((step - first) / (last - first)) * width;
  const y = (/** @type {number} */ value) =>
    high === low ? height / 2 : height - ((value - low) / (high - low)) * height;
  const at = points.map(({ step, value }) => ({ step, value, x: x(step), y: y(value) }));
  return { at, first, last, low, high };
}
