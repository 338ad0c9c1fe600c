// Numbers and times as a person reads them. Pure functions.

/** @param {number | null | undefined} seconds @returns {string} 0:41, 1:02:03 */
export function clock(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–:––";
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** @param {number} bytes @returns {string} 3.4 GB */
export function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let number = bytes;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return `${unit < 2 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${units[unit]}`;
}

/** @param {number | null} sigma @returns {string} three digits: 14.6, 3.21, 0.029 */
export function sigma(sigma) {
  if (sigma === null || sigma === undefined) return "";
  if (sigma === 0) return "0";
  return Math.abs(sigma) >= 100 ? String(Math.round(sigma)) : sigma.toPrecision(3);
}

/** @param {unknown} value @param {number} [longest] @returns {string} a value of a widget, short */
export function short(value, longest = 60) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}

/** @param {number} value @returns {string} three digits, however small: 0.000512, 5.1e-9 */
export const digits = (value) => String(Number(value.toPrecision(3)));
