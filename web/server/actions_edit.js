// What the editor of parameters asks for, and the canvas as an editor.
import { changesOnCanvas, promptToSend } from "../model/canvas_changes.js";
import { editorOf, pathKey } from "../model/reducer_editor.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Client } from "./client.js" */
/** @import { Ports, Requests } from "./requests.js" */

/** @param {Client} client @param {Store} store @param {Ports} ports @param {Requests} requests */
export function createEditActions(client, store, ports, { ask, quietly }) {
  const { dispatch } = store;

  const params = (/** @type {string} */ id) =>
    quietly(id, async () => dispatch({ type: "params", job_id: id, nodes: (await client.params(id)).nodes }));

  return {
    params,
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
        await params(id);
      }
      return saved;
    },
    async undo(/** @type {string} */ id, /** @type {string} */ node, /** @type {string} */ input) {
      const isDraft = pathKey(node, input) in editorOf(store.get(), id).drafts;
      dispatch({ type: "undraft", job_id: id, node_id: node, input });
      if (isDraft) return;
      await ask(id, "edit", () => client.undo(id, node, input));
      await params(id);
    },
    async undoAll(/** @type {string} */ id) {
      dispatch({ type: "undraft", job_id: id });
      await ask(id, "edit", () => client.undoAll(id));
      await params(id);
    },

    // -- the canvas as an editor -------------------------------------------------------------------------
    /** Look for what differs between the graph on screen and the job. */
    async compareCanvas(/** @type {string} */ id) {
      await quietly(id, async () => {
        const nodes = (await client.params(id)).nodes;
        dispatch({ type: "params", job_id: id, nodes });
        const changes = changesOnCanvas(nodes, await ports.canvas(), store.get().canvasBaselines[id] ?? {});
        dispatch({ type: "canvas", job_id: id, changes });
      });
    },
    async resumeFromCanvas(/** @type {string} */ id) {
      const nodes = editorOf(store.get(), id).nodes;
      if (nodes === null || ports.workflowId() !== store.get().jobs[id]?.workflow.id)
        return dispatch({ type: "confirm", job_id: null }); // another workflow came on screen
      const { prompt, sent } = promptToSend(
        nodes,
        await ports.canvas(),
        store.get().canvasBaselines[id] ?? {},
      );
      dispatch({ type: "confirm", job_id: null });
      if (await ask(id, "resume", () => client.resume(id, prompt)))
        dispatch({ type: "canvasSent", job_id: id, values: sent });
    },
  };
}
