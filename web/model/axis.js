// The axis of the timeline: steps to pixels and back, zoom, and what fits on it. Step n is the cell from n - 1 to n,
// so that its picture, its values and the cursor lie above each other. Pure functions.

/** @typedef {{ from: number, to: number }} Span  the part of the axis in sight, in steps */

const LEAST = 4; // steps in sight at the least
const NICE = [1, 2, 5];
const FINE = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];

/** @param {number} value @param {number} low @param {number} high */
export const within = (value, low, high) => Math.min(high, Math.max(low, value));

/** What is in sight of so many steps. @param {{ from: number | null, to: number | null }} wanted null: all @param {number} last @returns {Span} */
export function spanOf({ from, to }, last) {
  if (from === null || to === null) return { from: 0, to: Math.max(1, last) };
  const length = within(to - from, Math.min(LEAST, Math.max(1, last)), Math.max(1, last));
  const start = within(from, 0, Math.max(1, last) - length);
  return { from: start, to: start + length };
}

/** @param {Span} span @param {number} width pixels @param {number} at in steps */
export const xOf = ({ from, to }, width, at) => ((at - from) / (to - from)) * width;

/** @param {Span} span @param {number} width @param {number} x */
export const atX = ({ from, to }, width, x) => from + (x / width) * (to - from);

/** The step whose cell is there. @param {Span} span @param {number} width @param {number} x @param {number} last */
export const stepAt = (span, width, x, last) => within(Math.ceil(atX(span, width, x)), 1, Math.max(1, last));

/** Nearer by a factor above 1; what is at `at` stays where it is. @param {Span} span @param {number} last @param {number} factor @param {number} at */
export function zoomed({ from, to }, last, factor, at) {
  const length = within((to - from) / factor, Math.min(LEAST, last), last);
  if (length >= last) return { from: null, to: null };
  const share = (at - from) / (to - from);
  const start = within(at - share * length, 0, last - length);
  return { from: start, to: start + length };
}

/** @param {Span} span @param {number} last @param {number} by steps */
export function moved({ from, to }, last, by) {
  const start = within(from + by, 0, Math.max(0, last - (to - from)));
  return { from: start, to: start + (to - from) };
}

/** As little moved as brings a step into sight, or null where it is. @param {Span} span @param {number} last @param {number} step */
export function bringing(span, last, step) {
  if (step - 1 >= span.from && step <= span.to) return null;
  return moved(span, last, step - 1 < span.from ? step - 1 - span.from : step - span.to);
}

/** The least round number of steps that takes so many pixels: 1, 2, 5, 10 and so on, or a finer one. @param {Span} span @param {number} width @param {number} pixels @param {boolean} [fine] */
export function strideOf({ from, to }, width, pixels, fine = false) {
  const least = (pixels * (to - from)) / Math.max(1, width);
  for (let ten = 1; ; ten *= 10)
    for (const one of fine ? FINE : NICE)
      if (one * ten >= least && Number.isInteger(one * ten)) return one * ten;
}

/** Steps to be numbered. @param {Span} span @param {number} width @returns {number[]} */
export function ticksOf(span, width) {
  const stride = strideOf(span, width, 44);
  const first = Math.floor(span.from / stride) * stride;
  const count = Math.ceil((span.to - first) / stride) + 1;
  return Array.from({ length: count }, (_, index) => first + index * stride).filter(
    (step) => step >= 1 && step - 0.5 >= span.from && step - 0.5 <= span.to,
  );
}

/** @typedef {{ top: number, height: number }} Band  in pixels */

export const ROW = 20; // pixels of a lane

/**
 * What is where below each other, in a height that a panel of 200 pixels leaves, or more.
 * @param {number} height @param {number} lanes
 */
export function bandsOf(height, lanes) {
  const overview = { top: 0, height: 20 };
  const ruler = { top: 20, height: 30 };
  const rest = Math.max(0, height - 50);
  const wanted = lanes * ROW;
  const rows = lanes === 1 ? ROW : Math.min(wanted, Math.max(2 * ROW, Math.floor((rest * 0.34) / ROW) * ROW));
  const film = Math.round(within((rest - rows) * 0.44, 24, 128));
  const curve = Math.max(10, Math.floor((rest - rows - film - 4) / 3));
  const below = ruler.top + ruler.height;
  return {
    overview,
    ruler,
    film: { top: below, height: film },
    lanes: { top: below + film + 2, height: rows },
    curves: [0, 1, 2].map((at) => ({ top: below + film + rows + 4 + at * curve, height: curve })),
  };
}

/** @typedef {ReturnType<typeof bandsOf>} Bands */

export const BAR = 30; // pixels of the row of buttons above the tracks
const LOWEST = 150; // pixels that the tracks take at least

/**
 * Pixels of the columns beside each other: facts, the names of the tracks, the tracks, parameters.
 * @param {number} width of the panel @param {boolean} params whether there are parameters
 */
export function columnsOf(width, params) {
  const facts = Math.round(within(width * 0.22, 200, 340));
  const right = params ? Math.round(within(width * 0.25, 250, 420)) : 0;
  const middle = Math.max(240, width - facts - right);
  const names = middle < 560 ? 96 : 150;
  return { facts, params: right, names, plot: middle - names - 14 };
}

/** @param {number} height of the panel */
export const tracksHeight = (height) => Math.max(LOWEST, height - BAR);
