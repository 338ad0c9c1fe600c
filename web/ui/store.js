// Holds the model. Nothing happens on import.

/**
 * @typedef {import("../model/reducer.js").Model} Model
 * @typedef {import("../model/reducer.js").Action} Action
 * @typedef {{
 *   get: () => Model, dispatch: (action: Action) => void,
 *   subscribe: (listener: (model: Model, before: Model, action: Action) => void) => () => void,
 * }} Store
 */

/**
 * @param {(model: Model, action: Action) => Model} reduce
 * @param {Model} initial
 * @returns {Store}
 */
export function createStore(reduce, initial) {
  let model = initial;
  /** @type {Set<(model: Model, before: Model, action: Action) => void>} */
  const listeners = new Set();
  return {
    get: () => model,
    dispatch(action) {
      const before = model;
      model = reduce(model, action);
      if (model !== before) for (const listener of [...listeners]) listener(model, before, action);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
