// Holds a model that only a reducer changes, and tells who listens.

/**
 * @template M, A
 * @typedef {{
 *   get: () => M, dispatch: (action: A) => void,
 *   subscribe: (listener: (model: M, before: M, action: A) => void) => () => void,
 * }} StoreOf
 */

/**
 * @template M, A
 * @param {(model: M, action: A) => M} reduce
 * @param {M} initial
 * @returns {StoreOf<M, A>}
 */
export function createStore(reduce, initial) {
  let model = initial;
  /** @type {Set<(model: M, before: M, action: A) => void>} */
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
