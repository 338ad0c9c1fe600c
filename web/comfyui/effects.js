// What follows from a change of the model, beside drawing: reading more, signs, timers. Nothing on import.
import { ACTIVE, filtered, somethingIsPaused, somethingRuns } from "../model/select.js";
import { createTitleMark, tell } from "./notifications.js";
import { previewsOf } from "../model/select_pictures.js";
import { comparedWith, comparisonOf } from "../views/compare.js";
import { ROW } from "../views/tray.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { Store } from "../model/action_types.js" */
/** @import { Page } from "./page.js" */

const TICK_MS = 1000;
const SETTLE_MS = 250; // the canvas is compared when it has been left alone for so long
const NEAR_THE_END = 20; // rows

/**
 * @param {{
 *   store: Store, actions: Actions, page: Page,
 *   widgets: ReturnType<typeof import("./node_widgets.js").createNodeWidgets>,
 *   badges: ReturnType<typeof import("./badges.js").createBadges>, overlays: (wanted: boolean) => void,
 * }} parts
 */
export function createEffects({ store, actions, page, widgets, badges, overlays }) {
  /** @type {ReturnType<typeof setInterval> | undefined} */ let ticker;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let settling;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let weighing;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let refreshing;
  /** @type {Set<string>} */ const read = new Set(); // jobs whose pictures were asked for
  /** @type {(() => void) | null} */ let deaf = null; // stops listening to the canvas
  let frame = ""; // of the film strip, that was scrolled to
  const markTitle = createTitleMark(document);
  const redraw = () => store.dispatch({ type: "tick", at: page.clock() });

  function tick() {
    store.dispatch({ type: "tick", at: page.clock() });
    if (!document.hidden && somethingRuns(store.get())) void actions.poll();
  }

  /** Time goes on only while there is something to see of it. @param {Model} model */
  function keepTime(model) {
    const wanted = somethingRuns(model) || (model.tray.shown && somethingIsPaused(model));
    if (wanted && ticker === undefined) ticker = setInterval(tick, TICK_MS);
    if (!wanted && ticker !== undefined) {
      clearInterval(ticker);
      ticker = undefined;
    }
  }

  /** The newest job of the graph on screen, if it stands. @param {Model} model @returns {string | null} */
  function standing(model) {
    const workflow = page.ports.workflowId();
    const id = model.order.find((one) => model.jobs[one].workflow.id === workflow);
    const stands =
      id !== undefined && (model.jobs[id].state === "paused" || model.jobs[id].state === "failed");
    return stands && model.jobs[id].evaluations > 0 ? id : null;
  }

  function compareSoon() {
    clearTimeout(settling);
    settling = setTimeout(() => {
      const id = standing(store.get());
      if (id !== null) void actions.compareCanvas(id);
    }, SETTLE_MS);
  }

  /** Listen to the canvas only while a job of its graph stands. @param {Model} model */
  function watchCanvas(model) {
    const id = standing(model);
    if (id !== null && deaf === null) {
      deaf = page.onGraphChanged(compareSoon);
      compareSoon();
    } else if (id === null && deaf !== null) {
      deaf();
      deaf = null;
      clearTimeout(settling);
    }
    badges.show(id === null ? [] : (model.canvas[id] ?? []));
  }

  /** Each node of several that sample shows its own pictures, also after a reload. @param {Model} model */
  function readPictures(model) {
    const workflow = page.ports.workflowId();
    const id = model.order.find((one) => model.jobs[one].workflow.id === workflow);
    if (id === undefined || id in model.previews || read.has(id)) return;
    if (model.jobs[id].sampler_nodes.length < 2 || !model.jobs[id].preview_url) return;
    read.add(id);
    void actions.previews(id);
  }

  /** Jobs of other clients are not told to this page, but that the queue changed is. */
  function refreshSoon() {
    refreshing ??= setTimeout(() => {
      refreshing = undefined;
      void actions.refresh();
    }, SETTLE_MS);
  }

  /** What the jobs take on the disk. */
  function weighSoon() {
    weighing ??= setTimeout(() => {
      weighing = undefined;
      void actions.usage();
    }, SETTLE_MS);
  }

  /** What is open is read again when its job became another. @param {Model} model @param {Model} before */
  function readAgain(model, before) {
    const left = model.abort?.sent ? model.abort.job_id : null;
    if (left !== null && model.jobs[left] !== before.jobs[left]) void actions.events(left);
    const id = model.tray.open ?? model.viewer?.job_id;
    if (!id) return;
    const [job, was] = [model.jobs[id], before.jobs[id]];
    if (!job || !was || job === was) return;
    const shown = previewsOf(model, id).some((one) => one.url === job.preview_url);
    if (job.preview_url !== was.preview_url && !shown) void actions.previews(id); // another client's job
    const edited = JSON.stringify(job.modified_params) !== JSON.stringify(was.modified_params);
    const moved = job.state === "paused" && (job.step !== was.step || job.take?.step !== was.take?.step);
    if (edited || moved || job.state !== was.state || job.node_id !== was.node_id) {
      void actions.params(id);
      if (model.tray.tab === "log") void actions.events(id);
      if (model.tray.tab === "chart") void actions.telemetry(id);
    }
  }

  /** What differs is read anew at each step. @param {Model} model */
  function compareAgain(model) {
    const wanted = model.viewer && comparedWith(model, model.viewer);
    if (model.viewer && wanted && comparisonOf(model, model.viewer)?.step !== wanted.step)
      void actions.compareJobs(model.viewer.job_id, wanted.job, wanted.step);
  }

  return {
    /** @param {Model} model @param {Model} before */
    changed(model, before) {
      if (model.order.length) page.needTexts(redraw);
      if (model.order !== before.order) {
        const added = model.order.some((id) => !(id in before.jobs) && model.jobs[id].state === "queued");
        const names = added ? page.names() : page.storedNames();
        store.dispatch({ type: "names", names });
      }
      if (model.jobs !== before.jobs) {
        markTitle(model);
        widgets.follow();
        tell(model, before, page.t, page.toast);
        readAgain(model, before);
        readPictures(model);
        keepTime(model);
        if (model.tray.shown && (model.order !== before.order || someStopped(model, before))) weighSoon();
      } else if (model.tray.shown !== before.tray.shown) keepTime(model);
      if (model.jobs !== before.jobs || model.canvas !== before.canvas) watchCanvas(model);
      if (model.viewer !== before.viewer || model.previews !== before.previews) compareAgain(model);
      overlays([model.viewer, model.abort, model.confirm, model.fork].some((one) => one !== null));
    },

    /** Another graph is on screen. */
    graphChanged() {
      for (const id of Object.keys(store.get().canvas))
        store.dispatch({ type: "canvas", job_id: id, changes: [] });
      const model = store.get();
      if (!model.order.length) return;
      widgets.follow();
      badges.show([]);
      if (deaf !== null) {
        deaf();
        deaf = null;
      }
      watchCanvas(model);
      readPictures(model);
    },

    refreshSoon,

    /** The next page is read when the end of the list comes near. */
    trayDrawn() {
      const { tray, next, loading } = store.get();
      if (tray.open !== null || loading || next === null || next === undefined) return;
      const rows = filtered(store.get()).length;
      if ((tray.top + tray.height) / ROW > rows - NEAR_THE_END) queueMicrotask(() => void actions.more());
    },

    /** @param {Element} host */
    overlaysDrawn(host) {
      const current = host.querySelector(".midrun-frame[aria-current]");
      const label = current?.getAttribute("aria-label") ?? "";
      if (label !== frame) current?.scrollIntoView({ block: "nearest", inline: "center" });
      frame = label;
    },
  };
}

/** Whether a job came to a stand or to its end. @param {Model} model @param {Model} before */
function someStopped(model, before) {
  return model.order.some((id) => {
    const was = before.jobs[id];
    return (
      was !== model.jobs[id] && was && ACTIVE.includes(was.state) && !ACTIVE.includes(model.jobs[id].state)
    );
  });
}
