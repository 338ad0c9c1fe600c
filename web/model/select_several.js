// What may be asked of the selected jobs. Pure functions.
import { verbs } from "./select.js";
/** @import { Model } from "./types.js" */

/** Whether one of the selected jobs can be deleted. @param {Model} model @param {string} verb */
export const selectable = (model, verb) =>
  (model.several.selected ?? []).some((id) => {
    const job = model.jobs[id];
    return job !== undefined && (verb !== "delete" || verbs(job).remove);
  });
