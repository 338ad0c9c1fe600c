// What was measured in each step, as a line, with the numbers to take away.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { cursorStep } from "../model/select_cursor.js";
import { QUANTITIES, polyline, series } from "../model/select_chart.js";
import { icon } from "./icons.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

export const BOX = { width: 280, height: 120 };
const DOTS = 40; // with more points the line alone is clearer

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function chartView(tools, model, job) {
  const { t, dispatch, csvUrl } = tools;
  const measured = model.telemetry[job.job_id];
  const points = series(measured ?? [], job.node_id, model.chart);
  const choose = (/** @type {any} */ _, /** @type {HTMLSelectElement} */ select) =>
    dispatch({ type: "chart", name: select.value });
  return h(
    "div",
    { key: "chart", class: "midrun-chart" },
    h(
      "div",
      { class: "midrun-chart-head" },
      h(
        "select",
        { class: "midrun-with", "aria-label": t("chart.what"), value: model.chart, onChange: choose },
        QUANTITIES.map((name) => h("option", { key: name, value: name }, t(`chart.${name}`))),
      ),
      h(
        "a",
        { class: "midrun-csv", href: csvUrl(job.job_id), download: "", title: t("chart.csvTip") },
        icon("save"),
        "CSV",
      ),
    ),
    points.length
      ? drawn(tools, model, job, points)
      : h("p", { class: "midrun-told" }, t(measured ? "chart.none" : "chart.loading")),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job @param {{ step: number, value: number }[]} points */
function drawn({ t, dispatch }, model, job, points) {
  const name = model.chart;
  const { at, first, last, low, high } = polyline(points, BOX.width, BOX.height);
  const shown = (/** @type {number} */ value) => amount(name, value);
  const chosen = at.find((point) => point.step === (cursorStep(model, job, job.node_id) ?? job.step)) ?? at[at.length - 1];
  const pick = (/** @type {number} */ x) => {
    const near = at.reduce((best, point) => (Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best));
    const step = near.step === job.step ? null : near.step;
    dispatch({ type: "cursor", job_id: job.job_id, node_id: job.node_id, step });
  };
  const summary = t("chart.summary", {
    what: t(`chart.${name}`),
    first,
    last,
    low: shown(low),
    high: shown(high),
  });
  return [
    h(
      "div",
      { key: "plot", class: "midrun-plot" },
      h("span", { class: "midrun-high" }, shown(high)),
      low !== high && h("span", { class: "midrun-low" }, shown(low)),
      lines(at, chosen, summary, pick),
    ),
    stepsBelow(t, first, last, chosen.step, shown(chosen.value)),
  ];
}

/** Below a line: where it begins and ends, and between them the value of the step that is looked at. @param {Translate} t @param {number} first @param {number} last @param {number} step @param {string} value */
export const stepsBelow = (t, first, last, step, value) =>
  h(
    "div",
    { key: "steps", class: "midrun-plot-steps" },
    h("span", null, t("step.alone", { step: first })),
    h("strong", null, `${t("step.alone", { step })}: ${value}`),
    h("span", null, last === first ? "" : t("step.alone", { step: last })),
  );

/**
 * @param {{ step: number, x: number, y: number }[]} points @param {{ x: number }} chosen @param {string} summary
 * @param {(x: number) => void} pick
 */
export function lines(points, chosen, summary, pick) {
  return h(
    "svg",
    {
      class: "midrun-lines",
      viewBox: `0 0 ${BOX.width} ${BOX.height}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": summary,
      onClick: (/** @type {PointerEvent} */ event, /** @type {Element} */ element) => {
        const box = element.getBoundingClientRect();
        pick(((event.clientX - box.left) / box.width) * BOX.width);
      },
    },
    h("rect", { class: "midrun-plot-ground", x: 0, y: 0, ...BOX }),
    h("line", { class: "midrun-cursor", x1: chosen.x, x2: chosen.x, y1: 0, y2: BOX.height }),
    h("polyline", {
      class: "midrun-line-drawn",
      points: points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "),
    }),
    points.length <= DOTS &&
      points.map(({ step, x, y }) =>
        h("line", { key: String(step), class: "midrun-point", x1: x, x2: x, y1: y, y2: y }),
      ),
  );
}

/** @param {string} name @param {number} value */
export function amount(name, value) {
  if (name === "memory") return format.size(value);
  if (name === "seconds") return value < 0.1 ? `${format.sigma(value * 1000)} ms` : `${format.sigma(value)} s`;
  return format.sigma(value);
}
