// What the dialog that forks a job asks for. Pure functions.
import { parsed } from "./reducer_editor.js";
/** @import { ForkDialog, Input, Model } from "./types.js" */

export const MOST_FORKS = 16;

/**
 * The values that were typed, one by one; several lines of them where the input itself has lines.
 * @param {Input} input @param {string} text @returns {{ values: any[], wrong: string | null }} wrong: the first that is none
 */
export function valuesOf(input, text) {
  const pieces = text.split(input.multiline ? "\n" : ",").map((piece) => piece.trim());
  /** @type {any[]} */ const values = [];
  for (const piece of pieces.filter((one) => one !== "")) {
    const value = input.type === "BOOLEAN" ? { true: true, false: false }[piece] : parsed(input, piece);
    const whole = input.type !== "INT" || Number.isInteger(value);
    if (value === undefined || !whole) return { values, wrong: piece };
    values.push(value);
  }
  return { values, wrong: null };
}

/**
 * What the dialog asks for: the request, how many jobs that makes, and what is wrong by the number of the axis.
 * @param {Model} model @param {ForkDialog} fork
 */
export function forkPlan(model, fork) {
  const nodes = model.editors[fork.job_id]?.nodes ?? {};
  /** @type {Record<string, Record<string, any[]>>} */ const vary = {};
  /** @type {[string | null, string | null]} */ const wrong = [null, null];
  let [count, complete] = [1, true];
  fork.axes.forEach(({ key, text }, index) => {
    if (!key) return;
    const [node, name] = JSON.parse(key);
    const input = nodes[node]?.inputs[name];
    if (!input) return;
    const found = valuesOf(input, text);
    wrong[index] = found.wrong;
    if (!found.values.length) complete = false;
    count *= Math.max(1, found.values.length);
    vary[node] = { ...vary[node], [name]: found.values };
  });
  const ready = complete && count <= MOST_FORKS && wrong.every((one) => one === null);
  return { vary, count, wrong, ready };
}
