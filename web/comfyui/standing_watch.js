// Sees that what stands goes on or is gone: jobs of other clients are not told to this page.
import { standing } from "../model/select_places.js";
import { againWhileWanted, soon } from "../ui/schedule.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */

const SETTLE_MS = 250;
const LOOK_MS = 10_000; // between two looks

/** @param {Store} store @param {Pick<Actions, "queue" | "refresh" | "unfinished">} actions */
export function createStandingWatch(store, actions) {
  const lookSoon = soon(SETTLE_MS, () => ask(store.get().tray.shown));
  const watch = againWhileWanted(LOOK_MS, () => !store.get().offline && ask(false));

  /** @param {boolean} all also the newest jobs */
  function ask(all) {
    void actions.queue();
    void (all ? actions.refresh() : actions.unfinished());
  }

  return {
    /** That a held job goes on, or that a parked one is deleted, changes nothing in ComfyUI's queue. @param {Model} model */
    look: (model) => watch(standing(model) > 0),

    /** ComfyUI's queue changed, which it tells every page. */
    queueChanged() {
      if (store.get().tray.shown || standing(store.get())) lookSoon();
    },
  };
}
