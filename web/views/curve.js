// How far two jobs are apart, over the steps, beside what differs between them.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { polyline } from "../model/select_chart.js";
import { curveOf, viewedStep } from "../model/select_compare.js";
import { BOX, lines, stepsBelow } from "./chart.js";
/** @import { Curve, Model, Viewer } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Viewer} viewer */
export function curveView(tools, model, viewer) {
  const { t, dispatch } = tools;
  const curve = curveOf(model, viewer);
  if (!curve) return null;
  const go = (/** @type {number} */ step) => dispatch({ type: "cursor", job_id: viewer.job_id, node_id: viewer.node_id, step });
  const { first } = curve;
  return h(
    "section",
    { key: "curve", class: "midrun-curve", "aria-label": t("curve.title") },
    h("h3", { title: t("curve.tip") }, t("curve.title")),
    h(
      "p",
      { class: `midrun-told${curve.message === null ? "" : " midrun-alert"}`, role: "status" },
      curve.message ?? sentence(t, curve),
    ),
    curve.points.length > 0 && drawn(t, model, viewer, curve, go),
    first !== null &&
      h(
        "button",
        { key: "go", type: "button", class: "midrun-link", "data-verb": "parting", onClick: () => go(first) },
        t("curve.go", { step: first }),
      ),
  );
}

/** @param {Translate} t @param {Curve} curve */
function sentence(t, { known, first, points }) {
  if (!known) return t("curve.loading");
  if (first !== null) return t("curve.first", { step: first });
  return t(points.length ? "curve.same" : "curve.none");
}

/** @param {Translate} t @param {Model} model @param {Viewer} viewer @param {Curve} curve @param {(step: number) => void} go */
function drawn(t, model, viewer, curve, go) {
  const { at, first, last, low, high } = polyline(curve.points, BOX.width, BOX.height);
  const step = viewedStep(model, viewer);
  const chosen = at.find((point) => point.step === step) ?? at[at.length - 1];
  const pick = (/** @type {number} */ x) =>
    go(at.reduce((best, point) => (Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best)).step);
  const values = { first, last, low: format.digits(low), high: format.digits(high) };
  return [
    h(
      "div",
      { key: "plot", class: "midrun-plot" },
      h("span", { class: "midrun-high" }, values.high),
      low !== high && h("span", { class: "midrun-low" }, values.low),
      lines(at, chosen, t("chart.summary", { what: t("curve.title"), ...values }), pick),
    ),
    stepsBelow(t, first, last, chosen.step, format.digits(chosen.value)),
  ];
}
