// Looking for the step at which something came into the picture, by halves. Pure functions.

/**
 * @typedef {{ steps: number[], low: number, high: number, before: Finding | null }} Finding  of the steps, in order,
 *   it is not there up to that at `low` (-1: none is known), and it is from that at `high` on; before: the last answer
 */

/** It is in the last of the steps, else nobody would ask. @param {number[]} steps @returns {Finding} */
export const begun = (steps) => ({ steps, low: -1, high: steps.length - 1, before: null });

/** The step at which it came, once that is known. @param {Finding} finding @returns {number | null} */
export const found = ({ steps, low, high }) => (high - low <= 1 ? (steps[high] ?? null) : null);

/** The step to ask about next, in the middle of what is open; null once it is found. @param {Finding} finding */
export const nextStep = (finding) =>
  found(finding) === null ? (finding.steps[(finding.low + finding.high) >> 1] ?? null) : null;

/** Whether an answer for that step tells anything new. @param {Finding} finding @param {number} step */
export function isOpen({ steps, low, high }, step) {
  const at = steps.indexOf(step);
  return low < at && at < high;
}

/** The first and the last step that are open. @param {Finding} finding @returns {[number, number]} */
export const openSteps = ({ steps, low, high }) => [steps[low + 1], steps[high - 1]];

/** @param {Finding} finding @param {number} step @param {boolean} there whether it is there at that step @returns {Finding} */
export function answered(finding, step, there) {
  if (!isOpen(finding, step)) return finding;
  const at = finding.steps.indexOf(step);
  return { ...finding, [there ? "high" : "low"]: at, before: finding };
}

/** How many answers it takes at most, from here. @param {Finding} finding */
export const questionsLeft = ({ low, high }) => Math.ceil(Math.log2(Math.max(1, high - low)));
