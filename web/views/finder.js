// Looking in the viewer for the step at which something came into the picture: is it there, yes or no?
import { h } from "../ui/dom.js";
import { answered, begun, found, isOpen, nextStep, openSteps, questionsLeft } from "../model/finding.js";
import { button } from "./parts.js";
/** @import { Finding } from "../model/finding.js" */
/** @import { Frame } from "../model/select_pictures.js" */
/** @import { Job, Viewer } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

/**
 * What can be done while a step is looked for, by a button or by a key.
 * @param {Tools} tools @param {Job} job @param {Viewer} viewer
 * @param {{ all: Frame[], newest: number, shown: Frame | undefined }} frames
 * @param {{ change: (changed: Partial<Viewer>) => void, lookAt: (step: number | null) => void }} does
 */
export function findings({ actions }, job, viewer, { all, newest, shown }, { change, lookAt }) {
  const steps = all
    .slice(0, newest + 1)
    .filter((frame) => frame.url !== null)
    .map((frame) => frame.step);
  const { find } = viewer;
  const goOn = (/** @type {Finding} */ finding, full = find?.full ?? false) => {
    change({ find: { finding, full }, compare: null });
    lookAt(nextStep(finding) ?? found(finding));
  };
  const answer = (/** @type {boolean} */ there) =>
    find && shown && isOpen(find.finding, shown.step) && goOn(answered(find.finding, shown.step, there));
  const first = find && found(find.finding);
  return {
    begin: () =>
      find
        ? change({ find: null })
        : steps.length > 1 && goOn(begun(steps), job.state === "paused" && job.held),
    yes: () => answer(true),
    no: () => answer(false),
    back: () => find?.finding.before && goOn(find.finding.before),
    leave: () => change({ find: null }),
    /** From the step before it came; of any other nothing is known yet. */
    fork: first ? () => actions.askToFork(job.job_id, first - 1, shown?.node_id ?? null) : null,
    possible: steps.length > 1,
  };
}

/** @typedef {ReturnType<typeof findings>} Finds */

/** The keys of a search. @param {Finds} finds @returns {Record<string, () => any>} */
export const keysOfFinder = (finds) => ({
  y: finds.yes,
  n: finds.no,
  Backspace: finds.back,
  Escape: finds.leave,
  ...(finds.fork ? { f: finds.fork } : {}),
});

/** @param {Tools} tools @param {Viewer} viewer @param {Frame | undefined} shown @param {Finds} finds */
export function finderView({ t }, viewer, shown, finds) {
  if (!viewer.find || !shown) return null;
  const { finding } = viewer.find;
  const first = found(finding);
  const open = isOpen(finding, shown.step);
  return h(
    "div",
    { key: "find", class: "midrun-find", role: "group", "aria-label": t("find.title") },
    h("span", { class: "midrun-find-question", role: "status" }, question(t, finding, shown.step)),
    first === null && [
      button(t("find.yes"), "done", open, finds.yes, { verb: "yes" }),
      button(t("find.no"), "close", open, finds.no, { verb: "no" }),
      h("span", { key: "left", class: "midrun-told" }, t("find.left", { n: questionsLeft(finding) })),
    ],
    first !== null &&
      finds.fork &&
      button(t("find.fork", { step: first - 1 }), "fork", true, finds.fork, {
        verb: "forkBefore",
        primary: true,
      }),
    button(t("find.back"), "undo", finding.before !== null, finds.back, { verb: "findBack" }),
    button(t("find.leave"), "close", true, finds.leave, { verb: "findLeave", small: true }),
  );
}

/** @param {Translate} t @param {Finding} finding @param {number} step that is shown */
function question(t, finding, step) {
  const first = found(finding);
  if (first !== null) return t("find.found", { step: first });
  if (isOpen(finding, step)) return t("find.question", { step });
  const [from, to] = openSteps(finding);
  return t("find.settled", { step, from, to });
}
