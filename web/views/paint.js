// A mask that is painted on a picture, by mouse or by keyboard.
import { choicePicture } from "../model/select_choice.js";
import { h } from "../ui/dom.js";
import { createPainter, lay, painting, pointOf, stroke, widthOf, wipe } from "../ui/painter.js";
import { button } from "./parts.js";
/** @import { Choosing, Job } from "../model/types.js" */
/** @import { Point } from "../ui/painter.js" */
/** @import { Tools } from "./tools.js" */

const SMALLEST = 0.01; // brush, as a share of the shorter side
const LARGEST = 0.4;
/** @type {Record<string, Point>} */
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** @type {Record<string, number>} */
const SIZES = { "+": 1.25, "=": 1.25, "-": 0.8 };

const painter = createPainter();

/** What was painted on another is gone. */
export const forgetMask = () => void (painter.element = null);

/** @param {Choosing} choosing @returns {Promise<Blob | null>} */
export const paintedMask = async ({ painted }) => (painted ? painting(painter) : null);

/** The picture with what is painted on it. @param {Tools} tools @param {Job} job @param {Choosing} choosing @param {number} number */
export function paintView({ t, url, dispatch }, job, choosing, number) {
  const [x, y] = choosing.cursor;
  return h(
    "div",
    { key: `paint-${number}`, class: "midrun-paint" },
    h("img", {
      src: url(choicePicture(job, number)),
      alt: t("choose.tick", { number, count: job.choice?.count ?? number }),
      draggable: "false",
    }),
    h("canvas", {
      class: "midrun-mask",
      role: "application",
      tabindex: "0",
      "aria-label": t("choose.mask"),
      "aria-describedby": "midrun-brush-keys midrun-brush-at",
      ref: (/** @type {HTMLElement} */ element) => queueMicrotask(() => element.focus()),
      ...byMouse(dispatch, choosing),
      onKeydown: (/** @type {KeyboardEvent} */ event, /** @type {HTMLCanvasElement} */ canvas) =>
        press(dispatch, choosing, event, canvas),
    }),
    h("span", { class: "midrun-brush", "aria-hidden": "true", vars: brushVars(choosing) }),
    h(
      "span",
      { id: "midrun-brush-at", class: "midrun-hidden", role: "status" },
      t("choose.at", { x: Math.round(x * 100), y: Math.round(y * 100) }),
    ),
  );
}

/** The brush, and how to be rid of the mask. @param {Tools} tools @param {Choosing} choosing */
export function paintTools({ t, dispatch }, { brush, painted }) {
  const done = () => {
    wipe(painter);
    dispatch({ type: "choosing", painting: null, painted: false });
  };
  return [
    h(
      "label",
      { key: "brush", class: "midrun-board-step" },
      h("span", null, t("choose.brush")),
      h("input", {
        type: "range",
        min: SMALLEST * 100,
        max: LARGEST * 100,
        value: Math.round(brush * 100),
        onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) =>
          dispatch({ type: "choosing", brush: Number(input.value) / 100 }),
      }),
    ),
    button(t("choose.wipe"), "trash", painted, done, { verb: "wipe" }),
  ];
}

/** @param {Tools["dispatch"]} dispatch @param {Choosing} choosing */
function byMouse(dispatch, choosing) {
  /** @type {Point | null} */ let at = null;
  const paint = (/** @type {PointerEvent} */ event, /** @type {HTMLCanvasElement} */ canvas) => {
    if (!isReady(canvas)) return;
    const to = pointOf(canvas, event);
    stroke(canvas, choosing.brush, at ?? to, to);
    at = to;
    if (!choosing.painted) dispatch({ type: "choosing", painted: true });
  };
  return {
    onPointerdown: (/** @type {PointerEvent} */ event, /** @type {HTMLCanvasElement} */ canvas) => {
      canvas.setPointerCapture(event.pointerId);
      at = null;
      paint(event, canvas);
    },
    onPointermove: (/** @type {PointerEvent} */ event, /** @type {HTMLCanvasElement} */ canvas) => {
      if (event.buttons & 1) paint(event, canvas);
      else at = null;
    },
  };
}

/** Arrows move the brush, with Shift they draw; Space paints where it is; plus and minus are its size. @param {Tools["dispatch"]} dispatch @param {Choosing} choosing @param {KeyboardEvent} event @param {HTMLCanvasElement} canvas */
function press(dispatch, { brush, cursor, painted }, event, canvas) {
  const move = MOVES[event.key];
  const size = SIZES[event.key];
  if (!(move || size || event.key === " ") || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (!isReady(canvas)) return;
  if (size) {
    const next = Math.min(LARGEST, Math.max(SMALLEST, brush * size));
    return dispatch({ type: "choosing", brush: next });
  }
  const to = move ? moved(canvas, brush, cursor, move) : cursor;
  const paints = !move || event.shiftKey;
  if (paints) stroke(canvas, brush, onCanvas(canvas, cursor), onCanvas(canvas, to));
  dispatch({ type: "choosing", cursor: to, painted: painted || paints });
}

/** By half the width of the brush, so that marks touch. @param {HTMLCanvasElement} canvas @param {number} brush @param {Point} from shares of the picture @param {Point} move @returns {Point} */
function moved(canvas, brush, from, move) {
  const by = widthOf(canvas, brush) / 2;
  const within = (/** @type {number} */ share) => Math.min(1, Math.max(0, share));
  return [within(from[0] + (move[0] * by) / canvas.width), within(from[1] + (move[1] * by) / canvas.height)];
}

/** @param {HTMLCanvasElement} canvas @param {Point} shares @returns {Point} */
const onCanvas = (canvas, [x, y]) => [x * canvas.width, y * canvas.height];

/** Whether the picture is there; then the canvas has its size. @param {HTMLCanvasElement} canvas */
function isReady(canvas) {
  const image = /** @type {HTMLImageElement} */ (canvas.previousElementSibling);
  if (image.naturalWidth === 0) return false;
  if (painter.element !== canvas) lay(painter, canvas, image);
  return true;
}

/** Where the brush is and how large, as shares of the picture's width and height. @param {Choosing} choosing */
function brushVars({ cursor: [x, y], brush }) {
  const { width, height } = painter.element ?? { width: 1, height: 1 };
  const size = (brush * Math.min(width, height)) / width;
  return { "--midrun-x": String(x), "--midrun-y": String(y), "--midrun-size": String(size) };
}
