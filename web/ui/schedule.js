// What goes on for a while or happens a little later, each as one function.

/**
 * Starts something when it is wanted and stops it when it is not any more.
 * @param {() => () => void} start gives what stops it
 * @returns {(wanted: boolean) => void}
 */
export function whileWanted(start) {
  /** @type {(() => void) | null} */ let stop = null;
  return (wanted) => {
    if (wanted === (stop !== null)) return;
    const before = stop;
    stop = wanted ? start() : null;
    before?.();
  };
}

/** Does the work each time so many milliseconds have passed, while that is wanted. @param {number} ms @param {() => void} work */
export const againWhileWanted = (ms, work) =>
  whileWanted(() => {
    const timer = setInterval(work, ms);
    return () => clearInterval(timer);
  });

/** Does the work once, so many milliseconds after it was asked for first. @param {number} ms @param {() => void} work */
export function soon(ms, work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      work();
    }, ms);
  };
}

/** Does the work once it was not asked for again in so many milliseconds. @param {number} ms @param {() => void} work */
export function whenQuiet(ms, work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  return {
    ask() {
      clearTimeout(timer);
      timer = setTimeout(work, ms);
    },
    cancel: () => clearTimeout(timer),
  };
}
