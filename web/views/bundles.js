// Jobs as files: bringing one in, by a button or by dropping it on the panel; what is otherwise here for one.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { icon } from "./icons.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

const STANDING = ["paused", "failed"]; // states in which somebody may want to resume

/** A button that opens the system's dialog for files. @param {Tools} tools */
export function importButton({ t, actions }) {
  const chosen = (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) => {
    void actions.importFiles([...(input.files ?? [])]);
    input.value = ""; // so that the same file can be chosen again
  };
  return h(
    "label",
    { class: "midrun-button midrun-import", title: t("bundle.importTip") },
    h("input", {
      type: "file",
      class: "midrun-hidden",
      "data-verb": "import",
      accept: ".midrun",
      multiple: true,
      onChange: chosen,
    }),
    icon("load"),
    h("span", null, t("bundle.import")),
  );
}

/** @param {Tools} tools @param {Job} job */
export function exportLink({ t, bundleUrl }, job) {
  return h(
    "a",
    {
      class: "midrun-button midrun-back",
      href: bundleUrl(job.job_id),
      download: "",
      "data-verb": "export",
      "aria-label": t("bundle.export"),
      title: t("bundle.exportTip"),
    },
    icon("save"),
  );
}

/** The job as a page that opens anywhere. @param {Tools} tools @param {Job} job @param {boolean} [small] */
export function reportLink({ t, reportUrl }, job, small = false) {
  return h(
    "a",
    {
      class: `midrun-button${small ? "" : " midrun-back"}`,
      href: reportUrl(job.job_id),
      target: "_blank",
      rel: "noopener",
      "data-verb": "report",
      "aria-label": t("report.open"),
      title: t("report.openTip"),
    },
    icon("report"),
  );
}

/** What makes the panel take files that are dropped on it, before ComfyUI does. @param {Tools} tools */
export function dropping({ actions, dispatch }) {
  const over = (/** @type {boolean} */ on) => dispatch({ type: "tray", over: on });
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  const take = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  return {
    onDragover(/** @type {DragEvent} */ event) {
      if (!hasFiles(event)) return;
      take(event);
      over(true);
    },
    onDragleave(/** @type {DragEvent} */ event, /** @type {Element} */ panel) {
      if (!(event.relatedTarget instanceof Node && panel.contains(event.relatedTarget))) over(false);
    },
    onDrop(/** @type {DragEvent} */ event) {
      if (!hasFiles(event)) return;
      take(event);
      over(false);
      void actions.importFiles([...(event.dataTransfer?.files ?? [])]);
    },
  };
}

/** What is on its way in, or was refused. @param {Tools} tools @param {Model} model */
export function incomingView({ t, dispatch }, model) {
  const { incoming } = model.tray;
  if (incoming === null) return null;
  const { name, refused } = incoming;
  return h(
    "div",
    { class: "midrun-incoming", role: refused === null ? "status" : "alert" },
    h(
      "p",
      { class: `midrun-told${refused === null ? "" : " midrun-alert"}` },
      refused === null ? t("bundle.importing", { name }) : `${name}: ${refused}`,
    ),
    refused !== null &&
      h(
        "button",
        {
          type: "button",
          class: "midrun-button midrun-back",
          "data-verb": "dismiss",
          "aria-label": t("bundle.dismiss"),
          title: t("bundle.dismiss"),
          onClick: () => dispatch({ type: "tray", incoming: null }),
        },
        icon("close"),
      ),
  );
}

/** What is otherwise here than where a job was computed, and what the check of that found. @param {Tools} tools @param {Job} job */
export function differencesView({ t }, job) {
  const { imported } = job;
  if (!imported) return null;
  const { checked, differences } = imported;
  const isWarned = job.warnings.some((one) => one.code === "answers_otherwise"); // with the same numbers
  const told = STANDING.includes(job.state) ? differences : [];
  return [
    told.length > 0 &&
      h(
        "details",
        { key: "differences", class: "midrun-elsewhere", open: true },
        h("summary", null, t("bundle.differences", { n: told.length })),
        h(
          "ul",
          null,
          told.map((one) =>
            h("li", { key: `${one.code} ${one.name}`, "data-difference": one.code }, one.message),
          ),
        ),
        imported.wants_check && h("p", { key: "check", class: "midrun-told" }, t("bundle.willCheck")),
      ),
    checked && !isWarned && h("p", { key: "checked", class: "midrun-told", "data-checked": "" }, sentenceOf(checked)),
  ];

  /** @param {import("../model/types.js").Checked} found */
  function sentenceOf({ evaluation, difference, largest }) {
    if (difference === null) return t("bundle.notChecked");
    if (difference === 0) return t("bundle.checkedSame", { evaluation });
    const told = { evaluation, difference: format.digits(difference) };
    if (largest === null) return t("bundle.checkedAlone", told);
    return t("bundle.checked", { ...told, largest: format.digits(largest) });
  }
}
