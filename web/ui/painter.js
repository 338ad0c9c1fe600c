// Strokes of a brush on a canvas above a picture. The canvas keeps what was painted.

const COLOUR = "#22c55e"; // stands out from most pictures

/** @typedef {{ element: HTMLCanvasElement | null, brush: number }} Painter  brush: share of the shorter side */

/** @returns {Painter} */
export const createPainter = () => ({ element: null, brush: 0.08 });

/** The size of the picture below it. @param {Painter} painter @param {HTMLCanvasElement} canvas @param {HTMLImageElement} image */
export function lay(painter, canvas, image) {
  painter.element = canvas;
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
}

/** From where the pointer was to where it is. @param {Painter} painter @param {PointerEvent} event @param {[number, number] | null} from @returns {[number, number]} */
export function stroke({ element, brush }, event, from) {
  const canvas = /** @type {HTMLCanvasElement} */ (element);
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  /** @type {[number, number]} */
  const to = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.strokeStyle = COLOUR;
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = Math.max(1, brush * Math.min(canvas.width, canvas.height));
  pen.beginPath();
  pen.moveTo(...(from ?? to));
  pen.lineTo(...to);
  pen.stroke();
  return to;
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
