// The queue as a whole, and jobs that are selected to be asked at once.
import { same } from "../ui/records.js";
/** @import { Reducers } from "./action_types.js" */
/** @import { Several } from "./types.js" */

/** @type {Several} */
const nothing = { paused: false, interrupted: 0, choices: 0, standing: 0, selected: null, asked: null, sure: null, told: null };
export const initialSeveral = { several: nothing };

/** @satisfies {Partial<Reducers>} */
export const onSeveral = {
  several(model, { type: _, ...changed }) {
    const next = { ...model.several, ...changed };
    return same(next, model.several) ? model : { ...model, several: next };
  },
  toggle(model, { job_id }) {
    const selected = new Set(model.several.selected);
    if (!selected.delete(job_id)) selected.add(job_id);
    const next = model.order.filter((id) => selected.has(id)); // as the list has them
    return { ...model, several: { ...model.several, selected: next, sure: null } };
  },
};
