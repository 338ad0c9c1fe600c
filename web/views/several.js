// Above the list: the queue as a whole, jobs that a dead server left, and what is done to the selected ones.
import { h } from "../ui/dom.js";
import { filtered } from "../model/select.js";
import { newestDrafts } from "../model/select_board.js";
import { choicesLeft } from "../model/select_choice.js";
import { deletable, everySelected } from "../model/select_several.js";
import { button, really } from "./parts.js";
/** @import { Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model */
export function severalView(tools, model) {
  const { told, interrupted } = model.several;
  return [
    h("div", { key: "queue", class: "midrun-several" }, queueButtons(tools, model)),
    interrupted > 1 && interruptedView(tools, model),
    model.several.selected && selectionView(tools, model, model.several.selected),
    told && h("p", { key: "told", class: "midrun-several midrun-alert", role: "alert" }, sentenceOf(tools, told)),
  ];
}

/** @param {Tools} tools @param {{ n: number, of: number, why: string }} told */
const sentenceOf = ({ t }, told) => (told.n ? t("several.refused", told) : told.why);

/** @param {Tools} tools @param {Model} model */
function queueButtons(tools, model) {
  const { t, actions, dispatch } = tools;
  const { paused, asked, selected } = model.several;
  const [drafts, choices] = [newestDrafts(model), choicesLeft(model)];
  const [label, picture, act] = paused
    ? /** @type {const} */ ([t("several.resumeAll"), "play", actions.resumeAll])
    : /** @type {const} */ ([t("several.pauseAll"), "pause", actions.pauseAll]);
  return [
    button(label, picture, asked === null, act, { verb: paused ? "resumeAll" : "pauseAll" }),
    paused && h("span", { class: "midrun-several-word", role: "status" }, t("several.paused")),
    choices > 0 &&
      button(t("choose.open", { n: choices }), "done", true, actions.openNextChoice, { verb: "openChoice" }),
    drafts &&
      button(t("board.open", { n: drafts.n }), "compare", true, () => actions.openBoard(drafts.grid ?? ""), {
        verb: "board",
      }),
    button(t(selected ? "several.done" : "several.select"), selected ? "close" : "done", true, () =>
      dispatch({ type: "several", selected: selected ? null : [], sure: null, told: null }),
      { verb: "select" },
    ),
  ];
}

/** @param {Tools} tools @param {Model} model */
const interruptedView = ({ t, actions }, model) =>
  h(
    "div",
    { key: "interrupted", class: "midrun-several midrun-told", role: "status" },
    h("span", null, t("several.interrupted", { n: model.several.interrupted })),
    button(t("several.resumeThese"), "play", model.several.asked === null, actions.resumeInterrupted, {
      verb: "resumeInterrupted",
    }),
  );

/** @param {Tools} tools @param {Model} model @param {string[]} selected */
function selectionView(tools, model, selected) {
  const { t, actions, dispatch } = tools;
  const { asked, sure } = model.several;
  const can = asked === null && selected.length > 0;
  const small = (/** @type {string} */ verb) => ({ small: true, verb });
  const every = everySelected(model);
  const ask = (/** @type {string} */ verb) => dispatch({ type: "several", sure: verb });
  return h(
    "div",
    { key: "selection", class: "midrun-several", role: "toolbar", "aria-label": t("several.toolbar") },
    h(
      "label",
      { class: "midrun-watch" },
      h("input", {
        type: "checkbox",
        "data-verb": "every",
        checked: every,
        onChange: () => dispatch({ type: "several", selected: every ? [] : filtered(model) }),
      }),
      t("several.selected", { n: selected.length }),
    ),
    sure === null
      ? [
          button(t("several.pause"), "pause", can, () => actions.askSelected("pause"), small("pauseThese")),
          button(t("several.resume"), "play", can, () => actions.askSelected("resume"), small("resumeThese")),
          button(t("several.abort"), "stop", can, () => ask("abort"), small("abortThese")),
          button(t("several.delete"), "trash", can && deletable(model), () => ask("delete"), small("deleteThese")),
        ]
      : really(
          t(`several.${sure}Really`, { n: selected.length }),
          () => actions.askSelected(sure),
          () => dispatch({ type: "several", sure: null }),
        ),
  );
}
