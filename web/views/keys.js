// What keys that are held down do, wherever a view has keys of its own.

const NAVIGATES = /^(Arrow.+|Page.+|Home|End|[[\]+=-])$/;

/** Whether a key only moves what is looked at: held down, such a key repeats and no other. @param {string} key */
export const navigates = (key) => NAVIGATES.test(key);

/** Ends an event that a key gives again and again while it is held, unless it navigates. @param {KeyboardEvent} event @returns {boolean} whether it did */
export function endsRepeat(event) {
  if (!event.repeat || navigates(event.key)) return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}
