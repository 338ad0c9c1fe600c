// Numbers and times as a person reads them, in the language that is spoken.

let said = formatsOf("en");

/** @param {string} language such as "de" or "zh-TW" */
export function speak(language) {
  said = formatsOf(language);
}

/** @param {string} language */
function formatsOf(language) {
  const numbers = (/** @type {Intl.NumberFormatOptions} */ options) =>
    new Intl.NumberFormat(language, { numberingSystem: "latn", ...options });
  const times = (/** @type {Intl.DateTimeFormatOptions} */ options) =>
    new Intl.DateTimeFormat(language, { numberingSystem: "latn", ...options });
  const three = { maximumSignificantDigits: 3 };
  return {
    number: numbers({ useGrouping: "min2", maximumFractionDigits: 20 }), // 2000, but 20,000
    three: numbers({ ...three, minimumSignificantDigits: 3 }),
    digits: numbers(three),
    tiny: numbers({ ...three, notation: "scientific" }),
    sizes: ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"].map((unit) => ({
      whole: numbers({ style: "unit", unit, maximumFractionDigits: 0 }),
      tenths: numbers({ style: "unit", unit, minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    })),
    time: times({ timeStyle: "medium" }),
    moment: times({ dateStyle: "medium", timeStyle: "medium" }),
  };
}

/** @param {number} value @returns {string} */
export const number = (value) => said.number.format(value);

/** @param {string} at as in ISO 8601 @returns {string} 16:07:28 */
export const time = (at) => said.time.format(new Date(at));

/** @param {string} at as in ISO 8601 @returns {string} with the day */
export const moment = (at) => said.moment.format(new Date(at));

/** @param {number | null | undefined} seconds @returns {string} 0:41, 1:02:03 in every language */
export function clock(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–:––";
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** @param {number} bytes @returns {string} 3.4 GB */
export function size(bytes) {
  let unit = 0;
  let number = bytes;
  while (number >= 1000 && unit < said.sizes.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return said.sizes[unit][unit < 2 || number >= 100 ? "whole" : "tenths"].format(number);
}

/** @param {number | null} sigma @returns {string} three digits: 14.6, 3.21, 0.029 */
export function sigma(sigma) {
  if (sigma === null || sigma === undefined) return "";
  if (sigma === 0) return "0";
  return Math.abs(sigma) >= 100 ? number(Math.round(sigma)) : said.three.format(sigma);
}

/** @param {unknown} value @param {number} [longest] @returns {string} a value of a widget, short */
export function short(value, longest = 60) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}

/** @param {number} value @returns {string} three digits, however small: 0.000512, 5.1E-9 */
export const digits = (value) =>
  (value !== 0 && Math.abs(value) < 1e-6 ? said.tiny : said.digits).format(value);
