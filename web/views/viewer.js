// The picture in the whole window: steps, comparison with a draggable divider, zoom, keys.
import { h } from "../ui/dom.js";
import { verbs } from "../model/select.js";
import { comparedJob, comparisonOf } from "../model/select_compare.js";
import { framesOf, newestIndex, shownUrl } from "../model/select_pictures.js";
import { canFork, canRewind, family } from "../model/select_travel.js";
import { isLeftOver } from "../model/reducer_travel.js";
import { differencesView, relatives } from "./compare.js";
import { dialog } from "./dialog.js";
import { icon, stateMark } from "./icons.js";
import { frameLabel, marks } from "./parts.js";
import { relativeName, takeNote, travelButtons } from "./travel.js";
/** @import { Frame } from "../model/select_pictures.js" */
/** @import { Job, Model, Preview, Viewer } from "../model/types.js" */
/** @import { Tools } from "./parts.js" */

const ZOOMS = [0.25, 0.5, 1, 2, 3, 4, 6, 8];

/** @param {Tools} tools @param {Model} model @param {Viewer} viewer */
export function viewerView(tools, model, viewer) {
  const { t, dispatch, actions, url } = tools;
  const job = model.jobs[viewer.job_id];
  const nodeId = viewer.node_id ?? job.node_id;
  const all = framesOf(model, job, nodeId);
  const newest = newestIndex(all, job);
  const found = viewer.step === null ? newest : all.findIndex((frame) => frame.step === viewer.step);
  const at = found < 0 ? newest : found;
  const shown = all[at];
  const change = (/** @type {Partial<Viewer>} */ changed) => dispatch({ type: "viewer", ...changed });
  const close = () => actions.view(null);
  const go = (/** @type {number} */ index) => {
    const to = Math.max(0, Math.min(all.length - 1, index));
    if (all.length) change({ step: to === newest ? null : all[to].step });
  };
  const zoom = (/** @type {number} */ direction) => {
    const now = viewer.zoom || 1;
    const next = direction > 0 ? ZOOMS.find((one) => one > now) : ZOOMS.findLast((one) => one < now);
    change({ zoom: next ?? now });
  };
  const compare = () =>
    change({
      compare:
        viewer.compare !== null
          ? null
          : job.source_url
            ? "source"
            : all.length > 1
              ? all[at > 0 ? 0 : 1].step
              : firstRelative(model, job),
    });
  const goOn = () =>
    verbs(job).pause ? actions.pause(job.job_id) : verbs(job).resume ? actions.resume(job.job_id) : undefined;
  const rewind = () => canRewind(job, shown) && actions.rewind(job.job_id, shown.step, shown.node_id);
  const fork = () => canFork(job, shown) && actions.askToFork(job.job_id, shown.step, shown.node_id);
  /** @type {Record<string, () => any>} */
  const keys = {
    ArrowLeft: () => go(at - 1),
    ArrowRight: () => go(at + 1),
    Home: () => go(0),
    End: () => go(newest),
    " ": goOn,
    c: compare,
    C: compare,
    r: rewind,
    R: rewind,
    f: fork,
    F: fork,
    1: () => change({ zoom: 0 }),
    "+": () => zoom(1),
    "=": () => zoom(1),
    "-": () => zoom(-1),
  };
  const onKeydown = (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const field = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    const act = keys[event.key];
    if (event.key === " " && target instanceof HTMLButtonElement) return; // which it presses
    if (!act || event.ctrlKey || event.metaKey || event.altKey || (field && event.key.length > 1)) return;
    event.preventDefault();
    act();
  };
  const src = shownUrl(model, job, shown, viewer.step !== null);
  const relative = comparedJob(viewer);
  const other =
    viewer.compare === "source"
      ? job.source_url
      : relative !== null
        ? (comparisonOf(model, viewer)?.other ?? null)
        : (all.find((frame) => frame.step === viewer.compare)?.url ?? null);
  const left = shown !== undefined && isLeftOver(job, shown);
  const size = shown?.made ?? all.findLast((frame) => frame.made !== null)?.made;
  const plain = frameLabel(tools, job, shown);
  const label = left ? `${plain} · ${t("travel.leftOver")}` : plain;
  const otherLabel =
    viewer.compare === "source"
      ? t("picture.source")
      : relative !== null
        ? model.jobs[relative]
          ? relativeName(tools, model, model.jobs[relative])
          : ""
        : t("step.alone", { step: Number(viewer.compare ?? 0) });
  return dialog("viewer", t("viewer.title"), close, { onKeydown, tabindex: "-1", "data-state": job.state }, [
    h(
      "div",
      { class: "midrun-viewer-top" },
      stateMark(tools, job.state),
      h("span", { class: "midrun-viewer-label", "aria-live": "polite" }, label),
      travelButtons(tools, model, job, shown, true),
      tool("compare", t("viewer.compare"), compare, viewer.compare !== null),
      viewer.compare !== null && comparison(tools, model, job, all, viewer, change),
      tool("fit", t("viewer.fit"), () => change({ zoom: 0 }), viewer.zoom === 0),
      tool("minus", t("viewer.out"), () => zoom(-1)),
      tool("plus", t("viewer.in"), () => zoom(1)),
      tool("close", t("viewer.close"), close),
    ),
    h(
      "div",
      { key: "middle", class: "midrun-viewer-middle" },
      h(
        "div",
        {
          class: "midrun-viewer-stage",
          "data-zoomed": viewer.zoom ? "" : undefined,
          "data-left-over": left ? "" : undefined,
        },
        src
          ? h(
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
                alt: label,
                draggable: "false",
                onLoad: () => shown?.made === null && actions.previews(job.job_id),
              }),
              other &&
                h("img", {
                  key: "other",
                  class: "midrun-viewer-image midrun-viewer-other",
                  src: url(other),
                  alt: otherLabel,
                  draggable: "false",
                }),
              other && h("span", { key: "name", class: "midrun-viewer-side" }, otherLabel),
              other && divider(tools, viewer, change),
            )
          : h("p", { class: "midrun-empty" }, t("picture.none")),
      ),
      differencesView(tools, model, viewer),
    ),
    takeNote(tools, model, job),
    all.length > 1 && strip(tools, job, all, at, go),
  ]);
}

