// Draws what is mounted, once a frame at most, when the model changed. Nothing happens on import.
import { draw } from "./dom.js";

// What a handler was drawn with has to be what is known when it is called, so these events draw first what waits.
// Not input and change: a field has a new value then, which is not known yet and would be drawn over.
const USED = ["keydown", "click", "submit", "pointermove", "cancel"];

/**
 * @typedef {import("./state.js").Model} Model
 * @typedef {{ element: Element, view: (model: Model) => import("./dom.js").Node_[], drawn?: (element: Element) => void }} Mount
 */

/**
 * @param {import("./store.js").Store} store
 * @param {() => boolean} ready whether there are texts to draw with
 */
export function createScreen(store, ready) {
  /** @type {Set<Mount>} */ const mounts = new Set();
  let asked = 0;

  function drawAll() {
    asked = 0;
    if (ready()) for (const mount of mounts) show(mount);
  }

  /** @param {Mount} mount */
  function show(mount) {
    draw(mount.element, mount.view(store.get()));
    mount.drawn?.(mount.element);
  }

  function drawWhatWaits() {
    if (!asked) return;
    cancelAnimationFrame(asked);
    drawAll();
  }

  const screen = {
    refresh() {
      if (!asked && mounts.size) asked = requestAnimationFrame(drawAll);
    },
    /** @param {Mount} mount @returns {() => void} takes it away */
    mount(mount) {
      mounts.add(mount);
      for (const type of USED) mount.element.addEventListener(type, drawWhatWaits, true);
      if (ready()) show(mount);
      return () => {
        mounts.delete(mount);
        for (const type of USED) mount.element.removeEventListener(type, drawWhatWaits, true);
        draw(mount.element, []);
      };
    },
    get size() {
      return mounts.size;
    },
  };
  store.subscribe(screen.refresh);
  return screen;
}
