// What stands on the wires where a job is paused before a node: in the panel, and on a Midrun Breakpoint.
import { h } from "../ui/dom.js";
import { wireLines, wirePicture } from "../model/select_wires.js";
import { stateMark } from "./icons.js";
import { foldedButton, stepText, toolbar, whyText } from "./parts.js";
/** @import { Job, Model, WireValue } from "../model/types.js" */
/** @import { Folded } from "./parts.js" */
/** @import { Tools } from "./tools.js" */

export const BREAKPOINT_HEIGHT = 170; // pixels; styles/wires.css divides them

/** @param {Tools} tools @param {Job} job */
export function wiresView(tools, job) {
  if (!job.wires) return null;
  return h(
    "section",
    { key: "wires", class: "midrun-wires", "aria-label": tools.t("wire.title") },
    job.wires.values.map((value, index) => wire(tools, job, value, index + 1)),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job | null} job that is paused here @param {Folded | null} options */
export function breakpointView(tools, model, job, options) {
  const { t } = tools;
  if (job === null)
    return [
      h(
        "div",
        { class: "midrun-at-wire", "data-state": "idle" },
        h("div", { class: "midrun-head" }, stateMark(tools, "idle"), h("span", { class: "midrun-time" }), foldedButton(tools, options)),
        h("div", { class: "midrun-empty" }, t("wire.none")),
      ),
    ];
  const value = job.wires?.values[0];
  return [
    h(
      "div",
      { class: "midrun-at-wire", "data-state": job.state },
      h(
        "div",
        { class: "midrun-head" },
        h("span", { class: "midrun-live", "aria-live": "polite" }, stateMark(tools, job.state)),
        h("span", { class: "midrun-step" }, stepText(tools, job)),
        h("span", { class: "midrun-time" }),
        foldedButton(tools, options),
      ),
      value ? wire(tools, job, value, 1) : h("div", { key: "yet", class: "midrun-empty" }, whyText(t, job)),
      toolbar(tools, model, job),
    ),
  ];
}

/** @param {Tools} tools @param {Job} job @param {WireValue} value @param {number} number from 1 */
function wire({ t, url }, job, value, number) {
  const { name, text, pictured } = value;
  const picture = pictured ? url(wirePicture(job, number)) : null;
  return h(
    "div",
    { key: `wire-${number}`, class: "midrun-wire", "data-wire": name },
    picture && h("img", { key: picture, src: picture, alt: t("wire.alt", { name }), draggable: "false" }),
    h(
      "div",
      { class: "midrun-wire-facts" },
      h("b", null, name),
      wireLines(t, value).map((line, at) => h("span", { key: `line-${at}`, title: line }, line)),
      text !== null && h("q", { key: "text", title: text }, text),
    ),
  );
}
