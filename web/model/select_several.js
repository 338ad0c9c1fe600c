// What may be asked of the selected jobs. Pure functions.
import { filtered, verbs } from "./select.js";
/** @import { Model } from "./types.js" */

/** Whether one of the selected jobs can be deleted. @param {Model} model */
export const deletable = (model) =>
  (model.several.selected ?? []).some((id) => model.jobs[id] && verbs(model.jobs[id]).remove);

/** Whether all that the list shows are selected. @param {Model} model */
export function everySelected(model) {
  const [all, selected] = [filtered(model), new Set(model.several.selected)];
  return all.length > 0 && all.every((id) => selected.has(id));
}