/** @param {Model} model @param {Job} job @returns {Viewer["compare"]} */
function firstRelative(model, job) {
  const [id] = family(model, job);
  return id === undefined ? null : { job: id };
}

/** Fitted to a window it is enlarged so much that its pixels are better seen as such. @param {Preview | null | undefined} shown */
const isTiny = (shown) => Boolean(shown) && Math.max(shown?.width ?? 0, shown?.height ?? 0) <= 256;

/** @param {string} picture @param {string} label @param {() => any} act @param {boolean} [pressed] */
function tool(picture, label, act, pressed) {
  return h(
    "button",
    {
      key: picture,
      type: "button",
      class: "midrun-button",
      "data-verb": picture,
      "aria-label": label,
      title: label,
      "aria-pressed": pressed === undefined ? undefined : String(pressed),
      onClick: act,
    },
    icon(picture),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Frame[]} all @param {Viewer} viewer @param {(changed: Partial<Viewer>) => void} change */
function comparison(tools, model, job, all, viewer, change) {
  const { t } = tools;
  const relative = comparedJob(viewer);
  const choose = (/** @type {any} */ _, /** @type {HTMLSelectElement} */ { value }) =>
    change({
      compare: value.startsWith("job:")
        ? { job: value.slice(4) }
        : value === "source"
          ? "source"
          : Number(value),
    });
  return h(
    "select",
    {
      key: "with",
      class: "midrun-with",
      "aria-label": t("viewer.with"),
      value: relative === null ? String(viewer.compare) : `job:${relative}`,
      onChange: choose,
    },
    job.source_url && h("option", { key: "source", value: "source" }, t("picture.source")),
    all.map((frame) => {
      const name = t("step.alone", { step: frame.step });
      const left = isLeftOver(job, frame) ? ` · ${t("travel.leftOver")}` : "";
      return h("option", { key: String(frame.step), value: String(frame.step) }, name + left);
    }),
    relatives(tools, model, job),
  );
}

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

/** @param {Tools} tools @param {Job} job @param {Frame[]} all @param {number} at @param {(index: number) => void} go */
function strip({ t, url }, job, all, at, go) {
  const slide = (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) => go(Number(input.value));
  return h(
    "div",
    { class: "midrun-viewer-bottom" },
    h("input", {
      key: "slider",
      type: "range",
      min: 0,
      max: all.length - 1,
      value: at,
      "aria-label": t("picture.slider"),
      "aria-valuetext": t("step.alone", { step: all[at].step }),
      onInput: slide,
    }),
    h("div", { key: "marks", class: "midrun-bar midrun-viewer-marks" }, marks(t, job)),
    h(
      "div",
      { key: "strip", class: "midrun-strip" },
      all.map((frame, index) => {
        const left = isLeftOver(job, frame);
        return h(
          "button",
          {
            key: String(frame.step),
            type: "button",
            class: "midrun-frame",
            "aria-current": index === at ? "true" : undefined,
            "aria-label": t("step.alone", { step: frame.step }),
            "data-left-over": left ? "" : undefined,
            title: left ? t("travel.leftOver") : undefined,
            onClick: () => go(index),
          },
          frame.made && h("img", { src: url(frame.made.url), alt: "", loading: "lazy", draggable: "false" }),
          h("span", null, String(frame.step)),
        );
      }),
    ),
  );
}
