// What follows from a change of the model, beside drawing: reading more, notifications, timers.
import { living, needsMore, ofWorkflow, somethingIsPaused, somethingRuns } from "../model/select.js";
import { isElsewhere, leapt, stopped } from "../model/select_changes.js";
import { comparedWith, comparisonOf, curveWanted } from "../model/select_compare.js";
import { atChoices } from "../model/select_choice.js";
import { onlyLooks } from "../model/select_cursor.js";
import { standing } from "../model/select_places.js";
import { previewsOf } from "../model/select_pictures.js";
import { againWhileWanted, soon } from "../ui/schedule.js";
import { createCanvasWatch } from "./canvas_watch.js";
import { notify } from "./notifications.js";
import { createStandingWatch } from "./standing_watch.js";
import { createTimelineReading } from "./timeline_reading.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { ActionBar } from "./action_bar.js" */
/** @import { Badges } from "./badges.js" */
/** @import { NodeWidgets } from "./node_widgets.js" */
/** @import { Page } from "./page.js" */

const TICK_MS = 1000;
const OTHERS_EVERY = 5; // ticks between two looks at what other servers have
const SETTLE_MS = 250;

/**
 * @param {{
 *   store: Store, actions: Actions, page: Page, widgets: Pick<NodeWidgets, "follow">, badges: Pick<Badges, "show">,
 *   bar: Pick<ActionBar, "look">, overlays: (wanted: boolean) => void, markTitle: (wanted: boolean) => void,
 *   readTab: (actions: Actions, id: string, tab: string) => void,
 * }} parts  overlays: shows or hides the dialogs; readTab: asks for what a tab of a job shows
 */
