// The tracks of the timeline: their names, the film strip, and the cursor above what timeline_paint.js paints.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { remembering } from "../ui/records.js";
import { ROW, xOf } from "../model/axis.js";
import { isLeftOver } from "../model/reducer_travel.js";
import { titleOf } from "../model/select.js";
import { lastStep } from "../model/select_cursor.js";
import { previewsOf } from "../model/select_pictures.js";
import { CURVES, editsOf, marksOf, measuredOf, rangesOf, thumbsOf } from "../model/select_timeline.js";
import { amount } from "./chart.js";
import { button, stepText } from "./parts.js";
import { handlersOf } from "./timeline_input.js";
import { relativeName } from "./travel.js";
/** @import { Shape } from "../model/select_shape.js" */
/** @import { Lane, Thumb } from "../model/select_timeline.js" */
/** @import { Job, Model, Preview } from "../model/types.js" */
/** @import { Doings } from "./timeline_input.js" */
/** @import { Tools } from "./tools.js" */

const TWO_LINES = 32; // pixels of a track that has room for the range of its values, too
const px = (/** @type {number} */ pixels) => `${pixels.toFixed(1)}px`;

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Shape} shape @param {Doings} does */
export function tracksView(tools, model, job, shape, does) {
  return h(
    "div",
    {
      key: "tracks",
      class: "midrun-tracks",
      vars: { "--midrun-names": px(shape.columns.names), "--midrun-tall": px(shape.height) },
    },
    namesView(tools, model, job, shape, does),
    plotView(tools, model, job, shape, does),
  );
}

/** What is to be read off at a step, in words. @param {Tools} tools @param {Model} model @param {Job} job @param {number} step @returns {string[]} */
export function readout({ t }, model, job, step) {
  const one = measuredOf(model, job).get(step);
  const values = CURVES.map((name) => {
    const value = one?.[name];
    return typeof value === "number" ? `${t(`timeline.short.${name}`)} ${amount(name, value)}` : null;
  });
  const marks = marksOf(model, job).filter((mark) => mark.step === step);
  const told = marks.map((mark) => (mark.kind === "edit" ? mark.told : t(`timeline.mark.${mark.kind}`)));
  return [...values, ...told].filter((text) => text !== null);
}

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Shape} shape @param {Doings} does */
function namesView(tools, model, job, shape, does) {
  const { t } = tools;
  const { bands, rows, top, span } = shape;
  const measured = measuredOf(model, job);
  const one = measured.get(shape.step);
  const name = (
    /** @type {string} */ key,
    /** @type {{ top: number, height: number }} */ band,
    /** @type {any[]} */ ...text
  ) =>
    h(
      "div",
      {
        key,
        class: "midrun-track-name",
        vars: { "--midrun-top": px(band.top), "--midrun-high": px(band.height) },
      },
      text,
    );
  const first = Math.max(0, Math.floor(top / ROW));
  const shown = rows.slice(first, Math.ceil((top + bands.lanes.height) / ROW));
  return h(
    "div",
    { key: "names", class: "midrun-track-names" },
    name("ruler", bands.ruler, t("timeline.ruler")),
    name("film", bands.film, t("timeline.film")),
    h(
      "div",
      {
        key: "lanes",
        class: "midrun-lanes",
        role: "group",
        "aria-label": t("timeline.lanes"),
        vars: { "--midrun-top": px(bands.lanes.top), "--midrun-high": px(bands.lanes.height) },
      },
      shown.map((lane, index) => laneName(tools, model, job, lane, (first + index) * ROW - top, does)),
    ),
    CURVES.map((curve, at) => {
      const value = one?.[curve];
      const text = typeof value === "number" ? amount(curve, value) : "–";
      const range = bands.curves[at].height >= TWO_LINES ? rangesOf(measured, span)[at] : null;
      return name(
        curve,
        bands.curves[at],
        h("span", { "data-curve": curve }, t(`timeline.curve.${curve}`)),
        h("strong", null, text),
        range && h("small", null, `${amount(curve, range.low)} – ${amount(curve, range.high)}`),
      );
    }),
  );
}

/** A branch: which one it is, and the way to compare with it. @param {Tools} tools @param {Model} model @param {Job} job @param {Lane} lane @param {number} top @param {Doings} does */
function laneName(tools, model, job, lane, top, does) {
  const { t } = tools;
  const one = model.jobs[lane.id];
  const own = lane.id === job.job_id;
  const full = one.parent ? relativeName(tools, model, one) : titleOf(t, model, one);
  const brief = briefName(tools, model, one);
  const name = full.includes(brief) ? full : `${brief} (${full})`; // what is seen is in what is heard
  return h(
    "div",
    {
      key: lane.id,
      recycle: true,
      class: "midrun-lane",
      "data-job": lane.id,
      "data-state": one.state,
      vars: { "--midrun-top": px(top), "--midrun-depth": String(Math.min(lane.depth, 4)) },
    },
    h(
      "button",
      {
        key: "choose",
        type: "button",
        class: "midrun-lane-name",
        "aria-pressed": String(own),
        "aria-label": t("timeline.choose", { name, state: t(`state.${one.state}`) }),
        title: `${full} · ${stepText(tools, one)}`,
        onClick: () => does.choose(lane.id),
      },
      h("span", { class: "midrun-dot", "aria-hidden": "true" }),
      h("span", { class: "midrun-lane-text" }, brief),
    ),
    !own &&
      button(t("timeline.compare", { name: full }), "compare", true, () => does.compare(lane.id), {
        small: true,
        verb: "compareLane",
      }),
  );
}

