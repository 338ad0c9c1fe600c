// What the user notices without looking at Midrun: a mark on the title of the browser's tab, and toasts.
import { sentence, titleOf } from "../model/select.js";
import { waitsToBeChosen } from "../model/select_board.js";
import { whileWanted } from "../ui/schedule.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */

const MARK = "⏸ ";
const ASKED_FOR = ["user", "step", "asked"]; // somebody knows of it: the user, or who is asked

/** @typedef {(severity: "warn" | "error", summary: string, detail: string) => void} Toast */
/** @typedef {(summary: string, detail: string) => void} Ring  by sound and by the browser, where the user wants that */

/**
 * Toasts for jobs that paused by themselves or failed; nothing for what the user asked for. What is done rings, too.
 * @param {Model} model @param {Model} before
 * @param {Translate} t @param {Toast} toast @param {Ring} ring
 */
export function notify(model, before, t, toast, ring) {
  if (model.jobs === before.jobs) return;
  for (const id of model.order) {
    const [job, was] = [model.jobs[id], before.jobs[id]];
    if (was === undefined || was === job || !isOther(job, was)) continue;
    const asked = waitsToBeChosen(job) || ASKED_FOR.includes(job.pause_reason ?? "user");
    const byItself = job.state === "paused" && ((job.error !== null && job.pause_reason !== "asked") || !asked);
    const failed = job.state === "failed";
    if (!byItself && !failed && job.state !== "completed") continue;
    const told = sentence(job);
    const [summary, detail] = [`Midrun · ${titleOf(t, model, job)}`, told ? t(...told) : t(`state.${job.state}`)];
    ring(summary, detail);
    if (byItself || failed) toast(failed ? "error" : "warn", summary, detail);
  }
}

/** Whether there is something to tell; who was asked may have said that it is to stay paused. @param {Job} job @param {Job} was */
const isOther = (job, was) =>
  was.state !== job.state || (was.pause_reason === "asked" && job.pause_reason === "breakpoint");

/**
 * Keeps the mark on the title while it is wanted, whoever writes the title.
 * @param {Document} page @returns {(wanted: boolean) => void}
 */
export function createTitleMark(page) {
  const mark = () => {
    if (!page.title.startsWith(MARK)) page.title = MARK + page.title;
  };
  return whileWanted(() => {
    mark();
    const observer = new MutationObserver(mark);
    observer.observe(page.head, { subtree: true, childList: true, characterData: true });
    return () => {
      observer.disconnect();
      if (page.title.startsWith(MARK)) page.title = page.title.slice(MARK.length);
    };
  });
}
