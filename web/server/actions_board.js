// What a user can ask for of drafts: make them, choose among them, discard the rest.
import { Refused } from "./client.js";
import { onBoardOf, undecidedOf } from "../model/select_board.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Client } from "./client.js" */
/** @import { Ports, Requests } from "./requests.js" */

/** @param {Client} client @param {Store} store @param {Ports} ports @param {Requests} requests */
export function createBoardActions(client, store, ports, { quietly, messageOf }) {
  const { dispatch } = store;

  /** @param {() => Promise<any>} work @param {(message: string) => void} refused */
  async function trying(work, refused) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused(messageOf(error));
      return null;
    }
  }

  /** @param {any[]} jobs */
  const show = (jobs) => {
    for (const job of jobs) dispatch({ type: "job", job, at: ports.clock() });
  };

  /** Of each that was asked; what refused is told. @param {string[]} ids @param {() => Promise<{ jobs: any[] }>} work */
  async function each(ids, work) {
    if (!ids.length) return;
    const answer = await trying(work, (told) => dispatch({ type: "board", told }));
    if (answer === null) return;
    const refused = answer.jobs.filter((/** @type {any} */ one) => one.error);
    const told = refused.length ? refused[0].error.message : null;
    const left = refused.map((/** @type {any} */ one) => one.job_id);
    dispatch({ type: "board", ticked: ticked().filter((id) => left.includes(id)), told });
    await actions.readBoard();
  }

  const ticked = () => {
    const { board } = store.get();
    return board === null ? [] : board.ids.filter((id) => board.ticked.includes(id));
  };

  const actions = {
    /** With the seed of a node on the canvas. @param {string} nodeId @param {string} input */
    askToDraft: (nodeId, input) => dispatch({ type: "draftForm", node_id: nodeId, input }),
    /** As the form says now: what was typed last may not have been drawn yet. */
    async draftAsAsked() {
      const form = store.get().draftForm;
      if (form === null || form.sent) return;
      dispatch({ type: "draftForm", sent: true, message: null });
      const refused = (/** @type {string} */ message) => dispatch({ type: "draftForm", sent: false, message });
      const vary = { [form.node_id]: { [form.input]: { random: form.count } } };
      const made = await trying(async () => {
        const { prompt, workflow } = await ports.canvas().catch((error) => {
          throw new Refused(0, { code: "canvas", message: String(error?.message ?? error) });
        });
        return client.draft(prompt, workflow, vary, form.step);
      }, refused);
      if (made === null) return;
      show(made.jobs);
      dispatch({ type: "draftFormClosed" });
      await actions.openBoard(made.grid);
    },
    /** @param {string} grid */
    async openBoard(grid) {
      dispatch({ type: "board", grid, ids: [], ticked: [], told: null, step: null });
      await actions.readBoard();
    },
    async readBoard() {
      const { board } = store.get();
      if (board === null) return;
      await quietly("", async () => {
        const { jobs } = await client.jobsOf(board.grid);
        show(jobs);
        if (store.get().board?.grid === board.grid)
          dispatch({ type: "board", ids: jobs.map((job) => job.job_id) });
        await Promise.all(jobs.map((job) => actions.readPicture(job.job_id)));
      });
    },
    /** Pictures of jobs of which nothing was heard since the page was opened. @param {string} id */
    async readPicture(id) {
      const { previews, jobs } = store.get();
      if (previews[id] !== undefined || !jobs[id]?.preview_url) return;
      await quietly(id, async () =>
        dispatch({ type: "previews", job_id: id, ...(await client.previews(id)) }),
      );
    },
    /** The ticked ones, to that step or to their end. @param {number | null} step */
    goOn: (step) => each(ticked(), () => client.goOn(ticked(), step)),
    /** All that are open, to that step. @param {number} step */
    allTo(step) {
      const { board } = store.get();
      const ids = board === null ? [] : undecidedOf(onBoardOf(store.get(), board)).map((job) => job.job_id);
      return each(ids, () => client.goOn(ids, step));
    },
    /** All that are not ticked, and have not ended. */
    discardRest() {
      const { board } = store.get();
      if (board === null) return Promise.resolve();
      const rest = undecidedOf(onBoardOf(store.get(), board)).map((job) => job.job_id);
      const ids = rest.filter((id) => !board.ticked.includes(id));
      const reason = ports.t("board.discarded");
      return each(ids, () => client.several("abort", { ids, reason }));
    },
  };
  return actions;
}