export function createEffects({ store, actions, page, widgets, badges, bar, overlays, markTitle, readTab }) {
  const canvas = createCanvasWatch(store, actions, page, badges);
  const timeline = createTimelineReading(store, actions);
  const watch = createStandingWatch(store, actions);
  const refreshUsageSoon = soon(SETTLE_MS, () => void actions.usage());
  const clock = againWhileWanted(TICK_MS, tick);
  /** @type {Set<string>} */ const read = new Set(); // jobs whose pictures were asked for
  let ticks = 0;
  /** @type {Element | null} */ let frame = null; // of the film strip, that was scrolled to

  const showTime = () => store.dispatch({ type: "tick", at: page.clock() });

  function tick() {
    showTime();
    if (page.isHidden()) return;
    if (somethingRuns(store.get())) void actions.poll();
    ticks += 1;
    if (looksAtOthers(store.get()) && ticks % OTHERS_EVERY === 0) void actions.others();
  }

  /** Time goes on only while there is something to see of it. @param {Model} model */
  const keepTime = (model) =>
    clock(somethingRuns(model) || looksAtOthers(model) || (model.tray.shown && somethingIsPaused(model)));

  const looksAtOthers = (/** @type {Model} */ model) => model.tray.shown && model.tray.shares;

  /** Each node of several that sample shows its own pictures, also after a reload. @param {Model} model */
  function readPictures(model) {
    const job = ofWorkflow(model, page.ports.workflowId());
    if (job === null || job.job_id in model.previews || read.has(job.job_id)) return;
    if (job.sampler_nodes.length < 2 || !job.preview_url) return;
    read.add(job.job_id);
    void actions.previews(job.job_id);
  }

  /** What is open is read again when its job became another. @param {Model} model @param {Model} before */
  function readAgain(model, before) {
    const ended = model.abort?.sent ? model.abort.job_id : null;
    if (ended !== null && model.jobs[ended] !== before.jobs[ended]) void actions.events(ended);
    const id = model.tray.open ?? model.viewer?.job_id;
    if (!id) return;
    const [job, was] = [model.jobs[id], before.jobs[id]];
    if (!job || !was || job === was) return;
    const shown = previewsOf(model, id).some((one) => one.url === job.preview_url);
    if (job.preview_url !== was.preview_url && !shown) void actions.previews(id); // another client's job
    const unheard = model.tray.tab === "chart" && leapt(job, was);
    if (unheard || isElsewhere(job, was)) readTab(actions, id, model.tray.tab);
  }

  /** What differs is read anew at each step. @param {Model} model */
  function compareAgain(model) {
    const wanted = model.viewer && comparedWith(model, model.viewer);
    if (model.viewer && wanted && comparisonOf(model, model.viewer)?.step !== wanted.step)
      void actions.compareJobs(model.viewer.job_id, wanted.job, wanted.step);
  }

  /** The curve of two jobs is read again once one of them stands elsewhere. @param {Model} model */
  function readCurve(model) {
    const wanted = model.viewer && curveWanted(model, model.viewer);
    if (model.viewer && wanted && model.curve?.key !== wanted.key)
      void actions.readCurve(model.viewer.job_id, wanted.with, wanted.key);
  }

  /** The workflow on screen has a name only here. @param {Model} model @param {Model} before */
  function nameJobs(model, before) {
    const added = model.order.some((id) => !(id in before.jobs) && model.jobs[id].state === "queued");
    store.dispatch({ type: "names", names: added ? page.names() : page.storedNames() });
  }

  /** @param {Model} model @param {Model} before */
  function jobsChanged(model, before) {
    markTitle(somethingIsPaused(model));
    if (countStands(model) !== countStands(before)) void actions.queue();
    widgets.follow();
    notify(model, before, page.t, page.toast, page.ring);
    readAgain(model, before);
    readPictures(model);
    if (model.tray.shown && (model.order !== before.order || someStopped(model, before))) refreshUsageSoon();
  }

  return {
    /** @param {Model} model @param {Model} before */
    changed(model, before) {
      const [looks, moved] = [model.cursor !== before.cursor, model.timeline !== before.timeline];
      if (onlyLooks(model, before)) {
        // maybe many times in a second
        if (looks) compareAgain(model);
        if (moved) timeline.changed(model, before);
        return;
      }
      const [jobs, { open, tab, shown, shares }] = [model.jobs !== before.jobs, model.tray];
      if (model.order.length) page.needTexts(showTime);
      if (standing(model) !== standing(before)) page.countOnTab(standing(model));
      watch.look(model);
      if (model.order !== before.order) nameJobs(model, before);
      if (jobs) jobsChanged(model, before);
      if (jobs || shown !== before.tray.shown || shares !== before.tray.shares) keepTime(model);
      if (open !== null && (open !== before.tray.open || tab !== before.tray.tab))
        readTab(actions, open, tab);
      bar.look(model);
      if (jobs || model.canvas !== before.canvas) canvas.look(model);
      if (looks || model.viewer !== before.viewer || model.previews !== before.previews) compareAgain(model);
      if (jobs || model.viewer !== before.viewer) readCurve(model);
      if (jobs || moved || open !== before.tray.open) timeline.changed(model, before);
      overlays(isAnythingOpen(model));
    },

    /** Another graph is on screen. */
    graphChanged() {
      for (const id of Object.keys(store.get().canvas))
        store.dispatch({ type: "canvas", job_id: id, changes: [] });
      if (!store.get().order.length) return;
      widgets.follow();
      bar.look(store.get());
      canvas.lookAnew();
      readPictures(store.get());
    },

    queueChanged: watch.queueChanged,

    /** All anew: the page is there, or the connection is back. Where there are no jobs, one request is all. */
    async readAll() {
      const before = store.get();
      await actions.refresh();
      const model = store.get();
      if (model.order.length && countStands(model) === countStands(before)) void actions.queue();
      timeline.readAll();
      if (model.tray.open !== null) readTab(actions, model.tray.open, model.tray.tab);
    },

    /** The next page is read when the end of the list comes near. */
    trayDrawn() {
      if (needsMore(store.get())) queueMicrotask(() => void actions.more());
    },

    /** A dialog that was drawn just now opens before the next task. @param {Element} host */
    overlaysDrawn(host) {
      const current = host.querySelector(".midrun-frame[aria-current]");
      if (current !== frame) queueMicrotask(() => current?.scrollIntoView({ block: "nearest", inline: "center" }));
      frame = current;
    },
  };
}

/** What the server counts, too. @param {Model} model */
const countStands = (model) =>
  [atChoices(model), living(model).filter((job) => job.state === "paused")].map(({ length }) => length).join();

/** Whether something is above the page. @param {Model} model */
const isAnythingOpen = ({ viewer, abort, confirm, fork, more, board, choosing, draftForm, ledger }) =>
  [viewer, abort, confirm, fork, more, board, choosing, draftForm, ledger].some((one) => one !== null);

/** Whether a job came to a stand or to its end. @param {Model} model @param {Model} before */
const someStopped = (model, before) => model.order.some((id) => stopped(model.jobs[id], before.jobs[id]));
