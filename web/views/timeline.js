// The timeline in the bottom panel: left the job's facts, in the middle its steps and branches in time, right its parameters.
import { h } from "../ui/dom.js";
import { focusOf } from "../model/select_cursor.js";
import { shapeOf, showsParams } from "../model/select_shape.js";
import { marksOf, nextMark } from "../model/select_timeline.js";
import { editorView } from "./editor.js";
import { button, noJobs } from "./parts.js";
import { factsView } from "./timeline_facts.js";
import { doingsOf } from "./timeline_input.js";
import { readout, tracksView } from "./timeline_tracks.js";
/** @import { Shape } from "../model/select_shape.js" */
/** @import { Job, Model } from "../model/types.js" */
/** @import { Doings } from "./timeline_input.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model */
export function timelineView(tools, model) {
  const { t } = tools;
  const job = focusOf(model);
  if (job === null) return [noJobs(tools)];
  if (!model.timeline.width) return [h("div", { key: "timeline", class: "midrun-timeline" })]; // not measured yet
  const shape = shapeOf(model, job);
  const does = doingsOf(tools, model, job, shape);
  const { facts, params } = shape.columns;
  return [
    h(
      "div",
      {
        key: "timeline",
        class: "midrun-timeline",
        "data-job": job.job_id,
        vars: { "--midrun-facts": `${facts}px`, "--midrun-params": `${params}px` },
      },
      factsView(tools, model, job),
      h(
        "section",
        { key: "middle", class: "midrun-timeline-middle", "aria-label": t("timeline.title") },
        barView(tools, model, job, shape, does),
        tracksView(tools, model, job, shape, does),
        h("p", { key: "keys", class: "midrun-hidden", id: "midrun-timeline-keys" }, t("timeline.keys")),
      ),
      params > 0 &&
        h(
          "aside",
          { key: "params", class: "midrun-timeline-params midrun-panel", "aria-label": t("tab.parameters") },
          editorView(tools, model, job, "timeline"),
        ),
    ),
  ];
}

/** What is read off at the cursor, and what can be done with the view. @param {Tools} tools @param {Model} model @param {Job} job @param {Shape} shape @param {Doings} does */
function barView(tools, model, job, shape, does) {
  const { t } = tools;
  const { step, span, last } = shape;
  const marks = marksOf(model, job);
  const whole = span.to - span.from >= last;
  const params = showsParams(model, job);
  const [at, ...rest] = [t("step.alone", { step }), ...readout(tools, model, job, step)];
  const push = (
    /** @type {string} */ verb,
    /** @type {string} */ picture,
    /** @type {boolean} */ able,
    /** @type {() => any} */ act,
  ) => button(t(`timeline.${verb}`), picture, able, act, { small: true, verb });
  return h(
    "div",
    { key: "bar", class: "midrun-timeline-bar" },
    h(
      "span",
      { class: "midrun-readout", title: rest.join(" · ") },
      h("strong", null, at),
      rest.map((text) => h("span", null, text)),
    ),
    h(
      "div",
      { class: "midrun-timeline-buttons", role: "toolbar", "aria-label": t("timeline.bar") },
      push("before", "back", nextMark(marks, step, -1) !== null, () => does.mark(-1)),
      push("after", "next", nextMark(marks, step, 1) !== null, () => does.mark(1)),
      push("out", "minus", !whole, () => does.zoom(1 / 2)),
      push("in", "plus", span.to - span.from > 4, () => does.zoom(2)),
      push("fit", "fit", !whole, does.fit),
      h(
        "button",
        {
          key: "params",
          type: "button",
          class: "midrun-button",
          "data-verb": "params",
          "aria-pressed": String(params),
          onClick: () => does.change({ params: !params }),
        },
        t("tab.parameters"),
      ),
    ),
  );
}
