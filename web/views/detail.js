// One job in the panel: toolbar, picture with its steps, and tabs.
import { h } from "../dom.js";
import * as format from "../format.js";
import { sentence, timing, verbs } from "../select.js";
import { framesOf, newestIndex, shownUrl } from "../select_pictures.js";
import { isLeftOver } from "../travel_state.js";
import { breakpointsView } from "./breakpoints.js";
import { chartView } from "./chart.js";
import { exactnessWord } from "./exactness.js";
import { frameLabel, icon, progressBar, stateMark, stepText, toolbar } from "./parts.js";
import { editorView } from "./editor.js";
import { lineage, takeNote, travelButtons } from "./travel.js";
import { removal, title } from "./tray.js";

const TABS = ["parameters", "breakpoints", "log", "chart"];
/** @type {Record<string, (tools: any, model: any, job: any) => any>} */
const VIEWS = { breakpoints: breakpointsView, log, chart: chartView };

/** @param {import("./parts.js").Tools} tools @param {import("../state.js").Model} model @param {import("../state.js").Job} job */
export function detailView(tools, model, job) {
  const { t, actions } = tools;
  const { active, paused, eta } = timing(model, job);
  const times = [
    t("time.active", { time: format.clock(active) }),
    paused >= 1 && t("time.paused", { time: format.clock(paused) }),
    job.state === "running" && eta !== null && t("time.left", { time: format.clock(eta) }),
  ];
  return [
    h(
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
      h("h2", { title: title(tools, model, job) }, title(tools, model, job)),
      verbs(job).remove && removal(tools, model, job.job_id),
    ),
    h(
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
      lineage(tools, model, job),
      progressBar(tools, job),
      h("div", { class: "midrun-times" }, times.filter(Boolean).join(" · ")),
      toolbar(tools, model, job),
      result(tools, job),
    ),
    pictures(tools, model, job),
    tabs(tools, model, job),
  ];
}

/** @param {import("./parts.js").Tools} tools @param {import("../state.js").Model} model @param {import("../state.js").Job} job */
function why({ t }, model, job) {
  const [key, values] = sentence(job);
  const refused = model.told[job.job_id];
  const warnings = job.warnings.filter((one) => !(key === "why.warning" && one === job.warnings[0]));
  return [
    h(
      "p",
      {
        class: `midrun-told${refused || job.state === "failed" ? " midrun-alert" : ""}`,
        "aria-live": "polite",
      },
      refused ?? t(key, values),
    ),
    warnings.map((one) => h("p", { class: "midrun-told midrun-warning", key: one.code }, one.message)),
  ];
}

/** Where the partial result of an aborted job lies. @param {import("./parts.js").Tools} tools @param {import("../state.js").Job} job */
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

/** @param {import("./parts.js").Tools} tools @param {import("../state.js").Model} model @param {import("../state.js").Job} job */
function pictures(tools, model, job) {
  const { t, url, actions, dispatch } = tools;
  const all = framesOf(model, job, job.node_id);
  const newest = newestIndex(all, job);
  const wanted =
    model.tray.step === null ? newest : all.findIndex((frame) => frame.step === model.tray.step);
  const at = wanted < 0 ? newest : wanted;
  const shown = all[at];
  const src = shownUrl(model, job, shown, model.tray.step !== null);
  if (!src && all.length < 2)
    return h("div", { key: "pictures", class: "midrun-stage midrun-empty" }, t("picture.none"));
  const slide = (/** @type {Event} */ _, /** @type {HTMLInputElement} */ input) =>
    dispatch({ type: "tray", step: Number(input.value) === newest ? null : all[Number(input.value)].step });
  const label = frameLabel(tools, job, shown);
  const left = shown !== undefined && isLeftOver(job, shown);
  return h(
    "div",
    { key: "pictures", class: "midrun-stage", "data-left-over": left ? "" : undefined },
    h(
      "button",
      {
        type: "button",
        class: "midrun-picture",
        "data-verb": "view",
        title: t("picture.open"),
        onClick: () => actions.view(job.job_id, job.node_id, model.tray.step),
      },
      src
        ? h("img", {
            src: url(src),
            alt: label,
            draggable: "false",
            onLoad: () => shown?.made === null && actions.previews(job.job_id),
          })
        : h("span", { class: "midrun-empty" }, t("picture.none")),
    ),
    all.length > 1 &&
      h("input", {
        type: "range",
        min: 0,
        max: all.length - 1,
        value: at,
        "aria-label": t("picture.slider"),
        "aria-valuetext": label,
        onInput: slide,
      }),
    h("div", { class: "midrun-label", title: label }, left ? `${t("travel.leftOver")} · ${label}` : label),
    travelButtons(tools, model, job, shown),
    takeNote(tools, model, job),
  );
}

