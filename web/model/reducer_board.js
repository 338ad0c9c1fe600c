// Drafts: the form that makes them, and the board on which they are chosen. Part of reducer.js.
/** @import { Reducers } from "./action_types.js" */
/** @import { BoardModel } from "./types.js" */

/** @type {BoardModel} */
export const initialBoard = Object.freeze({ board: null, draftForm: null });

/** @satisfies {Partial<Reducers>} */
export const onBoard = {
  draftForm: (model, { type: _, ...changed }) => ({
    ...model,
    draftForm: {
      node_id: "",
      input: "",
      count: 12,
      step: 6,
      sent: false,
      message: null,
      ...model.draftForm,
      ...changed,
    },
  }),
  draftFormClosed: (model) => ({ ...model, draftForm: null }),
  board: (model, { type: _, ...changed }) => ({
    ...model,
    board: { grid: "", ids: [], ticked: [], step: null, told: null, ...model.board, ...changed },
  }),
  boardClosed: (model) => ({ ...model, board: null }),
  choose(model, { job_id }) {
    if (model.board === null) return model;
    const { ticked } = model.board;
    const next = ticked.includes(job_id) ? ticked.filter((id) => id !== job_id) : [...ticked, job_id];
    return { ...model, board: { ...model.board, ticked: next, told: null } };
  },
};
