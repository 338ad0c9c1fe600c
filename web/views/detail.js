// One job in the panel: how it stands, its picture, its tabs.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { sentence, timing, titleOf, verbs } from "../model/select.js";
import { canHaveMore } from "../model/select_travel.js";
import { differencesView, exportLink, reportLink } from "./bundles.js";
import { checkButton, checkView } from "./check.js";
import { exactnessWord } from "./exactness.js";
import { icon, stateMark } from "./icons.js";
import { button, leftText, progressBar, removal, stepText, toolbar, whyText } from "./parts.js";
import { stageView } from "./stage.js";
import { tabsView } from "./tabs.js";
import { lineage } from "./travel.js";
import { wiresView } from "./wires.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model @param {Job} job */
export function detailView(tools, model, job) {
  return [
    header(tools, model, job),
    summary(tools, model, job),
    stageView(tools, model, job),
    tabsView(tools, model, job),
  ];
}

/** @param {Tools} tools @param {Model} model @param {Job} job */
function header(tools, model, job) {
  const { t, actions } = tools;
  const title = titleOf(t, model, job);
  return h(
    "header",
    { class: "midrun-header midrun-detail-header" },
    h(
      "button",
      {
        type: "button",
        class: "midrun-button midrun-back",
        "data-verb": "back",
        "aria-label": t("tray.back"),
        title: t("tray.back"),
        onClick: () => actions.open(null),
      },
      icon("back"),
    ),
    h("h2", { title }, title),
    checkButton(tools, model, job),
    reportLink(tools, job),
    exportLink(tools, job),
    verbs(job).remove && removal(tools, model, job.job_id),
  );
}

/** @param {Tools} tools @param {Model} model @param {Job} job */
function summary(tools, model, job) {
  const { t } = tools;
  const { active, paused, eta, rough } = timing(model, job);
  const times = [
    t("time.active", { time: format.clock(active) }),
    paused >= 1 && t("time.paused", { time: format.clock(paused) }),
    eta !== null && leftText(t, eta, rough),
  ];
  return h(
    "div",
    { class: "midrun-summary", "data-state": job.state },
    h(
      "div",
      { class: "midrun-head" },
      h("span", { "aria-live": "polite" }, stateMark(tools, job.state)),
      h("span", { class: "midrun-step" }, stepText(tools, job)),
      h("span", { class: "midrun-time" }, job.sigma === null ? "" : `σ ${format.sigma(job.sigma)}`),
      exactnessWord(tools, job),
    ),
    why(tools, model, job),
    wiresView(tools, job),
    differencesView(tools, job),
    lineage(tools, model, job),
    progressBar(tools, job),
    h("div", { class: "midrun-times" }, times.filter(Boolean).join(" · ")),
    toolbar(tools, model, job),
    result(tools, job),
    canHaveMore(job) && moreButton(tools, job),
    checkView(tools, job),
  );
}

/** Not there before the end: what can be asked for while a job runs keeps its place. @param {Tools} tools @param {Job} job */
const moreButton = ({ t, actions }, job) =>
  h(
    "div",
    { key: "more", class: "midrun-travel" },
    button(t("more.open"), "plus", true, () => actions.askForMore(job.job_id), { verb: "more" }),
  );

/** @param {Tools} tools @param {Model} model @param {Job} job */
function why({ t }, model, job) {
  const refused = model.refusals[job.job_id];
  const warnings = job.warnings.filter((one) => !(sentence(job)?.[0] === "why.warning" && one === job.warnings[0]));
  return [
    h(
      "p",
      {
        key: "why",
        class: `midrun-told${refused || job.state === "failed" ? " midrun-alert" : ""}`,
        "aria-live": "polite",
      },
      refused ?? whyText(t, job),
    ),
    warnings.map((one) => h("p", { class: "midrun-told midrun-warning", key: one.code }, one.message)),
  ];
}

/** Where the partial result of an aborted job lies. @param {Tools} tools @param {Job} job */
function result({ t, latentUrl }, job) {
  if (job.state !== "aborted" || !job.evaluations) return null;
  return h(
    "p",
    { class: "midrun-told" },
    t("abort.kept"),
    " ",
    h("a", { href: latentUrl(job.job_id), download: "" }, t("abort.latent")),
  );
}