/** @param {import("./parts.js").Tools} tools @param {import("../state.js").Model} model @param {import("../state.js").Job} job */
function tabs(tools, model, job) {
  const { t, dispatch, actions } = tools;
  const chosen = model.tray.tab;
  const tab = (/** @type {string} */ name) =>
    h(
      "button",
      {
        key: name,
        type: "button",
        role: "tab",
        id: `midrun-tab-${name}`,
        class: "midrun-tab",
        "data-tab": name,
        "aria-selected": String(chosen === name),
        "aria-controls": "midrun-tabpanel",
        tabindex: chosen === name ? "0" : "-1",
        onClick: () => choose(name),
      },
      t(`tab.${name}`),
    );
  const choose = (/** @type {string} */ name) => {
    dispatch({ type: "tray", tab: name });
    if (name === "log") void actions.events(job.job_id);
    if (name === "chart") void actions.telemetry(job.job_id);
  };
  const arrows = (/** @type {KeyboardEvent} */ event, /** @type {HTMLElement} */ list) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const at = (TABS.indexOf(chosen) + by + TABS.length) % TABS.length;
    choose(TABS[at]);
    /** @type {HTMLElement} */ (list.children[at]).focus();
  };
  return h(
    "div",
    { key: "tabs", class: "midrun-tabs" },
    h(
      "div",
      { class: "midrun-tablist", role: "tablist", "aria-label": t("tab.label"), onKeydown: arrows },
      TABS.map(tab),
    ),
    h(
      "div",
      {
        key: chosen,
        id: "midrun-tabpanel",
        role: "tabpanel",
        class: "midrun-panel",
        "aria-labelledby": `midrun-tab-${chosen}`,
      },
      (VIEWS[chosen] ?? editorView)(tools, model, job),
    ),
  );
}

/** @param {import("./parts.js").Tools} tools @param {import("../state.js").Model} model @param {import("../state.js").Job} job */
function log({ t }, model, job) {
  const events = model.events[job.job_id] ?? [];
  return h(
    "ol",
    { class: "midrun-log" },
    events.map((event, index) => {
      const detail = [
        event.detail.abort_reason,
        typeof event.detail.error === "string" ? event.detail.error : event.detail.error?.message,
        event.detail.warning,
        ...(event.detail.edits ?? []).map((/** @type {any} */ edit) =>
          edit.undone
            ? t("log.undone", { input: edit.input })
            : `${edit.input}: ${format.short(edit.from, 24)} → ${format.short(edit.to, 24)}`,
        ),
      ];
      return h(
        "li",
        { key: String(index) },
        h("time", { datetime: event.at, title: event.at }, new Date(event.at).toLocaleTimeString()),
        h(
          "span",
          { class: "midrun-kind" },
          t(event.state_from === event.state_to ? kindOf(event) : `state.${event.state_to}`),
        ),
        h("span", { class: "midrun-step" }, t("step.alone", { step: event.step })),
        h("span", { class: "midrun-line-detail" }, detail.filter(Boolean).join(" · ")),
      );
    }),
  );
}

/** The key of its name: warnings have kinds of their own, which end with `_over`. @param {any} event */
function kindOf({ kind, detail }) {
  if (detail.warning) return "log.warning";
  return kind.endsWith("_over") ? "log.over" : `log.${kind}`;
}
