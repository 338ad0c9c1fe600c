// What may be asked of the selected jobs. Pure functions.
import { verbs } from "./select.js";
/** @import { Model } from "./types.js" */

/** Whether one of the selected jobs can be deleted. @param {Model} model */
export const deletable = (model) =>
  (model.several.selected ?? []).some((id) => model.jobs[id] && verbs(model.jobs[id]).remove);
