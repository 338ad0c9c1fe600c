// What a user can ask for: asks the server and tells the store. The only caller of the client besides index.js.
import { Refused } from "./client.js";
import { changesOnCanvas, promptToSend } from "../model/canvas_changes.js";
import { editorOf, pathKey } from "../model/reducer_editor.js";
import { ACTIVE } from "../model/select.js";
import { createTravel } from "./actions_travel.js";
/** @import { Canvas } from "../model/canvas_changes.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Store } from "../model/action_types.js" */
/** @import { Client } from "./client.js" */

/**
 * @typedef {{
 *   t: Translate,
 *   clock: () => number,
 *   setting: (id: string) => any,
 *   setSetting: (id: string, value: any) => any,
 *   canvas: () => Promise<Canvas>,
 *   workflowId: () => string | null,
 *   showPanel: () => void,
 *   insertExample: () => void,
 * }} Ports  what is needed of the page
 * @typedef {ReturnType<typeof createActions>} Actions
 */

const PAGE = 200;
const WAITING = ["edit", "breakpoints"]; // verbs that are carried out one after the other, however often
const STALE_MS = 2500;

/** @param {Client} client @param {Store} store @param {Ports} ports */
export function createActions(client, store, ports) {
  const { dispatch } = store;

  /** @param {string} id @param {unknown} error */
  function tell(id, error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === "unknown_job") return dispatch({ type: "gone", job_id: id });
    if (error.rejected.length) dispatch({ type: "rejected", job_id: id, rejected: error.rejected });
    const message = error.code === "offline" ? ports.t("error.offline") : error.message;
    dispatch({ type: "refused", job_id: id, message });
  }

  /** @type {Map<string, { verb: string, done: Promise<boolean> }>} */ const under = new Map(); // by job_id

  /**
   * One request a job at a time: the same verb again is dropped, others and further edits wait.
   * @param {string} id @param {string} verb @param {() => Promise<any>} request a Job @returns {Promise<boolean>}
   */
  async function ask(id, verb, request) {
    const before = under.get(id);
    if (before?.verb === verb && !WAITING.includes(verb)) return false;
    const done = (before?.done ?? Promise.resolve(true))
      .catch(() => false)
      .then(() => askNow(id, verb, request));
    under.set(id, { verb, done });
    return done.finally(() => {
      if (under.get(id)?.done === done) under.delete(id);
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
      tell(id, error);
      return false;
    }
  }

  /** Read what is only wanted for show; without it there is less to see. @param {string} id @param {() => Promise<any>} work */
  async function show(id, work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.code === "unknown_job") dispatch({ type: "gone", job_id: id });
    }
  }

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

  const readParams = (/** @type {string} */ id) =>
    show(id, async () => dispatch({ type: "params", job_id: id, nodes: (await client.params(id)).nodes }));

  const actions = {
    ...createTravel({ client, store, ports, ask, show, readParams }),

    // -- the list ----------------------------------------------------------------------------------------
    /** The newest jobs, and those that this page believes to be unfinished. */
    async refresh() {
      await readPage(true);
      await actions.poll(0);
    },
    more: () => readPage(false),
    async usage() {
      await show("", async () => dispatch({ type: "usage", usage: await client.usage() }));
    },
    /** Ask for unfinished jobs of which nothing was heard: another client's, whose events go elsewhere. */
    async poll(stale = STALE_MS) {
      const { jobs, order, received } = store.get();
      const now = ports.clock();
      const old = order.filter((id) => ACTIVE.includes(jobs[id].state) && now - received[id] >= stale);
      if (!old.length) return;
      await show("", async () => {
        const page = await client.jobs({ state: ACTIVE, limit: PAGE });
        for (const job of page.jobs) dispatch({ type: "job", job, at: ports.clock() });
        const there = new Set(page.jobs.map((job) => job.job_id));
        const left = old.filter((id) => !there.has(id)).slice(0, 10);
        await Promise.all(left.map((id) => actions.read(id)));
      });
    },
    read: (/** @type {string} */ id) =>
      show(id, async () => dispatch({ type: "job", job: await client.job(id), at: ports.clock() })),

    // -- a job -------------------------------------------------------------------------------------------
    pause: (/** @type {string} */ id) => ask(id, "pause", () => client.pause(id)),
    resume: (/** @type {string} */ id) => ask(id, "resume", () => client.resume(id)),
    step: (/** @type {string} */ id) => ask(id, "step", () => client.step(id)),
    async remove(/** @type {string} */ id) {
      dispatch({ type: "remove", job_id: null });
      if (await ask(id, "remove", () => client.remove(id))) {
        dispatch({ type: "gone", job_id: id });
        await actions.usage();
      }
    },
    async previews(/** @type {string} */ id) {
      if (!store.get().jobs[id]?.preview_url) return; // there are none
      await show(id, async () => dispatch({ type: "previews", job_id: id, ...(await client.previews(id)) }));
    },
    events: (/** @type {string} */ id) =>
      show(id, async () =>
        dispatch({ type: "events", job_id: id, events: (await client.events(id)).events }),
      ),
    /** What its tab shows is read by what follows from the change: comfyui/effects.js. */
    open(/** @type {string | null} */ id, /** @type {string} */ tab = "parameters") {
      dispatch({ type: "open", job_id: id, tab });
      if (id === null) return;
      void actions.previews(id);
      const parent = store.get().jobs[id]?.parent?.job_id;
      if (parent && !(parent in store.get().jobs)) void actions.read(parent);
    },
    view(
      /** @type {string | null} */ id,
      /** @type {string | null} */ nodeId = null,
      /** @type {number | null} */ step = null,
    ) {
      dispatch({ type: "view", job_id: id, node_id: nodeId, step });
      if (id !== null) void actions.previews(id);
    },

    // -- aborting ----------------------------------------------------------------------------------------
    /** With a dialog, unless the user does not want one. */
    async askToAbort(/** @type {string} */ id) {
      if (ports.setting("Midrun.ConfirmAbort") === false) return actions.abort(id, null, "stop");
      dispatch({ type: "abortDialog", job_id: id });
      await show(id, async () => {
        const { failures } = await client.failures();
        const reasons = failures.map((/** @type {any} */ one) => one.reason).filter(Boolean);
        dispatch({ type: "abort", reasons: [...new Set(reasons)].slice(0, 20) });
      });
    },
    /** A dialog that is open stays, and shows the partial result or what was refused. */
    async abort(/** @type {string} */ id, /** @type {string | null} */ reason, /** @type {string} */ mode) {
      dispatch({ type: "abort", sent: true });
      const done = await ask(id, "abort", () => client.abort(id, reason || null, mode));
      if (store.get().abort?.job_id !== id) return done;
      const shows = done && mode === "stop" && store.get().jobs[id]?.evaluations > 0;
      if (done && !shows) dispatch({ type: "abortDialog", job_id: null });
      else if (shows) await actions.events(id);
      else dispatch({ type: "abort", sent: false });
      return done;
    },
    /** As the dialog says now: what was typed last may not have been drawn yet. */
    abortAsAsked() {
      const { abort } = store.get();
      return abort && !abort.sent ? actions.abort(abort.job_id, abort.reason.trim(), abort.mode) : false;
    },

    // -- editing -----------------------------------------------------------------------------------------
    params: readParams,
    draft: (
      /** @type {string} */ id,
      /** @type {string} */ node,
      /** @type {string} */ input,
      /** @type {any} */ raw,
    ) => dispatch({ type: "draft", job_id: id, node_id: node, input, raw }),
    /** Send what is unsaved. @returns {Promise<boolean>} whether nothing is left unsaved */
    async save(/** @type {string} */ id, /** @type {"resume" | "next_step"} */ apply = "resume") {
      const drafts = Object.entries(editorOf(store.get(), id).drafts);
      if (!drafts.length) return true;
      const unfinished = drafts.filter(([, draft]) => draft.value === undefined);
      if (unfinished.length) {
        const rejected = unfinished.map(([key]) => {
          const [node_id, input] = JSON.parse(key);
          return { node_id, input, reason: ports.t("editor.noValue") };
        });
        dispatch({ type: "rejected", job_id: id, rejected });
        return false;
      }
      /** @type {Record<string, Record<string, any>>} */ const edits = {};
      for (const [key, draft] of drafts) {
        const [node, input] = JSON.parse(key);
        edits[node] = { ...edits[node], [input]: draft.value };
      }
      const saved = await ask(id, "edit", () => client.edit(id, edits, apply));
      if (saved) {
        dispatch({ type: "saved", job_id: id, drafts: Object.fromEntries(drafts) });
        await actions.params(id);
      }
      return saved;
    },
    async resumeWithChanges(/** @type {string} */ id) {
      return (await actions.save(id)) && actions.resume(id);
    },
    async undo(/** @type {string} */ id, /** @type {string} */ node, /** @type {string} */ input) {
      const isDraft = pathKey(node, input) in editorOf(store.get(), id).drafts;
      dispatch({ type: "undraft", job_id: id, node_id: node, input });
      if (isDraft) return;
      await ask(id, "edit", () => client.undo(id, node, input));
      await actions.params(id);
    },
    async undoAll(/** @type {string} */ id) {
      dispatch({ type: "undraft", job_id: id });
      await ask(id, "edit", () => client.undoAll(id));
      await actions.params(id);
    },

    // -- the canvas as an editor -------------------------------------------------------------------------
    /** Look for what differs between the graph on screen and the job. */
    async compareCanvas(/** @type {string} */ id) {
      await show(id, async () => {
        const nodes = (await client.params(id)).nodes;
        dispatch({ type: "params", job_id: id, nodes });
        const changes = changesOnCanvas(nodes, await ports.canvas(), store.get().base[id] ?? {});
        dispatch({ type: "canvas", job_id: id, changes });
      });
    },
    async resumeFromCanvas(/** @type {string} */ id) {
      const nodes = editorOf(store.get(), id).nodes;
      if (nodes === null || ports.workflowId() !== store.get().jobs[id]?.workflow.id)
        return dispatch({ type: "confirm", job_id: null }); // another workflow came on screen
      const { prompt, sent } = promptToSend(nodes, await ports.canvas(), store.get().base[id] ?? {});
      dispatch({ type: "confirm", job_id: null });
      if (await ask(id, "resume", () => client.resume(id, prompt)))
        dispatch({ type: "canvasSent", job_id: id, values: sent });
    },

    editFromNode(/** @type {string} */ id) {
      ports.showPanel();
      actions.open(id);
    },
    insertExample: ports.insertExample,
  };
  return actions;
}
