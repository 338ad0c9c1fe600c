// The dialog of a job that waits for a choice: tick pictures, paint a mask, go on.
import { choicePicture, choicesLeft } from "../model/select_choice.js";
import { titleOf } from "../model/select.js";
import { h } from "../ui/dom.js";
import { dialog } from "./dialog.js";
import { endsRepeat } from "./keys.js";
import { forgetMask, paintTools, paintView, paintedMask } from "./paint.js";
import { button } from "./parts.js";
/** @import { Choice, Choosing, Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Choosing} choosing */
export function chooseView(tools, model, choosing) {
  const { t, dispatch } = tools;
  const job = model.jobs[choosing.job_id];
  const close = () => dispatch({ type: "choosingClosed" });
  if (!job?.choice) return gone(tools, close);
  const { choice } = job;
  const onKeydown = (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const chooses = choosing.painting === null && !(target instanceof HTMLInputElement);
    const picks = chooses && /^[1-9]$/.test(event.key);
    const goesOn = event.key === "Enter" && target.matches("dialog, .midrun-tick, .midrun-mask");
    if ((!picks && !goesOn) || endsRepeat(event)) return; // a held Enter would go on with the next choice, too
    if (picks) return dispatch({ type: "pick", number: Number(event.key) });
    event.preventDefault();
    void submit(tools, choosing);
  };
  return dialog("choose", t("choose.title"), close, { onKeydown, tabindex: -1 }, [
    h(
      "form",
      {
        key: job.job_id,
        class: "midrun-board",
        onSubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          void submit(tools, choosing);
        },
      },
      h(
        "header",
        { class: "midrun-board-top" },
        h("h2", null, t("choose.title")),
        h("span", { class: "midrun-told", "aria-live": "polite" }, told(t, choice, choosing)),
        button(t("board.close"), "close", true, close, { small: true, verb: "closeChoice" }),
      ),
      h(
        "p",
        { key: "whose", class: "midrun-told" },
        t("choose.whose", { name: titleOf(t, model, job), left: choicesLeft(model) }),
      ),
      choosing.message &&
        h("p", { key: "refused", class: "midrun-told midrun-alert", role: "alert" }, choosing.message),
      choosing.painting === null
        ? tiles(tools, job, choice, choosing)
        : paintView(tools, job, choosing, choosing.painting),
      footer(tools, choice, choosing),
    ),
  ]);
}

/** Somebody else chose meanwhile. @param {Tools} tools @param {() => void} close */
const gone = ({ t }, close) =>
  dialog("choose", t("choose.title"), close, {}, [
    h("p", { class: "midrun-told" }, t("choose.gone")),
    button(t("board.close"), "close", true, close, { verb: "closeChoice" }),
  ]);

/** @param {Tools} tools @param {Choosing} choosing */
const submit = async ({ actions }, choosing) =>
  actions.chooseTicked(await paintedMask(choosing));

/** @param {Tools["t"]} t @param {Choice} choice @param {Choosing} choosing */
function told(t, choice, choosing) {
  const n = choosing.ticked.length;
  if (choice.most === 0) return t("choose.any", { n, count: choice.count });
  return t("choose.atMost", { n, most: Math.min(choice.most, choice.count), count: choice.count });
}

/** @param {Tools} tools @param {Job} job @param {Choice} choice @param {Choosing} choosing */
function tiles(tools, job, choice, choosing) {
  const { t, url, dispatch } = tools;
  const numbers = Array.from({ length: choice.count }, (_, index) => index + 1);
  return h(
    "div",
    { key: "tiles", class: "midrun-tiles", role: "group", "aria-label": t("choose.title") },
    numbers.map((number) => {
      const ticked = choosing.ticked.includes(number);
      return h(
        "div",
        { key: number, class: "midrun-tile", "data-number": number },
        h(
          "button",
          {
            type: "button",
            class: "midrun-tick",
            "aria-pressed": String(ticked),
            "aria-label": t("choose.tick", { number, count: choice.count }),
            onClick: () => dispatch({ type: "pick", number }),
          },
          choice.version
            ? h("img", { src: url(choicePicture(job, number)), alt: "", loading: "lazy", draggable: "false" })
            : h("span", { class: "midrun-untold" }, t("picture.none")),
          h("span", { class: "midrun-ticked", "aria-hidden": "true" }, String(number)),
        ),
        choice.paints &&
          choice.version &&
          button(
            t("choose.paint"),
            "edit",
            true,
            () => {
              forgetMask();
              if (!ticked) dispatch({ type: "pick", number });
              dispatch({ type: "paint", number });
            },
            { verb: "paint" },
          ),
      );
    }),
  );
}

/** @param {Tools} tools @param {Choice} choice @param {Choosing} choosing */
function footer(tools, choice, choosing) {
  const { t } = tools;
  const n = choosing.ticked.length;
  const paints = choosing.painting !== null;
  return h(
    "footer",
    { class: "midrun-board-buttons" },
    h(
      "button",
      {
        type: "submit",
        class: "midrun-button midrun-primary",
        "data-verb": "choose",
        "aria-disabled": choosing.sent ? "true" : undefined,
      },
      t(n ? "choose.do" : "choose.none", { n }),
    ),
    paints && paintTools(tools, choosing),
    choice.until && h("span", { class: "midrun-told" }, t(`choose.late.${choice.otherwise}`)),
    h("span", { key: "keys", id: "midrun-brush-keys", class: "midrun-told" }, t(paints ? "choose.brushKeys" : "choose.keys")),
  );
}
