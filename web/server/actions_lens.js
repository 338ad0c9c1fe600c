// What a user can ask for to see what a word of a prompt does.
import { Refused } from "./client.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Lens } from "../model/types.js" */
/** @import { Client } from "./client.js" */
/** @import { Requests } from "./requests.js" */

const LOOK_MS = 300;
const OPEN = ["queued", "running"];

/** @param {Client} client @param {Store} store @param {Requests} requests */
export function createLensActions(client, store, { messageOf }) {
  const { dispatch } = store;
  const isOpen = (/** @type {Lens | null | undefined} */ found) => OPEN.includes(found?.state ?? "");
  let asked = 0; // so that what was asked for before says nothing any more

  const pause = () => new Promise((resolve) => setTimeout(resolve, LOOK_MS));

  /** @param {string} id @param {number} mine */
  async function follow(id, mine) {
    while (mine === asked && isOpen(store.get().lens?.found)) {
      await pause();
      const found = await client.lens(id);
      if (mine === asked) dispatch({ type: "lens", found });
    }
  }

  /** One that is not over is not wanted any more. @returns {Promise<void>} */
  async function stop() {
    const { lens } = store.get();
    asked += 1;
    if (lens === null || !isOpen(lens.found)) return;
    try {
      await client.cancelLens(lens.job_id);
      while (isOpen(await client.lens(lens.job_id))) await pause();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  return {
    /** Show or hide the words of an input. */
    async toggleLens(/** @type {string} */ id, /** @type {string} */ node, /** @type {string} */ input) {
      const { lens } = store.get();
      const shown = lens?.job_id === id && lens.node_id === node && lens.input === input;
      const stopped = stop();
      dispatch(shown ? { type: "lensClosed" } : { type: "lensOf", job_id: id, node_id: node, input });
      await stopped;
    },
    /** What that word does at a step; null: the newest. */
    async lookAtWord(/** @type {string} */ word, /** @type {number | null} */ step) {
      const stopped = stop();
      const mine = asked;
      dispatch({ type: "lens", word, found: null, message: null });
      await stopped;
      const { lens } = store.get();
      if (lens === null || mine !== asked) return;
      const { job_id, node_id, input } = lens;
      const wanted = { node_id, input, without: word, ...(step === null ? {} : { step }) };
      try {
        const found = await client.lookInto(job_id, wanted);
        if (mine !== asked) return;
        dispatch({ type: "lens", found });
        await follow(job_id, mine);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (mine === asked) dispatch({ type: "lens", found: null, message: messageOf(error) });
      }
    },
  };
}
