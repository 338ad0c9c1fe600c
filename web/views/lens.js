// What a word of a prompt does: a button below the prompt, its words, and the heat map of the one that was chosen.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { cursorStep } from "../model/select_cursor.js";
import { wordsOf } from "../model/words.js";
import { icon } from "./icons.js";
/** @import { Edit, Input, Job, LensView, Model } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Job} job @param {string} nodeId @param {string} name @param {Input} input @param {Edit | undefined} edit */
export function lensView(tools, model, job, nodeId, name, input, edit) {
  const stands = (job.state === "paused" || job.state === "failed") && job.step > 0;
  if (!input.multiline || !stands || !["live", "caution"].includes(input.verdict)) return null;
  const { lens } = model;
  const shown = lens?.job_id === job.job_id && lens.node_id === nodeId && lens.input === name;
  const inForce = edit && edit.from_step === null ? edit.from : input.value;
  return h(
    "div",
    { key: "lens", class: "midrun-lens" },
    opener(tools, job, nodeId, name, shown),
    shown && words(tools, model, lens, String(inForce)),
    shown && result(tools, lens),
  );
}

/** @param {Tools} tools @param {Job} job @param {string} nodeId @param {string} name @param {boolean} shown */
const opener = ({ t, actions }, job, nodeId, name, shown) =>
  h(
    "button",
    {
      key: "opener",
      type: "button",
      class: "midrun-button midrun-lens-opener",
      "data-verb": "lens",
      "aria-expanded": String(shown),
      onClick: () => actions.toggleLens(job.job_id, nodeId, name),
    },
    icon("find"),
    h("span", null, t("lens.open")),
  );

/** @param {Tools} tools @param {Model} model @param {LensView} lens @param {string} text that is in force */
function words({ t, actions }, model, lens, text) {
  const found = wordsOf(text);
  const step = cursorStep(model, model.jobs[lens.job_id], null);
  if (!found.length) return h("p", { key: "none", class: "midrun-told" }, t("lens.none"));
  return h(
    "div",
    { key: "words", class: "midrun-words", role: "group", "aria-label": t("lens.words") },
    found.map((word) =>
      h(
        "button",
        {
          key: word,
          type: "button",
          class: "midrun-chip",
          "data-word": word,
          "aria-pressed": String(lens.word === word),
          onClick: () => actions.lookAtWord(word, step),
        },
        word,
      ),
    ),
  );
}

/** @param {Tools} tools @param {LensView} lens */
function result({ t, url }, lens) {
  if (lens.word === null) return null;
  const { found, message } = lens;
  const picture = found?.state === "done" ? found.picture : null;
  const told = message ?? sentence(t, lens);
  return [
    h(
      "p",
      { key: "told", class: "midrun-told", "aria-live": "polite", "data-lens": found?.state ?? "" },
      told,
    ),
    picture &&
      h("img", { key: "heat", class: "midrun-heat", src: url(picture), alt: told, draggable: "false" }),
  ];
}

/** @param {Translate} t @param {LensView} lens */
function sentence(t, { word, found }) {
  if (found === null || found.state === "queued") return t("lens.queued");
  if (found.state === "running") return t("lens.running");
  if (found.state === "cancelled") return t("lens.cancelled");
  if (found.state === "failed" || found.maximum === null || found.mean === null)
    return t("lens.failed", { because: found.error ?? "" });
  const figures = { maximum: format.digits(found.maximum), mean: format.digits(found.mean) };
  const values = { word: word ?? "", step: found.step, ...figures };
  return t(found.maximum === 0 ? "lens.nothing" : "lens.done", values);
}
