// How a request about a job is made: one at a time, and a refusal is kept with its job.
import { Refused } from "./client.js";
/** @import { Canvas } from "../model/canvas_changes.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Store } from "../model/action_types.js" */

/**
 * @typedef {{
 *   t: Translate,
 *   clock: () => number,
 *   setting: (id: string) => any,
 *   setSetting: (id: string, value: any) => any,
 *   canvas: () => Promise<Canvas>,
 *   workflowId: () => string | null,
 *   showPanel: () => void,
 *   showTimeline: () => void,
 *   hasTimeline: () => boolean,
 *   insertExample: () => void,
 * }} Ports  what is needed of the page
 * @typedef {ReturnType<typeof createRequests>} Requests
 */

const WAITING = ["edit", "breakpoints"]; // verbs that are carried out one after the other, however often

/** @param {Store} store @param {Pick<Ports, "t" | "clock">} ports */
export function createRequests(store, ports) {
  const { dispatch } = store;
  /** @type {Map<string, { verb: string, done: Promise<boolean> }>} */ const inFlight = new Map(); // by job_id

  /** @param {Refused} error */
  const messageOf = (error) => (error.code === "offline" ? ports.t("error.offline") : error.message);

  /** @param {string} id @param {unknown} error */
  function refuse(id, error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === "unknown_job") return dispatch({ type: "gone", job_ids: [id] });
    if (error.rejected.length) dispatch({ type: "rejected", job_id: id, rejected: error.rejected });
    dispatch({ type: "refused", job_id: id, message: messageOf(error) });
  }

  /**
   * One request a job at a time: the same verb again is dropped, others and further edits wait.
   * @param {string} id @param {string} verb @param {() => Promise<any>} request a Job @returns {Promise<boolean>}
   */
  async function ask(id, verb, request) {
    const before = inFlight.get(id);
    if (before?.verb === verb && !WAITING.includes(verb)) return false;
    const done = (before?.done ?? Promise.resolve(true))
      .catch(() => false)
      .then(() => askNow(id, verb, request));
    inFlight.set(id, { verb, done });
    return done.finally(() => {
      if (inFlight.get(id)?.done === done) inFlight.delete(id);
    });
  }

  /** @param {string} id @param {string} verb @param {() => Promise<any>} request @returns {Promise<boolean>} */
  async function askNow(id, verb, request) {
    dispatch({ type: "ask", job_id: id, verb });
    try {
      const job = await request();
      if (job) dispatch({ type: "job", job, at: ports.clock() });
      dispatch({ type: "answered", job_id: id });
      return true;
    } catch (error) {
      refuse(id, error);
      return false;
    }
  }

  /** Read what is only wanted for show; without it there is less to see. @param {string} id @param {() => Promise<any>} work */
  async function quietly(id, work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.code === "unknown_job") dispatch({ type: "gone", job_ids: [id] });
    }
  }

  return { ask, quietly, messageOf };
}
