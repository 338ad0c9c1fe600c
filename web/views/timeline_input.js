// What the pointer and the keys do on the tracks of the timeline.
import { ROW, atX, bringing, moved, spanOf, stepAt, within, zoomed } from "../model/axis.js";
import { lastStep } from "../model/select_cursor.js";
import { firstRelative } from "../model/select_family.js";
import { laneAt, topFor } from "../model/select_shape.js";
import { marksOf, nextMark } from "../model/select_timeline.js";
import { canFork, canRewind } from "../model/select_travel.js";
import { endsRepeat, navigates } from "./keys.js";
/** @import { Shape } from "../model/select_shape.js" */
/** @import { Drag, Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

const NEAR = 4; // pixels that a click may move
const ZOOM = 1.6;
const PAGE = 10; // steps

/** What can be done on the timeline, whether by a button, the pointer or a key. @param {Tools} tools @param {Model} model @param {Job} job @param {Shape} shape */
export function doingsOf(tools, model, job, shape) {
  const { dispatch, actions } = tools;
  const { span, last, step, rows } = shape;
  const id = job.job_id;
  const change = (/** @type {any} */ changed) => dispatch({ type: "timeline", ...changed });
  const release = (/** @type {boolean} */ key) => dispatch({ type: "released", key });
  const frame = { node_id: job.node_id ?? "", step };
  const marks = () => marksOf(model, job);
  const look = (/** @type {number} */ to) => {
    const at = within(Math.round(to), 1, Math.max(1, lastStep(job)));
    const follows = Math.round(to) === job.step || at === job.step || at > lastStep(job); // maybe it has none yet
    dispatch({ type: "cursor", job_id: id, node_id: job.node_id, step: follows ? null : at });
    const brought = bringing(span, last, at);
    if (brought) change(brought);
  };
  const choose = (/** @type {string | undefined} */ other) => {
    if (other === undefined || other === id) return;
    dispatch({ type: "focus", job_id: other });
    change({ top: topFor(shape, other) });
  };
  const lane = (/** @type {number} */ by) => choose(rows[rows.findIndex((one) => one.id === id) + by]?.id);
  const zoom = (/** @type {number} */ factor, at = step - 0.5) => change(zoomed(span, last, factor, at));
  const mark = (/** @type {1 | -1} */ direction) => {
    const found = nextMark(marks(), step, direction);
    if (found !== null) look(found);
  };
  return {
    change,
    release,
    look,
    choose,
    lane,
    zoom,
    mark,
    fit: () => change({ from: null, to: null }),
    view: () => actions.view(id, job.node_id, step === job.step ? null : step),
    compare: (/** @type {string} */ other) =>
      actions.compareWith(id, job.node_id, step === job.step ? null : step, other),
    compareFirst() {
      const other = firstRelative(model, job);
      if (other !== undefined)
        void actions.compareWith(id, job.node_id, step === job.step ? null : step, other);
    },
    goOn: () => actions.pauseOrResume(id),
    rewind: () => canRewind(job, frame) && actions.rewind(id, step, job.node_id),
    fork: () => canFork(job, frame) && actions.askToFork(id, step, job.node_id),
  };
}

/** @typedef {ReturnType<typeof doingsOf>} Doings */

/** @param {Doings} does @param {Job} job @param {number} step @returns {Record<string, () => any>} */
const keysOf = (does, job, step) => ({
  ArrowLeft: () => does.look(step - 1),
  ArrowRight: () => does.look(step + 1),
  PageUp: () => does.look(step + PAGE),
  PageDown: () => does.look(step - PAGE),
  Home: () => does.look(1),
  End: () => does.look(job.step),
  ArrowUp: () => does.lane(-1),
  ArrowDown: () => does.lane(1),
  "[": () => does.mark(-1),
  "]": () => does.mark(1),
  "+": () => does.zoom(ZOOM),
  "=": () => does.zoom(ZOOM),
  "-": () => does.zoom(1 / ZOOM),
  0: does.fit,
  Enter: does.view,
  " ": does.goOn,
  c: does.compareFirst,
  r: does.rewind,
  f: does.fork,
});

/** Whether a key changes nothing but what is looked at. @param {string} key */
export const onlyMoves = (key) => navigates(key) || key === "0";

