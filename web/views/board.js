// Drafts side by side: tick the good ones, finish them, discard the rest. And the form that makes drafts.
import { h } from "../ui/dom.js";
import { labelOf, onBoardOf, undecidedOf, spent } from "../model/select_board.js";
import { newestPicture } from "../model/select_pictures.js";
import { buttons, dialog } from "./dialog.js";
import { stateMark } from "./icons.js";
import { button, stepText } from "./parts.js";
/** @import { Board, DraftForm, Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Board} board */
export function boardView(tools, model, board) {
  const { t, dispatch } = tools;
  const close = () => dispatch({ type: "boardClosed" });
  const jobs = onBoardOf(model, board);
  const onKeydown = (/** @type {KeyboardEvent} */ event) => key(tools, jobs, event);
  return dialog("board", t("board.title"), close, { onKeydown }, [
    h(
      "div",
      { key: "board", class: "midrun-board" },
      h(
        "header",
        { class: "midrun-board-top" },
        h("h2", null, t("board.title")),
        h("span", { class: "midrun-told", "aria-live": "polite" }, t("board.spent", spent(jobs))),
        button(t("board.close"), "close", true, close, { small: true, verb: "closeBoard" }),
      ),
      board.told && h("p", { key: "told", class: "midrun-told midrun-alert", role: "alert" }, board.told),
      h(
        "div",
        { class: "midrun-tiles", role: "group", "aria-label": t("board.drafts") },
        jobs.map((job, index) => tile(tools, model, board, job, index)),
      ),
      h("p", { class: "midrun-told" }, t("board.keys")),
      footer(tools, board, jobs),
    ),
  ]);
}

/** @param {Tools} tools @param {Model} model @param {Board} board @param {Job} job @param {number} index */
function tile(tools, model, board, job, index) {
  const { t, url, actions, dispatch } = tools;
  const picture = newestPicture(model, job);
  const ticked = board.ticked.includes(job.job_id);
  const number = index < 9 ? String(index + 1) : ""; // the key that ticks it
  return h(
    "div",
    { key: job.job_id, class: "midrun-tile", "data-job": job.job_id, "data-state": job.state },
    h(
      "button",
      {
        type: "button",
        class: "midrun-tick",
        "aria-pressed": String(ticked),
        "data-tile": index,
        ref: index
          ? undefined
          : (/** @type {HTMLElement} */ element) => queueMicrotask(() => element.focus()), // they come later
        "aria-label": [number, t("board.tick", { label: labelOf(job), state: t(`state.${job.state}`) })].join(" "),
        onClick: () => dispatch({ type: "choose", job_id: job.job_id }),
      },
      picture
        ? h("img", { key: picture, src: url(picture), alt: "", draggable: "false" })
        : h("span", { class: "midrun-untold" }, t("picture.none")),
      h("span", { class: "midrun-ticked", "aria-hidden": "true" }, number),
    ),
    h(
      "span",
      { class: "midrun-line" },
      stateMark(tools, job.state),
      h("span", { class: "midrun-step" }, stepText(tools, job)),
    ),
    button(t("board.view"), "open", true, () => actions.view(job.job_id), { small: true, verb: "view" }),
    h("span", { class: "midrun-name", title: labelOf(job) }, labelOf(job)),
  );
}

/** @param {Tools} tools @param {Board} board @param {Job[]} jobs */
function footer({ t, actions, dispatch }, board, jobs) {
  const open = undecidedOf(jobs);
  const steps = Math.max(0, ...jobs.map((job) => job.total_steps ?? 0));
  const reached = Math.max(0, ...open.map((job) => job.step));
  const step = board.step ?? Math.max(1, Math.min(steps ? steps - 1 : reached + 3, reached + 3));
  const n = board.ticked.length;
  const rest = open.filter((job) => !board.ticked.includes(job.job_id)).length;
  return h(
    "footer",
    { class: "midrun-board-buttons" },
    button(t("board.finish", { n }), "play", n > 0, () => actions.goOn(null), {
      primary: true,
      verb: "finish",
    }),
    h(
      "div",
      { class: "midrun-board-step" },
      button(t("board.allTo"), "step", open.length > 0, () => actions.allTo(step), { verb: "allTo" }),
      h("input", {
        type: "number",
        min: 1,
        max: steps || undefined,
        value: step,
        "aria-label": t("board.step"),
        onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) =>
          input.value !== "" && dispatch({ type: "board", step: Number(input.value) }),
      }),
    ),
    button(t("board.discard", { n: rest }), "trash", rest > 0, actions.discardRest, { verb: "discard" }),
  );
}

/** Digits tick, arrows move. @param {Tools} tools @param {Job[]} jobs @param {KeyboardEvent} event */
function key({ dispatch }, jobs, event) {
  const element = /** @type {HTMLElement} */ (event.target);
  if (element instanceof HTMLInputElement) return;
  if (/^[1-9]$/.test(event.key)) {
    const job = jobs[Number(event.key) - 1];
    if (job) dispatch({ type: "choose", job_id: job.job_id });
    return;
  }
  const tiles = [.../** @type {HTMLElement} */ (event.currentTarget).querySelectorAll("[data-tile]")];
  const at = tiles.indexOf(element);
  const next = at < 0 ? -1 : neighbour(tiles, at, event.key);
  if (next < 0) return;
  event.preventDefault();
  /** @type {HTMLElement} */ (tiles[next]).focus();
}

/** The tile that an arrow leads to, or -1. @param {Element[]} tiles @param {number} at @param {string} arrow */
function neighbour(tiles, at, arrow) {
  const top = (/** @type {Element} */ one) => one.getBoundingClientRect().top;
  const first = top(tiles[0]);
  const below = tiles.findIndex((one) => top(one) > first);
  const columns = below < 0 ? tiles.length : below;
  const by = new Map([
    ["ArrowLeft", -1],
    ["ArrowRight", 1],
    ["ArrowUp", -columns],
    ["ArrowDown", columns],
  ]);
  const next = at + (by.get(arrow) ?? NaN);
  return next >= 0 && next < tiles.length ? next : -1;
}

/** @param {Tools} tools @param {Model} _ @param {DraftForm} form */
export function draftFormView({ t, actions, dispatch }, _, form) {
  const close = () => dispatch({ type: "draftFormClosed" });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void actions.draftAsAsked();
  };
  const field = (/** @type {"count" | "step"} */ name, /** @type {number} */ max) =>
    h(
      "label",
      { key: name, class: "midrun-fork-step" },
      h("span", null, t(`draft.${name}`)),
      h("input", {
        type: "number",
        min: 1,
        max,
        step: 1,
        required: true,
        autofocus: name === "count",
        value: form[name],
        "data-field": name,
        onInput: (/** @type {any} */ __, /** @type {HTMLInputElement} */ input) =>
          input.value !== "" && dispatch({ type: "draftForm", [name]: Number(input.value) }),
      }),
    );
  return dialog("draft", t("draft.title"), close, {}, [
    h(
      "form",
      { class: "midrun-form", onSubmit: submit },
      h("h2", null, t("draft.title")),
      h("p", { class: "midrun-told" }, t("draft.what")),
      field("count", 100),
      field("step", 10000),
      form.message !== null &&
        h("p", { key: "told", class: "midrun-told midrun-alert", role: "alert" }, form.message),
      buttons(close, t("draft.cancel"), t("draft.do", { n: form.count }), false, !form.sent),
    ),
  ]);
}
