// What is asked of many jobs at once, and of the queue as a whole.
import { Refused } from "./client.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Client } from "./client.js" */
/** @import { Requests } from "./requests.js" */

/** @typedef {{ ids?: string[], state?: string[], pause_reason?: string[] }} Which  none of it: all */

/** @param {Client} client @param {Store} store @param {Requests} requests @param {() => Promise<void>} refresh the list */
export function createSeveralActions(client, store, { quietly, messageOf }, refresh) {
  const { dispatch } = store;

  /** @param {string} verb @param {Which} which */
  async function ask(verb, which) {
    dispatch({ type: "several", asked: verb, sure: null, told: null });
    try {
      const { jobs } = await client.several(verb, which);
      const refused = jobs.filter((/** @type {any} */ one) => one.error);
      const told = refused.length ? { n: refused.length, of: jobs.length, why: refused[0].error.message } : null;
      dispatch({ type: "several", asked: null, told });
      const done = jobs.filter((/** @type {any} */ one) => !one.error);
      if (verb === "delete")
        dispatch({ type: "gone", job_ids: done.map((/** @type {any} */ one) => one.job_id) });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      dispatch({ type: "several", asked: null, told: { n: 0, of: 0, why: messageOf(error) } });
    }
    await Promise.all([actions.queue(), refresh()]);
  }

  const actions = {
    /** Whether the queue stands still, and how many jobs a dead server left. */
    queue: () =>
      quietly("", async () => {
        const { paused, interrupted, choices, standing } = await client.queue();
        dispatch({ type: "several", paused, interrupted, choices, standing });
      }),
    pauseAll: () => ask("pause", {}),
    resumeAll: () => ask("resume", {}),
    resumeInterrupted: () =>
      ask("resume", { state: ["paused"], pause_reason: ["server_restart", "drain"] }),
    /** Of those that are selected. @param {string} verb */
    async askSelected(verb) {
      const { selected } = store.get().several;
      if (selected?.length) await ask(verb, { ids: [...selected].reverse() }); // the oldest first
    },
  };
  return actions;
}
