// What the user notices without looking at Midrun: a mark on the title of the browser's tab, and toasts.
import { sentence, titleOf } from "../model/select.js";
import { isDraft } from "../model/select_board.js";
import { whileWanted } from "../ui/schedule.js";
/** @import { Model } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */

const MARK = "⏸ ";
const ASKED_FOR = ["user", "step"];

/** @typedef {(severity: "warn" | "error", summary: string, detail: string) => void} Toast */

/**
 * Toasts for jobs that paused by themselves or failed; nothing for what the user asked for.
 * @param {Model} model @param {Model} before
 * @param {Translate} t @param {Toast} toast
 */
export function notify(model, before, t, toast) {
  if (model.jobs === before.jobs) return;
  for (const id of model.order) {
    const [job, was] = [model.jobs[id], before.jobs[id]];
    if (was === undefined || was === job || was.state === job.state) continue;
    const asked = isDraft(job) || ASKED_FOR.includes(job.pause_reason ?? "user");
    const byItself = job.state === "paused" && (job.error !== null || !asked);
    if (!byItself && job.state !== "failed") continue;
    const [key, values] = sentence(job);
    const name = titleOf(t, model, job);
    toast(job.state === "failed" ? "error" : "warn", `Midrun · ${name}`, t(key, values));
  }
}

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
