// Looks at the canvas for edits, and badges the nodes that differ, while a job of the graph on screen stands.
import { ofWorkflow } from "../model/select.js";
import { whenQuiet, whileWanted } from "../ui/schedule.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { Badges } from "./badges.js" */
/** @import { Page } from "./page.js" */

const SETTLE_MS = 250; // the canvas is compared when it has been left alone for so long

/** @param {Store} store @param {Actions} actions @param {Pick<Page, "onGraphChanged" | "ports">} page @param {Pick<Badges, "show">} badges */
export function createCanvasWatch(store, actions, page, badges) {
  const comparison = whenQuiet(SETTLE_MS, () => {
    const id = standing(store.get());
    if (id !== null) void actions.compareCanvas(id);
  });
  const listening = whileWanted(() => {
    const stop = page.onGraphChanged(comparison.ask);
    comparison.ask();
    return () => {
      stop();
      comparison.cancel();
    };
  });

  /** The newest job of the graph on screen, if it stands. @param {Model} model @returns {string | null} */
  function standing(model) {
    const job = ofWorkflow(model, page.ports.workflowId());
    const stands = job?.state === "paused" || job?.state === "failed";
    return stands && job.evaluations > 0 ? job.job_id : null;
  }

  /** @param {Model} model */
  function look(model) {
    const id = standing(model);
    listening(id !== null);
    badges.show(id === null ? [] : (model.canvas[id] ?? []));
  }

  return {
    look,
    /** Another graph is on screen: nothing that was told of the former holds. */
    lookAnew() {
      badges.show([]);
      listening(false);
      look(store.get());
    },
  };
}
