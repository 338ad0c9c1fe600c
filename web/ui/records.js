// Small work on plain objects, none of which is changed in place.

/** @param {any} a @param {any} b */
export const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

/** @template T @param {Record<string, T>} record @param {string} key @returns {Record<string, T>} */
export function without(record, key) {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest;
}

/** @template T @param {Record<string, T>} record @param {Set<string>} keys @returns {Record<string, T>} */
export const withoutThose = (record, keys) =>
  [...keys].some((key) => key in record) ? keep(record, (key) => !keys.has(key)) : record;

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

/**
 * Answers once for each object that it is asked about, whoever asks and in whatever order.
 * @template {object} K @template {any[]} A @template R @param {(key: K, ...more: A) => R} compute  more: goes with the object
 * @returns {(key: K, ...more: A) => R}
 */
export function onceFor(compute) {
  /** @type {WeakMap<K, R>} */ const known = new WeakMap();
  return (key, ...more) => {
    if (!known.has(key)) known.set(key, compute(key, ...more));
    return /** @type {R} */ (known.get(key));
  };
}
