// The picture in the viewer: alone, or beside another with a divider that can be dragged.
import { h } from "../ui/dom.js";
import { cursorStep } from "../model/select_cursor.js";
import { shownUrl } from "../model/select_pictures.js";
import { comparedJob, comparisonOf } from "../model/select_compare.js";
import { isLeftOver } from "../model/reducer_travel.js";
import { frameLabel } from "./parts.js";
import { relativeName } from "./travel.js";
/** @import { Frame } from "../model/select_pictures.js" */
/** @import { Job, Model, Preview, Viewer } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** Larger than the window: with the focus, the arrows scroll it. */
const SCROLLS = { "data-zoomed": "", role: "group", tabindex: "0" };

/**
 * @param {Tools} tools @param {Model} model @param {Viewer} viewer @param {Frame[]} all
 * @param {Frame | undefined} shown @param {(changed: Partial<Viewer>) => void} change
 */
export function viewerStage(tools, model, viewer, all, shown, change) {
  const job = model.jobs[viewer.job_id];
  const chosen = cursorStep(model, job, viewer.node_id) !== null;
  const src = withQuality(viewer, shownUrl(model, job, shown, chosen));
  return h(
    "div",
    {
      class: "midrun-viewer-stage",
      ...(viewer.zoom ? { ...SCROLLS, "aria-label": tools.t("viewer.title") } : {}),
      "data-left-over": shown !== undefined && isLeftOver(job, shown) ? "" : undefined,
    },
    src
      ? framed(tools, model, viewer, all, shown, src, change)
      : h("p", { class: "midrun-empty" }, tools.t("picture.none")),
  );
}

/** A step that is looked for is decoded as well as can be. @param {Viewer} viewer @param {string | null} src */
function withQuality({ find }, src) {
  return src && find?.full ? `${src.split("&v=")[0]}&quality=full` : src;
}

/** What the picture shows, in words. @param {Tools} tools @param {Job} job @param {Frame | undefined} shown */
export function viewerLabel(tools, job, shown) {
  const label = frameLabel(tools, job, shown);
  return shown !== undefined && isLeftOver(job, shown) ? `${label} · ${tools.t("travel.leftOver")}` : label;
}

/**
 * @param {Tools} tools @param {Model} model @param {Viewer} viewer @param {Frame[]} all
 * @param {Frame | undefined} shown @param {string} src @param {(changed: Partial<Viewer>) => void} change
 */
function framed(tools, model, viewer, all, shown, src, change) {
  const { actions, url } = tools;
  const job = model.jobs[viewer.job_id];
  const size = shown?.made ?? all.findLast((frame) => frame.made !== null)?.made;
  return h(
    "div",
    {
      class: "midrun-viewer-frame",
      "data-crisp": viewer.zoom > 1 || (!viewer.zoom && isTiny(size)) ? "" : undefined,
      vars: {
        "--midrun-split": String(viewer.split),
        "--midrun-width": viewer.zoom ? `${(size?.width ?? 512) * viewer.zoom}px` : "auto",
        "--midrun-ratio": size ? `${size.width} / ${size.height}` : "1",
      },
    },
    h("img", {
      key: "shown",
      class: "midrun-viewer-image",
      src: url(src),
      alt: viewerLabel(tools, job, shown),
      draggable: "false",
      onError: () => viewer.find?.full && change({ find: { ...viewer.find, full: false } }),
      onLoad: () => shown?.made === null && actions.previews(job.job_id),
    }),
    beside(tools, model, viewer, all, shown, change),
  );
}

/** The other picture, the names of both and the divider. @param {Tools} tools @param {Model} model @param {Viewer} viewer @param {Frame[]} all @param {Frame | undefined} shown @param {(changed: Partial<Viewer>) => void} change */
function beside(tools, model, viewer, all, shown, change) {
  const { src, label } = other(tools, model, viewer, all);
  if (!src) return null;
  const own = comparedJob(viewer) === null ? tools.t("step.alone", { step: shown?.step ?? 0 }) : tools.t("compare.this");
  return [
    h("img", {
      key: "other",
      class: "midrun-viewer-image midrun-viewer-other",
      src: tools.url(src),
      alt: label,
      draggable: "false",
    }),
    side("left", label),
    side("right", own),
    divider(tools, viewer, change),
  ];
}

/** The name of a picture, which is seen as far as the picture is. @param {"left" | "right"} at @param {string} name */
const side = (at, name) =>
  h("div", { key: at, class: "midrun-viewer-side", "data-side": at }, h("span", null, name));

/**
 * What the picture is compared with: the source, another job's step, or a step of this one.
 * @param {Tools} tools @param {Model} model @param {Viewer} viewer @param {Frame[]} all
 * @returns {{ src: string | null, label: string }}
 */
function other(tools, model, viewer, all) {
  const { t } = tools;
  const { compare, job_id } = viewer;
  if (compare === "source") return { src: model.jobs[job_id].source_url, label: t("picture.source") };
  const id = comparedJob(viewer);
  if (id !== null) {
    const job = model.jobs[id];
    return {
      src: comparisonOf(model, viewer)?.other ?? null,
      label: job ? relativeName(tools, model, job) : "",
    };
  }
  return {
    src: all.find((frame) => frame.step === compare)?.url ?? null,
    label: t("step.alone", { step: Number(compare ?? 0) }),
  };
}

/** Fitted to a window it is enlarged so much that its pixels are better seen as such. @param {Preview | null | undefined} shown */
const isTiny = (shown) => Boolean(shown) && Math.max(shown?.width ?? 0, shown?.height ?? 0) <= 256;

/** @param {Tools} tools @param {Viewer} viewer @param {(changed: Partial<Viewer>) => void} change */
function divider({ t }, viewer, change) {
  const within = (/** @type {number} */ split) => change({ split: Math.min(1, Math.max(0, split)) });
  const move = (/** @type {PointerEvent} */ event, /** @type {HTMLElement} */ element) => {
    if (!element.hasPointerCapture(event.pointerId)) return;
    const frame = element.parentElement?.getBoundingClientRect();
    if (frame) within((event.clientX - frame.left) / frame.width);
  };
  return h("div", {
    key: "divider",
    class: "midrun-divider",
    role: "slider",
    tabindex: "0",
    "aria-label": t("viewer.divider"),
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": Math.round(viewer.split * 100),
    onPointerdown: (/** @type {PointerEvent} */ event, /** @type {HTMLElement} */ element) => {
      event.preventDefault();
      element.focus();
      element.setPointerCapture(event.pointerId);
    },
    onPointermove: move,
    onKeydown: (/** @type {KeyboardEvent} */ event) => {
      const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      within(viewer.split + by);
    },
  });
}
