// The icons, and a state as dot, icon and word.
import { h } from "../ui/dom.js";
/** @import { Tools } from "./tools.js" */

/** 16 by 16, drawn in the colour of the text. @type {Record<string, string>} */
const PATHS = {
  play: "M4.5 2.8v10.4L13 8z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  step: "M3 3l7 5-7 5zM11.5 3h2v10h-2z",
  stop: "M3.5 3.5h9v9h-9z",
  edit: "M11.3 2.3l2.4 2.4-8 8-3.2.8.8-3.2z",
  done: "M2.8 8.6l1.4-1.4 2.6 2.6 5-5.4 1.4 1.3-6.4 7z",
  failed: "M8 1.6L15 14H1zM7.2 6v4h1.6V6zM7.2 11v1.6h1.6V11z",
  wait: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zm0 1.6a4.9 4.9 0 1 1 0 9.8 4.9 4.9 0 0 1 0-9.8zM7.3 4.5h1.4v3.2l2.3 1.4-.7 1.2-3-1.8z",
  idle: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  undo: "M6 3L2 6.5 6 10V7.6h3.2a2.2 2.2 0 0 1 0 4.4H6v1.8h3.2a4 4 0 0 0 0-8H6z",
  trash: "M6 2h4l.5 1H14v1.5H2V3h3.5zM3.5 5.5h9l-.7 8.5H4.2z",
  back: "M10.5 2.5L12 4 8 8l4 4-1.5 1.5L5 8z",
  next: "M5.5 2.5L4 4l4 4-4 4 1.5 1.5L11 8z",
  timeline: "M2 3h12v1.5H2zM2 7h5v2H2zM8.5 7H14v2H8.5zM2 11.5h3V13H2zM6.5 11.5H14V13H6.5z",
  close: "M3.4 2.3L8 6.9l4.6-4.6 1.1 1.1L9.1 8l4.6 4.6-1.1 1.1L8 9.1l-4.6 4.6-1.1-1.1L6.9 8 2.3 3.4z",
  open: "M3 3h4v1.5H4.5v2.5H3zM9 3h4v4h-1.5V4.5H9zM3 9h1.5v2.5H7V13H3zM11.5 9H13v4H9v-1.5h2.5z",
  compare: "M7.3 1.5h1.4v13H7.3zM2 4h4v8H2zm8 0h4v8h-4zm1.4 1.4v5.2h1.2V5.4z",
  plus: "M7.2 3h1.6v4.2H13v1.6H8.8V13H7.2V8.8H3V7.2h4.2z",
  minus: "M3 7.2h10v1.6H3z",
  rewind: "M8 3v10L2.5 8zM13.5 3v10L8 8z",
  fork: "M4 2a2 2 0 0 1 .8 3.8v1.4c0 .7.4 1 1.2 1h4c.8 0 1.2-.3 1.2-1V5.8a2 2 0 1 1 1.6 0v1.6c0 1.5-1 2.4-2.5 2.4H8.8v.4a2 2 0 1 1-1.6 0v-.4H5.7C4.2 9.8 3.2 8.9 3.2 7.4V5.8A2 2 0 0 1 4 2z",
  save: "M7.2 2h1.6v6l2.2-2.2 1.1 1.1L8 11 3.9 6.9 5 5.8 7.2 8zM2.5 12.4h11V14h-11z",
  load: "M7.2 11h1.6V5l2.2 2.2 1.1-1.1L8 2 3.9 6.1 5 7.2 7.2 5zM2.5 12.4h11V14h-11z",
  find: "M6.8 1.8a5 5 0 0 1 4 8l3.6 3.6-1.1 1.1-3.6-3.6a5 5 0 1 1-2.9-9.1zm0 1.6a3.4 3.4 0 1 0 0 6.8 3.4 3.4 0 0 0 0-6.8z",
  report: "M3.5 1.5h6l3 3v10h-9zM5 8h6v1.2H5zm0 2.6h6v1.2H5zM5 5h3v1.2H5z",
  options:
    "M2 4.2h6v1.6H2zM9.5 2.8h1.6v4.4H9.5zM12.5 4.2H14v1.6h-1.5zM2 10.2h1.5v1.6H2zM5 8.8h1.6v4.4H5zM8 10.2h6v1.6H8z",
  fit: "M2.5 3.5h11v9h-11zm1.5 1.5v6h8V5z",
};

/** Each is the same wherever it stands, so that it is drawn once. */
const ICONS = Object.fromEntries(
  Object.entries(PATHS).map(([name, path]) => [
    name,
    h("svg", { class: "midrun-icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, h("path", { d: path })),
  ]),
);

/** @param {string} name */
export const icon = (name) => ICONS[name] ?? ICONS.idle;

/** @type {Record<string, string>} */
const STATE_ICONS = {
  queued: "wait",
  running: "play",
  pausing: "pause",
  paused: "pause",
  completed: "done",
  aborted: "stop",
  failed: "failed",
  idle: "idle",
  elsewhere: "wait",
  nodeDone: "done",
};

/** Dot, icon and word: never colour alone. @param {Tools} tools @param {string} state */
export function stateMark({ t }, state) {
  return h(
    "span",
    { class: "midrun-state", "data-state": state },
    h("span", { class: "midrun-dot", "aria-hidden": "true" }),
    icon(STATE_ICONS[state] ?? "idle"),
    h("span", { class: "midrun-word" }, t(`state.${state}`)),
  );
}