/** The handlers of the tracks. @param {Model} model @param {Job} job @param {Shape} shape @param {Doings} does */
export function handlersOf(model, job, shape, does) {
  const { drag } = model.timeline;
  const place = (/** @type {MouseEvent} */ event, /** @type {Element} */ element) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  return {
    onPointerdown(/** @type {PointerEvent} */ event, /** @type {HTMLElement} */ element) {
      if (event.button !== 0) return;
      event.preventDefault();
      element.focus({ preventScroll: true });
      element.setPointerCapture(event.pointerId);
      begin(shape, does, place(event, element));
    },
    onPointermove(/** @type {PointerEvent} */ event, /** @type {Element} */ element) {
      const { x } = place(event, element);
      if (drag !== null && drag.kind !== "keys") return drags(shape, does, drag, x);
      const hover = stepAt(shape.span, shape.columns.plot, x, shape.last);
      if (hover !== model.timeline.hover) does.change({ hover });
    },
    onPointerup() {
      if (drag?.kind === "lane" && drag.lane !== undefined && drag.lane !== job.job_id)
        does.compare(drag.lane);
      does.release(false);
    },
    onPointercancel: () => does.release(false),
    onLostpointercapture: () => does.release(false),
    onPointerleave: () => model.timeline.hover !== null && does.change({ hover: null }),
    onDblclick: (/** @type {MouseEvent} */ event, /** @type {Element} */ element) =>
      place(event, element).y < shape.bands.ruler.top && does.fit(),
    onWheel: (/** @type {WheelEvent} */ event, /** @type {Element} */ element) =>
      wheel(shape, does, event, place(event, element)),
    onKeydown(/** @type {KeyboardEvent} */ event) {
      const act = keysOf(does, job, shape.step)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey || endsRepeat(event)) return;
      event.preventDefault();
      event.stopPropagation(); // single letters are commands of the frontend
      if (event.repeat && drag === null) does.change({ drag: { kind: "keys", x: 0, at: 0 } });
      act();
    },
    onKeyup: () => does.release(true),
    onBlur: () => does.release(true), // the key is let go elsewhere
  };
}

/** What a press begins depends on the track. @param {Shape} shape @param {Doings} does @param {{ x: number, y: number }} at */
function begin(shape, does, { x, y }) {
  const { bands, span, columns, last } = shape;
  if (y < bands.ruler.top) {
    const all = spanOf({ from: null, to: null }, last);
    const at = atX(all, columns.plot, x);
    const inside = span.to - span.from < last && at >= span.from && at <= span.to;
    return does.change({ drag: { kind: inside ? "pan" : "range", x, at: inside ? span.from : at } });
  }
  const lane = laneAt(shape, y);
  does.change({ drag: { kind: lane ? "lane" : "scrub", x, at: 0, lane: lane?.id } });
  if (!lane) does.look(stepAt(span, columns.plot, x, last));
}

/** @param {Shape} shape @param {Doings} does @param {Drag} drag @param {number} x */
function drags({ span, columns, last }, does, drag, x) {
  const all = spanOf({ from: null, to: null }, last);
  const by = ((x - drag.x) / columns.plot) * last;
  if (drag.kind === "pan") {
    const to = drag.at + (span.to - span.from);
    return does.change(moved({ from: drag.at, to }, last, by));
  }
  if (drag.kind === "range") {
    if (Math.abs(x - drag.x) < NEAR) return;
    const at = within(atX(all, columns.plot, x), 0, last);
    return does.change(spanOf({ from: Math.min(at, drag.at), to: Math.max(at, drag.at) }, last));
  }
  if (drag.kind === "lane") {
    if (Math.abs(x - drag.x) < NEAR) return;
    does.change({ drag: { ...drag, kind: "scrub" } });
  }
  does.look(stepAt(span, columns.plot, x, last));
}

/** Zooms to where the pointer is; to the side it moves; over lanes that do not all fit it scrolls them. @param {Shape} shape @param {Doings} does @param {WheelEvent} event @param {{ x: number, y: number }} at */
function wheel(shape, does, event, { x, y }) {
  event.preventDefault();
  const { span, columns, last, top } = shape;
  const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
  if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
    const by = (sideways / columns.plot) * (span.to - span.from);
    return span.to - span.from < last ? does.change(moved(span, last, by)) : undefined;
  }
  if (!event.ctrlKey && laneAt(shape, y) && scrolls(shape)) return does.change({ top: top + event.deltaY });
  does.zoom(Math.exp(-event.deltaY / 300), atX(span, columns.plot, x));
}

/** Whether the lanes do not all fit. @param {Shape} shape */
export const scrolls = ({ rows, bands }) => rows.length * ROW > bands.lanes.height;
