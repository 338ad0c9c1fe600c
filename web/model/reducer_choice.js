// What is ticked of what a job waits to be chosen from. Part of reducer.js.
/** @import { Reducers } from "./action_types.js" */
/** @import { ChoosingModel } from "./types.js" */

/** @type {[number, number]} */
const MIDDLE = [0.5, 0.5];

/** @type {ChoosingModel} */
export const initialChoosing = Object.freeze({ choosing: null });

/** @satisfies {Partial<Reducers>} */
export const onChoosing = {
  choosing: (model, { type: _, ...changed }) => ({
    ...model,
    choosing: {
      job_id: "",
      ticked: [],
      painting: null,
      painted: false,
      brush: 0.08,
      cursor: MIDDLE,
      sent: false,
      message: null,
      ...model.choosing,
      ...changed,
    },
  }),
  /** A mask is painted on one that is ticked. */
  paint: (model, { number }) =>
    model.choosing?.ticked.includes(number)
      ? { ...model, choosing: { ...model.choosing, painting: number, painted: false, cursor: MIDDLE } }
      : model,
  choosingClosed: (model) => ({ ...model, choosing: null }),
  pick(model, { number }) {
    const choice = model.choosing && model.jobs[model.choosing.job_id]?.choice;
    if (!model.choosing || !choice || number > choice.count) return model;
    const { ticked } = model.choosing;
    const others = ticked.filter((one) => one !== number);
    const rest = choice.most === 1 ? [] : others; // then the new one takes the place of the old one
    const next = others.length < ticked.length ? others : [...rest, number].sort((a, b) => a - b);
    if (choice.most && next.length > choice.most) return model;
    return { ...model, choosing: { ...model.choosing, ticked: next, message: null } };
  },
};
