// Draws what is mounted, once a frame at most, when the model changed.
import { draw } from "./dom.js";
/** @import { Node_ } from "./dom.js" */
/** @import { StoreOf } from "./store.js" */

// What a handler was drawn with has to be what is known when it is called, so these events draw first what waits.
// Not input and change: a field has a new value then, which is not known yet and would be drawn over.
const USED = ["keydown", "keyup", "click", "submit", "pointerdown", "pointermove", "pointerup", "cancel"];
const HOME = "[data-home]"; // gets the focus of what is gone; no field, where the frontend hears no keys

/**
 * @template M
 * @typedef {{ element: Element, view: (model: M) => Node_[], drawn?: (element: Element) => void }} Mount
 */

/**
 * @template M
 * @param {StoreOf<M, any>} store
 * @param {() => boolean} ready whether there are texts to draw with
 * @param {() => string} language of the texts, for screen readers and fonts; ComfyUI's page always says "en"
 */
export function createScreen(store, ready, language) {
  /** @type {Set<Mount<M>>} */ const mounts = new Set();
  let asked = 0;

  function drawAll() {
    asked = 0;
    if (ready()) for (const mount of mounts) show(mount);
  }

  /** @param {Mount<M>} mount */
  function show(mount) {
    const path = pathOfFocus(mount.element);
    draw(mount.element, mount.view(store.get()));
    if (mount.element.getAttribute("lang") !== language()) mount.element.setAttribute("lang", language());
    refocus(path);
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
    /** @param {Mount<M>} mount @returns {() => void} takes it away */
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

/** @typedef {ReturnType<typeof createScreen>} Screen */

/** What has the focus, and all that it is in, outwards. @param {Element} root @returns {Element[]} */
function pathOfFocus(root) {
  /** @type {Element[]} */ const path = [];
  const { activeElement } = root.ownerDocument;
  if (!root.contains(activeElement)) return path;
  for (let at = activeElement; at !== null && at !== root; at = at.parentElement) path.push(at);
  return [...path, root];
}

/** What had the focus is gone: what is marked nearest to it gets it. @param {Element[]} path */
function refocus(path) {
  const [focused] = path;
  if (!focused || focused.isConnected || focused.ownerDocument.activeElement !== focused.ownerDocument.body)
    return;
  const homes = path
    .filter((one) => one.isConnected)
    .map((one) => (one.matches(HOME) ? one : one.querySelector(HOME)));
  const home = homes.find((one) => one instanceof HTMLElement);
  if (home instanceof HTMLElement) home.focus({ preventScroll: true });
}
