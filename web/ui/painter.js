// Strokes of a brush on a canvas above a picture. The canvas keeps what was painted.

const COLOUR = "#22c55e"; // stands out from most pictures

/** @typedef {[number, number]} Point  in pixels of the canvas */
/** @typedef {{ element: HTMLCanvasElement | null }} Painter  element: what is painted on, once there is something */

/** @returns {Painter} */
export const createPainter = () => ({ element: null });

/** The size of the picture below it. @param {Painter} painter @param {HTMLCanvasElement} canvas @param {HTMLImageElement} image */
export function lay(painter, canvas, image) {
  painter.element = canvas;
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
}

/** Where the pointer is. @param {HTMLCanvasElement} canvas @param {PointerEvent} event @returns {Point} */
export function pointOf(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

/** The width of a stroke, in pixels. @param {HTMLCanvasElement} canvas @param {number} brush share of the shorter side */
export const widthOf = (canvas, brush) => Math.max(1, brush * Math.min(canvas.width, canvas.height));

/** @param {HTMLCanvasElement} canvas @param {number} brush share of the shorter side @param {Point} from @param {Point} to */
export function stroke(canvas, brush, from, to) {
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.strokeStyle = COLOUR;
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = widthOf(canvas, brush);
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
}

/** @param {Painter} painter */
export function wipe({ element }) {
  element?.getContext("2d")?.clearRect(0, 0, element.width, element.height);
}

/** What was painted, white on black, as a PNG. @param {Painter} painter @returns {Promise<Blob | null>} */
export async function painting({ element }) {
  if (element === null) return null;
  const whole = new OffscreenCanvas(element.width, element.height);
  const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (whole.getContext("2d"));
  const fill = (/** @type {string} */ colour, /** @type {GlobalCompositeOperation} */ how) => {
    pen.globalCompositeOperation = how;
    pen.fillStyle = colour;
    pen.fillRect(0, 0, whole.width, whole.height);
  };
  pen.drawImage(element, 0, 0);
  fill("#fff", "source-in");
  fill("#000", "destination-over");
  return whole.convertToBlob({ type: "image/png" });
}
