// What the timeline shows of its job besides the job itself: read when it is another, and when something passed unheard.
import { isElsewhere, leapt, stopped } from "../model/select_changes.js";
import { focusOf } from "../model/select_cursor.js";
import { previewsOf } from "../model/select_pictures.js";
import { soon } from "../ui/schedule.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Job, Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */

const SETTLE_MS = 250;

/** @param {Store} store @param {Pick<Actions, "events" | "params" | "previews" | "telemetry">} actions */
export function createTimelineReading(store, actions) {
  const fillSoon = soon(SETTLE_MS, fillHoles);
  let holes = false; // steps may have come by of which nothing was heard

  /** @param {Job} job */
  function fill(job) {
    holes = false;
    void actions.previews(job.job_id);
    void actions.telemetry(job.job_id);
  }

  /** By now a picture may have come that was only announced. */
  function fillHoles() {
    const job = shownJob(store.get());
    if (job !== null && (holes || lacksPicture(store.get(), job))) fill(job);
  }

  return {
    /** @param {Model} model @param {Model} before */
    changed(model, before) {
      const [job, was] = [shownJob(model), shownJob(before)];
      if (job === null || job === was) return;
      const other = was?.job_id !== job.job_id;
      if (other) fill(job);
      else if (leapt(job, was) || stopped(job, was)) holes = true;
      const announced = !other && job.preview_url !== was.preview_url && lacksPicture(model, job);
      if (holes || announced) fillSoon();
      if (!other && !isElsewhere(job, was)) return;
      void actions.events(job.job_id);
      void actions.params(job.job_id);
    },

    /** Events may have been lost. */
    readAll() {
      const job = shownJob(store.get());
      if (job === null) return;
      fill(job);
      void actions.events(job.job_id);
    },
  };
}

/** @param {Model} model */
const shownJob = (model) => (model.timeline.shown ? focusOf(model) : null);

/** Whether its newest picture is none of those that this page knows. @param {Model} model @param {Job} job */
const lacksPicture = (model, { job_id, preview_url }) =>
  preview_url !== null && !previewsOf(model, job_id).some((one) => one.url === preview_url);
