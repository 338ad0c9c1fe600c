// What a user can ask for: asks the server and tells the store. The only caller of the client besides index.js.
import { wayOn } from "../model/select_command.js";
import { createBoardActions } from "./actions_board.js";
import { createChoiceActions } from "./actions_choice.js";
import { createEditActions } from "./actions_edit.js";
import { createLensActions } from "./actions_lens.js";
import { createListActions } from "./actions_list.js";
import { createSeveralActions } from "./actions_several.js";
import { createTravelActions } from "./actions_travel.js";
import { createRequests } from "./requests.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Way } from "../model/select_command.js" */
/** @import { Client } from "./client.js" */
/** @import { Ports } from "./requests.js" */

/** @typedef {ReturnType<typeof createActions>} Actions */

/** @param {Client} client @param {Store} store @param {Ports} ports */
export function createActions(client, store, ports) {
  const { dispatch } = store;
  const requests = createRequests(store, ports);
  const { ask, quietly } = requests;
  const editing = createEditActions(client, store, ports, requests);

  const listing = createListActions(client, store, ports, requests);

  const several = createSeveralActions(client, store, requests, listing.refresh);

  const actions = {
    ...listing,
    ...several,
    ...createChoiceActions(client, store, ports, requests, several.queue),
    ...editing,
    ...createBoardActions(client, store, ports, requests),
    ...createLensActions(client, store, requests),
    ...createTravelActions(client, store, ports, requests, editing.params),

    // -- a job -------------------------------------------------------------------------------------------
    pause: (/** @type {string} */ id) => ask(id, "pause", () => client.pause(id)),
    resume: (/** @type {string} */ id) => ask(id, "resume", () => client.resume(id)),
    /** Pauses it, or lets it go on: opens its choice if it waits for one. A button says which way it showed. */
    pauseOrResume(/** @type {string} */ id, /** @type {Way | null} */ way = wayOn(store.get().jobs[id])) {
      if (way === "choose") return actions.openChoice(id);
      if (way === null) return undefined;
      return way === "pause" ? actions.pause(id) : actions.resume(id);
    },
    step: (/** @type {string} */ id) => ask(id, "step", () => client.step(id)),
    check: (/** @type {string} */ id) => ask(id, "check", () => client.check(id).then(() => client.job(id))),
    cancelCheck: (/** @type {string} */ id) =>
      ask(id, "cancelCheck", () => client.cancelCheck(id).then(() => client.job(id))),
    async remove(/** @type {string} */ id) {
      dispatch({ type: "remove", job_id: null });
      if (await ask(id, "remove", () => client.remove(id))) {
        dispatch({ type: "gone", job_ids: [id] });
        await actions.usage();
      }
    },
    async previews(/** @type {string} */ id) {
      if (!store.get().jobs[id]?.preview_url) return; // there are none
      await quietly(id, async () =>
        dispatch({ type: "previews", job_id: id, ...(await client.previews(id)) }),
      );
    },
    events: (/** @type {string} */ id) =>
      quietly(id, async () =>
        dispatch({ type: "events", job_id: id, events: (await client.events(id)).events }),
      ),
    /** What its tab shows is read by what follows from the change: comfyui/effects.js. */
    open(/** @type {string | null} */ id, /** @type {string} */ tab = "parameters") {
      dispatch({ type: "open", job_id: id, tab });
      if (id === null) return;
      void actions.previews(id);
      if (store.get().jobs[id]?.imported) void actions.read(id); // what is otherwise for it by now
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
    /** The same step of another job beside it. */
    compareWith(
      /** @type {string} */ id,
      /** @type {string | null} */ nodeId,
      /** @type {number | null} */ step,
      /** @type {string} */ other,
    ) {
      actions.view(id, nodeId, step);
      dispatch({ type: "viewer", compare: { job: other } });
    },
    showTimeline: ports.showTimeline,
    hasTimeline: ports.hasTimeline,

    // -- aborting ----------------------------------------------------------------------------------------
    /** With a dialog, unless the user does not want one. */
    async askToAbort(/** @type {string} */ id) {
      if (ports.setting("Midrun.ConfirmAbort") === false) return actions.abort(id, null, "stop");
      dispatch({ type: "abortDialog", job_id: id });
      await quietly(id, async () => {
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

    async resumeWithChanges(/** @type {string} */ id) {
      return (await actions.save(id)) && actions.resume(id);
    },
    editFromNode(/** @type {string} */ id) {
      ports.showPanel();
      actions.open(id);
    },
    insertExample: ports.insertExample,
  };
  return actions;
}
