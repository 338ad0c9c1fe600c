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
