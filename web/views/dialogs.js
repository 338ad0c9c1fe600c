// What opens above the page because the user asked for it: abort, resume with changes from the canvas.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { titleOf } from "../model/select.js";
import { newestPicture } from "../model/select_pictures.js";
import { boardView, draftFormView } from "./board.js";
import { chooseView } from "./choose.js";
import { forkView } from "./fork.js";
import { moreView } from "./more.js";
import { changesTable, whyText } from "./parts.js";
import { buttons, dialog } from "./dialog.js";
import { ledgerView } from "./ledger.js";
import { viewerView } from "./viewer.js";
/** @import { AbortDialog, CanvasChange, Job, Model } from "../model/types.js" */
/** @import { VNode } from "../ui/dom.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @returns {VNode[]} none when nothing is open */
export function overlaysView(tools, model) {
  const open = [];
  if (model.viewer && model.jobs[model.viewer.job_id]) open.push(viewerView(tools, model, model.viewer));
  if (model.fork && model.jobs[model.fork.job_id]) open.push(forkView(tools, model, model.fork));
  if (model.more && model.jobs[model.more.job_id]) open.push(moreView(tools, model.more));
  if (model.draftForm) open.push(draftFormView(tools, model, model.draftForm));
  if (model.ledger) open.push(ledgerView(tools, model.ledger));
  if (model.board) open.push(boardView(tools, model, model.board));
  if (model.choosing) open.push(chooseView(tools, model, model.choosing));
  if (model.abort && model.jobs[model.abort.job_id]) open.push(abortView(tools, model, model.abort));
  if (model.confirm && model.jobs[model.confirm]) open.push(canvasView(tools, model, model.confirm));
  return open;
}

/** @param {Tools} tools @param {Model} model @param {AbortDialog} abort */
function abortView(tools, model, abort) {
  const { t, actions, dispatch } = tools;
  const job = model.jobs[abort.job_id];
  const close = () => dispatch({ type: "abortDialog", job_id: null });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void actions.abortAsAsked();
  };
  if (abort.sent && job.state === "aborted") return resultView(tools, model, job, close);
  const refused = model.refusals[job.job_id];
  return dialog("abort", t("abort.title"), close, {}, [
    h(
      "form",
      { key: "ask", class: "midrun-form", onSubmit: submit },
      h("h2", null, t("abort.title")),
      h("p", { class: "midrun-told" }, t("abort.which", { name: titleOf(t, model, job), step: job.step })),
      h(
        "fieldset",
        null,
        h("legend", { class: "midrun-hidden" }, t("abort.how")),
        modeChoice(tools, abort, "stop"),
        modeChoice(tools, abort, "finish"),
      ),
      h(
        "label",
        { class: "midrun-reason" },
        h("span", null, t("abort.reason")),
        h("input", {
          type: "text",
          maxlength: 500,
          list: "midrun-reasons",
          autofocus: true,
          value: abort.reason,
          onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) =>
            dispatch({ type: "abort", reason: input.value }),
        }),
      ),
      h(
        "datalist",
        { id: "midrun-reasons" },
        abort.reasons.map((reason) => h("option", { key: reason, value: reason })),
      ),
      abort.reasons.length > 0 && reasonChips(tools, abort.reasons.slice(0, 4)),
      refused && h("p", { class: "midrun-told midrun-alert", role: "alert" }, refused),
      buttons(close, t("abort.keep"), t("abort.do"), true),
    ),
  ]);
}

/** @param {Tools} tools @param {AbortDialog} abort @param {"stop" | "finish"} mode */
function modeChoice({ t, dispatch }, abort, mode) {
  return h(
    "label",
    { key: mode, class: "midrun-choice" },
    h("input", {
      type: "radio",
      name: "midrun-abort",
      value: mode,
      checked: abort.mode === mode,
      onChange: () => dispatch({ type: "abort", mode }),
    }),
    h("span", null, t(`abort.${mode}`)),
  );
}

/** @param {Tools} tools @param {string[]} reasons of earlier aborts */
function reasonChips({ t, dispatch }, reasons) {
  const chip = (/** @type {string} */ reason) =>
    h(
      "button",
      {
        key: reason,
        type: "button",
        class: "midrun-chip",
        title: reason,
        onClick: () => dispatch({ type: "abort", reason }),
      },
      format.short(reason, 28),
    );
  return h(
    "div",
    { class: "midrun-chips", role: "group", "aria-label": t("abort.earlier") },
    reasons.map(chip),
  );
}

/**
 * What is left of a job that was stopped, and where.
 * @param {Tools} tools @param {Model} model @param {Job} job @param {() => void} close
 */
function resultView(tools, model, job, close) {
  const { t, url, latentUrl } = tools;
  const events = model.events[job.job_id] ?? [];
  const kept = events.findLast((event) => event.kind === "kept" || event.kind === "not_kept");
  const picture = newestPicture(model, job);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    close();
  };
  return dialog("abort", t("abort.done"), close, {}, [
    h(
      "form",
      { key: "result", class: "midrun-form", "data-result": "", onSubmit: submit },
      h("h2", null, t("abort.done")),
      h("p", { class: "midrun-told", "aria-live": "polite" }, whyText(t, job)),
      picture && h("img", { class: "midrun-result", src: url(picture), alt: t("picture.alt") }),
      h("p", { class: "midrun-told" }, whereKept(kept)),
      kept?.detail.latent && h("p", { key: "path", class: "midrun-path" }, kept.detail.latent),
      h(
        "div",
        { class: "midrun-dialog-buttons" },
        kept?.detail.latent &&
          h(
            "a",
            { key: "latent", class: "midrun-button", href: latentUrl(job.job_id), download: "" },
            t("abort.latent"),
          ),
        h(
          "button",
          {
            type: "submit",
            class: "midrun-button midrun-primary",
            "data-verb": "close",
            ref: (/** @type {HTMLElement} */ element) => queueMicrotask(() => element.focus()),
          },
          t("abort.close"),
        ),
      ),
    ),
  ]);

  /** @param {any} event */
  function whereKept(event) {
    if (event === undefined) return t("abort.keeping");
    return event.kind === "kept" ? t("abort.keptAt") : t("abort.notKept", { error: event.detail.error });
  }
}

/** @param {Tools} tools @param {Model} model @param {string} id */
function canvasView(tools, model, id) {
  const { t, actions, dispatch } = tools;
  const changes = model.canvas[id] ?? [];
  const close = () => dispatch({ type: "confirm", job_id: null });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void actions.resumeFromCanvas(id);
  };
  const line = (/** @type {CanvasChange} */ change) =>
    h(
      "tr",
      { key: `${change.node_id} ${change.input}` },
      h("td", null, `${change.title} · ${change.input}`),
      h("td", null, h("del", { class: "midrun-before" }, format.short(change.from, 120))),
      h("td", null, format.short(change.to, 120)),
    );
  return dialog("canvas", t("canvas.title"), close, {}, [
    h(
      "form",
      { class: "midrun-form", onSubmit: submit },
      h("h2", null, t("canvas.title")),
      h(
        "div",
        { class: "midrun-scroll", role: "group", "aria-label": t("canvas.to"), tabindex: "0" },
        changesTable([t("canvas.input"), t("canvas.from"), t("canvas.to")], changes.map(line)),
      ),
      h("p", { class: "midrun-told" }, t("canvas.left")),
      buttons(close, t("canvas.cancel"), t("canvas.resume", { n: changes.length }), false),
    ),
  ]);
}
