// What a user can ask for of time travel, breakpoints and comparing.
import { Refused } from "./client.js";
import { editorOf, pathKey } from "../model/reducer_editor.js";
import { forkPlan } from "../model/select_fork.js";
import { breakpointOf, lackOf, moreOf } from "../model/select_travel.js";
/** @import { Breakpoint, Measured } from "../model/types.js" */
/** @import { Store } from "../model/action_types.js" */
/** @import { Client } from "./client.js" */
/** @import { Ports, Requests } from "./requests.js" */

/**
 * @param {Client} client @param {Store} store @param {Ports} ports @param {Requests} requests
 * @param {(id: string) => Promise<void>} readParams
 */
export function createTravelActions(client, store, ports, { ask, quietly, messageOf }, readParams) {
  const { dispatch } = store;

  /** Where the job then is, is what is shown, unless somebody chose meanwhile. @param {Promise<boolean>} asked */
  async function thenShowNewest(asked) {
    const { cursor } = store.get();
    const done = await asked;
    if (done && store.get().cursor === cursor) dispatch({ type: "cursor", job_id: null });
    return done;
  }

  const known = (/** @type {string} */ id) => store.get().jobs[id]?.breakpoints ?? [];

  /** @param {string} id @param {(known: Breakpoint[]) => any[]} change of those that it has when its turn comes */
  const setBreakpoints = (id, change) =>
    ask(id, "breakpoints", async () => {
      const { breakpoints } = await client.setBreakpoints(id, change(known(id)));
      dispatch({ type: "breakpoints", job_id: id, breakpoints });
    });

  /** The same, shown before the server agrees. @param {string} id @param {(known: Breakpoint[]) => Breakpoint[]} change that may be made twice */
  async function changeAtOnce(id, change) {
    dispatch({ type: "breakpoints", job_id: id, breakpoints: change(known(id)) });
    const done = await setBreakpoints(id, change);
    if (!done)
      await quietly(id, async () => dispatch({ type: "job", job: await client.job(id), at: ports.clock() }));
    return done;
  }

  return {
    // -- back and forth ----------------------------------------------------------------------------------
    rewind: (
      /** @type {string} */ id,
      /** @type {number} */ step,
      /** @type {string | null} */ node = null,
    ) => thenShowNewest(ask(id, "rewind", () => client.rewind(id, step, node))),
    /** To where an input can be edited, with what was typed into it. */
    async rewindWithEdit(/** @type {string} */ id, /** @type {string} */ node, /** @type {string} */ input) {
      const { nodes, drafts } = editorOf(store.get(), id);
      const [rewind, draft] = [nodes?.[node]?.inputs[input]?.rewind, drafts[pathKey(node, input)]];
      if (!rewind || draft?.value === undefined) return false;
      const params = { [node]: { [input]: draft.value } };
      const asked = ask(id, "rewind", () => client.rewind(id, rewind.step, rewind.node_id, params));
      const done = await thenShowNewest(asked);
      if (done) {
        dispatch({ type: "saved", job_id: id, drafts: { [pathKey(node, input)]: draft } });
        await readParams(id);
      }
      return done;
    },
    undoRewind: (/** @type {string} */ id) => thenShowNewest(ask(id, "restore", () => client.restore(id))),

    // -- forks -------------------------------------------------------------------------------------------
    /** The first input to vary is the sampler's cfg, where it has one. */
    async askToFork(
      /** @type {string} */ id,
      /** @type {number} */ step,
      /** @type {string | null} */ node = null,
    ) {
      await readParams(id);
      const { editors, jobs } = store.get();
      const at = node ?? jobs[id]?.node_id ?? null;
      const cfg = at !== null && editors[id]?.nodes?.[at]?.inputs.cfg;
      const key = cfg ? pathKey(at, "cfg") : "";
      dispatch({ type: "forkDialog", job_id: id, node_id: at, step, key });
    },
    /** As the dialog says now: what was typed last may not have been drawn yet. */
    async forkAsAsked() {
      const { fork } = store.get();
      if (fork === null || fork.sent) return;
      const plan = forkPlan(store.get(), fork);
      if (!plan.ready) return;
      dispatch({ type: "forkAsked" });
      const node = fork.node_id === null ? {} : { node_id: fork.node_id };
      try {
        const { jobs } = await client.fork(fork.job_id, { step: fork.step, vary: plan.vary, ...node });
        for (const job of jobs) dispatch({ type: "job", job, at: ports.clock() });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const message = messageOf(error);
        return dispatch({ type: "forkRefused", message, rejected: error.rejected });
      }
      dispatch({ type: "forkDialog", job_id: null });
      if (store.get().tray.open === fork.job_id) dispatch({ type: "open", job_id: null });
      dispatch({ type: "tray", filter: "all" });
    },

    askForMore: (/** @type {string} */ id) => dispatch({ type: "moreDialog", job_id: id }),
    /** As the dialog says now. The new job is shown where the old one was. */
    async moreAsAsked() {
      const { more } = store.get();
      const steps = more && moreOf(more.steps);
      if (more === null || more.sent || steps === null) return;
      dispatch({ type: "more", sent: true });
      try {
        const job = await client.more(more.job_id, steps);
        dispatch({ type: "job", job, at: ports.clock() });
        dispatch({ type: "moreDialog", job_id: null });
        dispatch({ type: "view", job_id: null });
        if (store.get().tray.open === more.job_id) dispatch({ type: "open", job_id: job.job_id });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        dispatch({ type: "more", sent: false, message: messageOf(error) });
      }
    },

    // -- breakpoints -------------------------------------------------------------------------------------
    addBreakpoint(/** @type {string} */ id) {
      const form = store.get().breakpointForm;
      const added = breakpointOf(form);
      if (added === null)
        return dispatch({ type: "breakpointForm", refused: ports.t(lackOf(form)) });
      dispatch({ type: "breakpointAdded" });
      return setBreakpoints(id, (all) => [...all, added]);
    },
    changeBreakpoint: (
      /** @type {string} */ id,
      /** @type {string} */ which,
      /** @type {Partial<Breakpoint>} */ more,
    ) => changeAtOnce(id, (all) => all.map((one) => (one.id === which ? { ...one, ...more } : one))),
    removeBreakpoint: (/** @type {string} */ id, /** @type {string} */ which) =>
      changeAtOnce(id, (all) => all.filter((one) => one.id !== which)),
    /** Shown at once: what is drawn before the setting is stored must not turn the switch back. */
    watchEverything(/** @type {boolean} */ on) {
      dispatch({ type: "watching", on });
      return ports.setSetting("Midrun.WatchEverything", on);
    },

    // -- what was measured, and what differs -------------------------------------------------------------
    /** What is told while the answer is on its way stays. */
    telemetry: (/** @type {string} */ id) =>
      quietly(id, async () => {
        const before = new Set(store.get().telemetry[id]);
        const { telemetry } = await client.telemetry(id);
        const there = new Set(telemetry.map(placeOf));
        const told = (store.get().telemetry[id] ?? []).filter((one) => !before.has(one) && !there.has(placeOf(one)));
        dispatch({ type: "telemetry", job_id: id, telemetry: [...telemetry, ...told] });
      }),
    /** Read how far two jobs are apart over the steps. */
    async readCurve(/** @type {string} */ id, /** @type {string} */ other, /** @type {string} */ key) {
      const was = store.get().curve;
      const none = { job_id: id, with: other, points: [], first: null, message: null, known: false };
      const curve = { ...(was?.job_id === id && was.with === other ? was : none), key };
      dispatch({ type: "curve", curve });
      /** @type {any} */ let found;
      try {
        const { steps, first } = await client.apart(id, other);
        found = { points: steps.map(curvePoint).filter(isNumber), first, message: null, known: true };
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        found = { message: messageOf(error), known: true };
      }
      if (store.get().curve === curve) dispatch({ type: "curve", curve: { ...curve, ...found } });
    },
    /** Read what differs between two jobs after a step. */
    async compareJobs(/** @type {string} */ id, /** @type {string} */ other, /** @type {number} */ step) {
      const comparison = { job_id: id, with: other, step, other: null, differences: [], message: null };
      dispatch({ type: "comparison", comparison });
      /** @type {any} */ let found;
      try {
        const answer = await client.compare(id, other, step);
        found = { other: answer.jobs[1]?.preview_url ?? null, differences: answer.differences };
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        found = { message: messageOf(error) };
      }
      if (store.get().comparison === comparison)
        dispatch({ type: "comparison", comparison: { ...comparison, ...found } });
    },
  };
}

/** @param {Measured} one */
const placeOf = ({ node_id, step }) => `${node_id} ${step}`;

/** @param {{ step: number, difference: number | null }} one */
const curvePoint = ({ step, difference }) => ({ step, value: difference });

/** @param {{ value: number | null }} point */
const isNumber = ({ value }) => value !== null;
