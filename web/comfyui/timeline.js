// The tab in the frontend's bottom panel: what it registers, how large it is, and when its canvas is painted anew.
import { focusOf } from "../model/select_cursor.js";
import { shapeOf } from "../model/select_shape.js";
import { timelineView } from "../views/timeline.js";
import { onlyMoves } from "../views/timeline_input.js";
import { paintTimeline } from "../views/timeline_paint.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Ink } from "../views/timeline_marks.js" */
/** @import { Tools } from "../views/tools.js" */
/** @import { Screen } from "../ui/screen.js" */
/** @import { Page } from "./page.js" */

export const TAB = "midrun";
const INKS = [
  "fg",
  "muted",
  "line",
  "grid",
  "ground",
  "running",
  "paused",
  "failed",
  "quiet",
  "sigma",
  "change",
  "seconds",
];

/** @param {Page} page @param {Store} store @param {Screen} screen @param {Tools} tools */
export function createTimeline(page, store, screen, tools) {
  /** @type {(() => void) | null} */ let hide = null;
  /** @type {any[]} */ let painted = []; // of what
  /** @type {Ink | null} */ let ink = null; // null: to be asked for

  /** What moves with the cursor is not on the canvas. @param {Element} host */
  function drawn(host) {
    const canvas = host.querySelector("canvas");
    const model = store.get();
    const job = focusOf(model);
    if (!(canvas instanceof HTMLCanvasElement) || job === null) return;
    const { jobs, telemetry, events, timeline } = model;
    const { from, to, top, width, height, params } = timeline;
    const scale = globalThis.devicePixelRatio || 1;
    const shape = shapeOf(model, job);
    const of = [canvas, jobs, telemetry, events, job, from, to, top, width, height, params, scale];
    of.push(shape.columns.plot);
    if (of.length === painted.length && of.every((one, at) => one === painted[at])) return;
    painted = of;
    ink ??= inkOf(canvas);
    paintTimeline(canvas, model, job, shape, ink, scale);
    if (!ink.fg) ink = null; // the style is not there yet
  }

  /** LiteGraph paints its whole canvas anew for any key that is let go on the page: it is not told of those that move the cursor. @param {KeyboardEvent} event */
  function letGo(event) {
    const { key, target } = event;
    if (!onlyMoves(key) || !(target instanceof Element && target.matches(".midrun-plot-area"))) return;
    event.stopPropagation();
    store.dispatch({ type: "released", key: true });
  }

  /** May be called again with another element. @param {HTMLElement} element */
  function render(element) {
    hide?.();
    page.needTexts(screen.refresh);
    element.classList.add("midrun-slot");
    const host = element.appendChild(document.createElement("div"));
    host.className = "midrun-timeline-root";
    host.dataset.captureWheel = "true";
    const observer = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = host;
      const known = store.get().timeline;
      if (width && (width !== known.width || height !== known.height))
        store.dispatch({ type: "timeline", width, height });
    });
    observer.observe(host);
    globalThis.addEventListener("keyup", letGo, true);
    const unmount = screen.mount({ element: host, view: () => timelineView(tools, store.get()), drawn });
    ink = null;
    const forget = page.onPalette(() => {
      [painted, ink] = [[], null];
      screen.refresh();
    });
    store.dispatch({ type: "timeline", shown: true });
    hide = () => {
      hide = null;
      observer.disconnect();
      globalThis.removeEventListener("keyup", letGo, true);
      forget();
      unmount();
      host.remove();
      store.dispatch({ type: "timeline", shown: false, drag: null, hover: null });
    };
  }

  return { id: TAB, title: "Midrun", type: "custom", render, destroy: () => hide?.() };
}

/** The colours as they are now. Not to be asked often: the page's style is computed for it. @param {Element} element @returns {Ink} */
function inkOf(element) {
  const style = getComputedStyle(element);
  return /** @type {Ink} */ (
    Object.fromEntries(INKS.map((name) => [name, style.getPropertyValue(`--midrun-ink-${name}`)]))
  );
}
