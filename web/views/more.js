// The dialog that gives a completed job more steps: how many, what that makes, and what it does not.
import { h } from "../ui/dom.js";
import { MOST_MORE, moreOf } from "../model/select_travel.js";
import { buttons, dialog } from "./dialog.js";
/** @import { MoreDialog } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {MoreDialog} more */
export function moreView({ t, actions, dispatch }, more) {
  const n = moreOf(more.steps);
  const close = () => dispatch({ type: "moreDialog", job_id: null });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void actions.moreAsAsked();
  };
  return dialog("more", t("more.title"), close, {}, [
    h(
      "form",
      { class: "midrun-form", onSubmit: submit },
      h("h2", null, t("more.title")),
      h(
        "label",
        { class: "midrun-fork-step" },
        h("span", null, t("more.count")),
        h("input", {
          type: "number",
          min: 1,
          max: MOST_MORE,
          step: 1,
          required: true,
          autofocus: true,
          value: more.steps,
          "aria-describedby": "midrun-more-is midrun-more-is-not",
          onInput: (/** @type {any} */ _, /** @type {HTMLInputElement} */ input) =>
            dispatch({ type: "more", steps: input.value }),
        }),
      ),
      h("p", { id: "midrun-more-is", class: "midrun-told" }, t("more.is")),
      h("p", { id: "midrun-more-is-not", class: "midrun-told" }, t("more.isNot")),
      more.message !== null &&
        h("p", { key: "told", class: "midrun-told midrun-alert", role: "alert" }, more.message),
      buttons(close, t("more.cancel"), t("more.do", { n: n ?? 2 }), false, n !== null && !more.sent),
    ),
  ]);
}
