// What a user can ask for where a job waits for a choice.
import { atChoices } from "../model/select_choice.js";
import { Refused } from "./client.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Client } from "./client.js" */
/** @import { Ports, Requests } from "./requests.js" */

/** @param {Client} client @param {Store} store @param {Ports} ports @param {Requests} requests @param {() => Promise<void>} readQueue */
export function createChoiceActions(client, store, ports, { messageOf }, readQueue) {
  const { dispatch } = store;
  const closed = { ticked: [], painting: null, painted: false, sent: false, message: null };

  const actions = {
    /** @param {string} id */
    openChoice: (id) => dispatch({ type: "choosing", job_id: id, ...closed }),
    /** The oldest that waits. */
    openNextChoice() {
      const [id] = atChoices(store.get());
      if (id !== undefined) actions.openChoice(id);
    },
    /** The job goes on with what is ticked. @param {Blob | null} mask that was painted */
    async chooseTicked(mask) {
      const { choosing } = store.get();
      if (choosing === null || choosing.sent) return;
      dispatch({ type: "choosing", sent: true, message: null });
      try {
        const painted = mask && choosing.painted ? await client.uploadMask(mask, choosing.job_id) : null;
        const job = await client.choose(choosing.job_id, choosing.ticked, painted);
        dispatch({ type: "job", job, at: ports.clock() });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (store.get().choosing?.job_id === choosing.job_id)
          dispatch({ type: "choosing", sent: false, message: messageOf(error) });
        return;
      }
      const next = atChoices(store.get()).find((id) => id !== choosing.job_id);
      if (next === undefined) dispatch({ type: "choosingClosed" });
      else actions.openChoice(next);
      await readQueue();
    },
  };
  return actions;
}
