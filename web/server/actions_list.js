// What the list of jobs asks for: its pages, what the jobs take on the disk, and jobs of other clients.
import { ACTIVE } from "../model/select.js";
import { Refused } from "./client.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Client } from "./client.js" */
/** @import { Ports, Requests } from "./requests.js" */

const PAGE = 200;
const STALE_MS = 2500;
const UNFINISHED = [...ACTIVE, "paused"];

/** @param {Client} client @param {Store} store @param {Pick<Ports, "clock">} ports @param {Requests} requests */
export function createListActions(client, store, ports, { quietly, messageOf }) {
  const { dispatch } = store;

  /** @param {boolean} first */
  async function readPage(first) {
    const { loading, next } = store.get();
    if (!first && (loading || next === null)) return;
    dispatch({ type: "loading" });
    const since = ports.clock();
    try {
      const page = await client.jobs(first ? {} : { limit: PAGE, before: next ?? undefined });
      dispatch({ type: "jobs", ...page, first, since, at: ports.clock() });
      dispatch({ type: "offline", offline: false });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      dispatch({ type: "loadingFailed" });
    }
  }

  /** Jobs in those states, as far as this page knows, of which it heard nothing since. @param {string[]} states @param {number} since */
  async function readThose(states, since) {
    const { jobs, order, received } = store.get();
    const old = order.filter((id) => states.includes(jobs[id].state) && received[id] < since);
    if (!old.length) return;
    await quietly("", async () => {
      const page = await client.jobs({ state: states, limit: PAGE });
      dispatch({ type: "read", jobs: page.jobs, at: ports.clock() });
      const there = new Set(page.jobs.map((job) => job.job_id));
      const left = old.filter((id) => !there.has(id)).slice(0, 10);
      await Promise.all(left.map((id) => list.read(id)));
    });
  }

  const list = {
    /** The newest jobs, and of the others those that this page believes to be unfinished. */
    async refresh() {
      const since = ports.clock();
      await readPage(true);
      await readThose(UNFINISHED, since);
    },
    /** Those that this page believes to be unfinished: another client may have let them go on, or deleted them. */
    unfinished: () => readThose(UNFINISHED, Infinity),
    more: () => readPage(false),
    async usage() {
      await quietly("", async () => dispatch({ type: "usage", usage: await client.usage() }));
    },
    /** What became of the GPU's time, in a dialog. */
    async openLedger() {
      dispatch({ type: "ledger" });
      try {
        const told = await client.ledger();
        if (store.get().ledger !== null) dispatch({ type: "ledger", told });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (store.get().ledger !== null) dispatch({ type: "ledger", message: messageOf(error) });
      }
    },
    /** Jobs at work of which nothing was heard: another client's, whose events go elsewhere. */
    poll: () => readThose(ACTIVE, ports.clock() - STALE_MS),
    /** What other servers have in the shared store. */
    async others() {
      await quietly("", async () => {
        const { store: url, trouble, jobs } = await client.store();
        dispatch({ type: "tray", shares: url !== null, trouble, others: jobs });
      });
    },
    /** A job of another server is this one's from now on, unless its server lives. @param {string} key */
    async take(key) {
      dispatch({ type: "tray", taken: null });
      try {
        const job = await client.take(key);
        dispatch({ type: "job", job, at: ports.clock() });
        dispatch({ type: "open", job_id: job.job_id });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        dispatch({ type: "tray", taken: messageOf(error) });
      }
      await list.others();
    },
    /** Bundles, one after the other; the last job that came in is opened. @param {File[]} files */
    async importFiles(files) {
      for (const file of files) {
        dispatch({ type: "tray", incoming: { name: file.name, refused: null } });
        try {
          const job = await client.importBundle(file);
          dispatch({ type: "job", job, at: ports.clock() });
          dispatch({ type: "tray", incoming: null });
          dispatch({ type: "open", job_id: job.job_id });
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          dispatch({ type: "tray", incoming: { name: file.name, refused: messageOf(error) } });
          return;
        }
      }
      await list.usage();
    },
    read: (/** @type {string} */ id) =>
      quietly(id, async () => dispatch({ type: "job", job: await client.job(id), at: ports.clock() })),
  };
  return list;
}