/** What tells a branch from its siblings. @param {Tools} tools @param {Model} model @param {Job} job */
function briefName({ t }, model, job) {
  if (!job.parent) return titleOf(t, model, job);
  const { step } = job.parent;
  const own = Object.values(job.varied ?? {}).flatMap((named) => Object.entries(named));
  const what = own.map(([input, value]) => `${input} ${format.short(value, 16)}`);
  const edits = editsOf(job).filter((one) => one.step >= step);
  return what.join(" · ") || edits[0]?.told || t("travel.forkFrom", { step });
}

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Shape} shape @param {Doings} does */
function plotView(tools, model, job, shape, does) {
  const { t } = tools;
  const { columns, step } = shape;
  const told = [t("step.of", { step, total: job.total_steps ?? "?" }), ...readout(tools, model, job, step)];
  return h(
    "div",
    {
      key: "plot",
      class: "midrun-plot-area",
      role: "slider",
      tabindex: "0",
      "data-home": true,
      "data-drag": model.timeline.drag?.kind,
      "aria-label": t("timeline.slider"),
      "aria-valuemin": Math.min(1, step), // 0 while there is none
      "aria-valuemax": Math.max(1, lastStep(job)),
      "aria-valuenow": step,
      "aria-valuetext": told.join(", "),
      "aria-describedby": "midrun-timeline-keys",
      vars: { "--midrun-plot": px(columns.plot) },
      ...handlersOf(model, job, shape, does),
    },
    h("canvas", { key: "canvas", class: "midrun-canvas", "aria-hidden": "true" }),
    filmView(tools, model, job, shape),
    cursorsView(model, shape),
  );
}

/** Where the pointer is, and above it where is looked at. @param {Model} model @param {Shape} shape */
function cursorsView(model, shape) {
  const { span, columns, bands, step } = shape;
  const { hover, drag } = model.timeline;
  const at = (/** @type {number} */ where) => ({
    "--midrun-x": px(xOf(span, columns.plot, where - 1)),
    "--midrun-w": px(Math.max(1, columns.plot / (span.to - span.from))),
    "--midrun-top": px(bands.ruler.top),
    "--midrun-bare": px(bands.film.top + bands.film.height - bands.ruler.top),
  });
  const line = (/** @type {string} */ name, /** @type {number} */ where) =>
    h(
      "div",
      { key: name, class: `midrun-${name}-line`, "data-side": sideOf(shape, where), vars: at(where) },
      h("span", null, String(where)),
    );
  const hovers = hover !== null && drag === null && hover !== step;
  return [hovers && line("hover", hover), step > 0 && line("cursor", step)];
}

/** The label of a cursor near an end lies beside it. @param {Shape} shape @param {number} step */
function sideOf({ span, columns }, step) {
  const x = xOf(span, columns.plot, step - 0.5);
  return x > columns.plot - 20 ? "left" : x < 20 ? "right" : undefined;
}

/** @param {Tools} tools @param {Model} model @param {Job} job @param {Shape} shape */
function filmView({ url }, model, job, { span, columns, bands, last }) {
  const made = previewsOf(model, job.job_id, job.node_id);
  return film(url, made, job, span.from, span.to, columns.plot, bands.film.top, bands.film.height, last);
}

/** The same while only the cursor moves. */
const film = remembering(filmOf);

/** @param {Tools["url"]} url @param {Preview[]} made @param {Job} job @param {number} from @param {number} to @param {number} plot @param {number} top @param {number} height @param {number} end of the axis */
function filmOf(url, made, job, from, to, plot, top, height, end) {
  const span = { from, to };
  const known = made[made.length - 1];
  const ratio = known ? known.width / known.height : 1;
  const wide = height * ratio;
  const thumb = (/** @type {Thumb} */ { slot, first, last, shown }) => {
    const [left, right] = [xOf(span, plot, first - 1), xOf(span, plot, last)];
    const width = Math.min(right - left, wide);
    return h("img", {
      key: String(slot),
      class: "midrun-still",
      src: url(smallUrl(shown)),
      alt: "",
      draggable: "false",
      decoding: "async",
      "data-left-over": isLeftOver(job, shown) ? "" : undefined,
      vars: { "--midrun-x": px((left + right - width) / 2), "--midrun-w": px(Math.max(2, width - 1)) },
    });
  };
  return h(
    "div",
    {
      key: "film",
      class: "midrun-film",
      vars: { "--midrun-top": px(top), "--midrun-high": px(height) },
    },
    thumbsOf(made, span, plot, Math.max(12, wide), end).map(thumb),
  );
}

/** A large picture is asked for small, and one that moves stands still. @param {{ url: string, width: number, height: number, frames?: number }} one */
function smallUrl({ url, width, height, frames = 1 }) {
  const small = Math.max(width, height) > 384 ? "&size=256" : "";
  return `${url}${small}${frames > 1 ? "&still=true" : ""}`;
}
