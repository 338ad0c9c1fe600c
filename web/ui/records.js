// Small work on plain objects, none of which is changed in place.

/** @param {any} a @param {any} b */
export const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

/** @template T @param {Record<string, T>} record @param {string} key @returns {Record<string, T>} */
export function without(record, key) {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest;
}

/** @template T @param {Record<string, T>} record @param {(key: string, value: T) => boolean} wanted */
export function keep(record, wanted) {
  return Object.fromEntries(Object.entries(record).filter(([key, value]) => wanted(key, value)));
}

/**
 * Answers as it did last for the same arguments: a list that is scrolled is not made anew in each frame.
 * @template {any[]} A @template R @param {(...args: A) => R} compute @returns {(...args: A) => R}
 */
export function remembering(compute) {
  /** @type {A | null} */ let given = null;
  /** @type {R} */ let result;
  return (...args) => {
    if (given === null || args.some((arg, index) => arg !== given?.[index])) {
      result = compute(...args);
      given = args;
    }
    return result;
  };
}
