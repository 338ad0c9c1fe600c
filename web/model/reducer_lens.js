// What a word of a prompt does: the input that is looked at, and what the server found.
/** @import { Reducers } from "./action_types.js" */
/** @import { LensModel } from "./types.js" */

/** @type {LensModel} */
export const initialLens = { lens: null };

/** @type {Pick<Reducers, "lens" | "lensOf" | "lensClosed">} */
export const onLens = {
  lensOf: (model, { job_id, node_id, input }) => ({
    ...model,
    lens: { job_id, node_id, input, word: null, found: null, message: null },
  }),
  lens(model, { type: _, ...changed }) {
    const { lens } = model;
    if (lens === null) return model;
    return { ...model, lens: { ...lens, ...changed } };
  },
  lensClosed: (model) => ({ ...model, lens: null }),
};
