// The picture in the whole window: steps, comparison, zoom, keys.
import { h } from "../ui/dom.js";
import { cursorStep } from "../model/select_cursor.js";
import { chosenFrame } from "../model/select_pictures.js";
import { comparedJob } from "../model/select_compare.js";
import { family } from "../model/select_family.js";
import { canFork, canRewind } from "../model/select_travel.js";
import { isLeftOver } from "../model/reducer_travel.js";
import { differencesView, relatives } from "./compare.js";
import { dialog } from "./dialog.js";
import { finderView, findings, keysOfFinder } from "./finder.js";
import { icon, stateMark } from "./icons.js";
import { endsRepeat } from "./keys.js";
import { marks } from "./parts.js";
import { takeNote, travelButtons } from "./travel.js";
import { viewerLabel, viewerStage } from "./viewer_stage.js";
/** @import { Frame } from "../model/select_pictures.js" */
/** @import { Job, Model, Viewer } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

const ZOOMS = [0.25, 0.5, 1, 2, 3, 4, 6, 8];

/** @param {Tools} tools @param {Model} model @param {Viewer} viewer */
export function viewerView(tools, model, viewer) {
  const { t } = tools;
  const job = model.jobs[viewer.job_id];
  const step = cursorStep(model, job, viewer.node_id);
  const frames = chosenFrame(model, job, viewer.node_id ?? job.node_id, step);
  const { all, at, shown } = frames;
  const does = doings(tools, model, job, viewer, frames);
  const onKeydown = (/** @type {KeyboardEvent} */ event) => press(event, keysOf(viewer, does, at));
  return dialog(
    "viewer",
    t("viewer.title"),
    does.close,
    { onKeydown, tabindex: "-1", "data-state": job.state },
    [
      h(
        "div",
        { class: "midrun-viewer-top" },
        stateMark(tools, job.state),
        h("span", { class: "midrun-viewer-label", "aria-live": "polite" }, viewerLabel(tools, job, shown)),
        travelButtons(tools, model, job, shown, true),
        tool("compare", t("viewer.compare"), does.compare, viewer.compare !== null),
        tool("find", t("find.open"), does.find.begin, viewer.find !== null, does.find.possible),
        viewer.compare !== null && comparison(tools, model, job, all, viewer, does.change),
        tool("fit", t("viewer.fit"), does.fit, viewer.zoom === 0),
        tool("minus", t("viewer.out"), () => does.zoom(-1)),
        tool("plus", t("viewer.in"), () => does.zoom(1)),
        tool("close", t("viewer.close"), does.close),
      ),
      finderView(tools, viewer, shown, does.find),
      h(
        "div",
        { key: "middle", class: "midrun-viewer-middle" },
        viewerStage(tools, model, viewer, all, shown, does.change),
        differencesView(tools, model, viewer),
      ),
      takeNote(tools, model, job),
      all.length > 1 && strip(tools, job, all, at, does.go),
    ],
  );
}

/** @typedef {ReturnType<typeof doings>} Doings */

/**
 * What can be done in the viewer, whether by a button or by a key.
 * @param {Tools} tools @param {Model} model @param {Job} job @param {Viewer} viewer
 * @param {ReturnType<typeof chosenFrame>} frames
 */
function doings(tools, model, job, viewer, frames) {
  const { dispatch, actions } = tools;
  const { all, newest, at, shown } = frames;
  const id = job.job_id;
  const change = (/** @type {Partial<Viewer>} */ changed) => dispatch({ type: "viewer", ...changed });
  const lookAt = (/** @type {number | null} */ step) =>
    dispatch({ type: "cursor", job_id: id, node_id: viewer.node_id, step });
  return {
    change,
    close: () => actions.view(null),
    go(/** @type {number} */ index) {
      const to = Math.max(0, Math.min(all.length - 1, index));
      if (all.length) lookAt(to === newest ? null : all[to].step);
    },
    end: () => lookAt(null),
    fit: () => change({ zoom: 0 }),
    zoom(/** @type {number} */ direction) {
      const now = viewer.zoom || 1;
      const next = direction > 0 ? ZOOMS.find((one) => one > now) : ZOOMS.findLast((one) => one < now);
      change({ zoom: next ?? now });
    },
    compare: () => change({ compare: viewer.compare === null ? firstComparison(model, job, all, at) : null }),
    goOn: () => actions.pauseOrResume(id),
    rewind: () => shown && canRewind(job, shown) && actions.rewind(id, shown.step, shown.node_id),
    fork: () => shown && canFork(job, shown) && actions.askToFork(id, shown.step, shown.node_id),
    find: findings(tools, job, viewer, frames, { change, lookAt }),
  };
}

/** @param {Viewer} viewer @param {Doings} does @param {number} at @returns {Record<string, () => any>} */
const keysOf = (viewer, does, at) => ({
  ArrowLeft: () => does.go(at - 1),
  ArrowRight: () => does.go(at + 1),
  Home: () => does.go(0),
  End: does.end,
  " ": does.goOn,
  c: does.compare,
  r: does.rewind,
  f: does.fork,
  b: does.find.begin,
  1: does.fit,
  "+": () => does.zoom(1),
  "=": () => does.zoom(1),
  "-": () => does.zoom(-1),
  ...(viewer.find ? keysOfFinder(does.find) : {}),
});

/** @param {KeyboardEvent} event @param {Record<string, () => any>} keys */
function press(event, keys) {
  const target = /** @type {HTMLElement} */ (event.target);
  const field = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
  const scrolls = target.matches("[data-zoomed]") && /^(Arrow|Home$|End$)/.test(event.key);
  const its = scrolls || (field && event.key.length > 1 && event.key !== "Escape");
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (event.key === " " && target instanceof HTMLButtonElement) return; // which it presses
  if (!act || event.ctrlKey || event.metaKey || event.altKey || its || endsRepeat(event)) return;
  event.preventDefault();
  act();
}

/** What the picture is compared with first. @param {Model} model @param {Job} job @param {Frame[]} all @param {number} at @returns {Viewer["compare"]} */
function firstComparison(model, job, all, at) {
  if (job.source_url) return "source";
  if (all.length > 1) return all[at > 0 ? 0 : 1].step;
  const [id] = family(model, job);
  return id === undefined ? null : { job: id };
}

/** @param {string} picture @param {string} label @param {() => any} act @param {boolean} [pressed] @param {boolean} [enabled] */
function tool(picture, label, act, pressed, enabled = true) {
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
      "aria-disabled": enabled ? undefined : "true",
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
