// The marks of the timeline as they are painted: each has a shape of its own, not a colour alone.
/** @import { MarkKind } from "../model/select_timeline.js" */

/**
 * @typedef {Record<
 *   "fg" | "muted" | "line" | "grid" | "ground" | "running" | "paused" | "failed" | "quiet" | "sigma" | "change" | "seconds", string
 * >} Ink  colours
 */

/** @type {Record<MarkKind, (pen: CanvasRenderingContext2D, ink: Ink) => void>} */
const SHAPES = {
  edit(pen, ink) {
    pen.fillStyle = ink.fg;
    outline(pen, [0, -4.5], [4.5, 0], [0, 4.5], [-4.5, 0]);
    pen.fill();
  },
  stop(pen, ink) {
    pen.fillStyle = ink.failed;
    pen.beginPath();
    pen.arc(0, 0, 4, 0, 2 * Math.PI);
    pen.fill();
  },
  log(pen, ink) {
    pen.strokeStyle = ink.failed;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(0, 0, 3.2, 0, 2 * Math.PI);
    pen.stroke();
  },
  pause(pen, ink) {
    pen.fillStyle = ink.paused;
    pen.fillRect(-3.5, -4, 2.5, 8);
    pen.fillRect(1, -4, 2.5, 8);
  },
  segment(pen, ink) {
    pen.strokeStyle = ink.fg;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(3, -4);
    pen.lineTo(-1, -4);
    pen.lineTo(-1, 4);
    pen.lineTo(3, 4);
    pen.stroke();
  },
  rewind(pen, ink) {
    pen.fillStyle = ink.muted;
    outline(pen, [4, -4], [4, 4], [-3, 0]);
    pen.fill();
  },
  fork(pen, ink) {
    pen.strokeStyle = ink.fg;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(-3, -4);
    pen.lineTo(-3, 1);
    pen.quadraticCurveTo(-3, 4, 3.5, 4);
    pen.stroke();
  },
};

/** @param {CanvasRenderingContext2D} pen @param {MarkKind} kind @param {number} x @param {number} y @param {Ink} ink */
export function paintMark(pen, kind, x, y, ink) {
  pen.save();
  pen.translate(x, y);
  SHAPES[kind](pen, ink);
  pen.restore();
}

/** @param {CanvasRenderingContext2D} pen @param {[number, number][]} corners */
function outline(pen, ...corners) {
  pen.beginPath();
  for (const [x, y] of corners) pen.lineTo(x, y);
  pen.closePath();
}
