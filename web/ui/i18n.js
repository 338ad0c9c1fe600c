// The one lookup of visible text. A language is locales/<language>/main.json, key "midrun".
import * as format from "./format.js";

/** @typedef {(key: string, values?: Record<string, string | number>) => string} Translate */

/**
 * @param {Record<string, any>} messages what ComfyUI serves at /i18n
 * @param {string} language such as "de" or "zh-TW"
 * @returns {Translate}
 */
export function translator(messages, language) {
  const chosen = spoken(messages, language).map((name) => ({
    texts: messages[name].midrun,
    rules: new Intl.PluralRules(name),
  }));
  /** @type {Map<string, { forms: string[], rules: Intl.PluralRules }>} */ const known = new Map();
  const lookUp = (/** @type {string} */ key) => {
    const path = key.split(".");
    for (const { texts, rules } of chosen) {
      const found = path.reduce((/** @type {any} */ at, part) => at?.[part], texts);
      if (typeof found === "string") return { forms: found.split(" | "), rules };
    }
    return { forms: [key], rules: new Intl.PluralRules("en") };
  };
  return (key, values) => {
    const found = known.get(key) ?? lookUp(key);
    known.set(key, found);
    return fill(plural(found.forms, found.rules, values?.n), values);
  };
}

/** Of which languages there are texts, the one to use first. @param {Record<string, any>} messages @param {string} language */
export const spoken = (messages, language) =>
  [language, language.split("-")[0], "en"].filter((name) => messages?.[name]?.midrun);

/** "one change | {n} changes"; languages without a plural have one form. @param {string[]} forms @param {Intl.PluralRules} rules @param {unknown} n */
const plural = (forms, rules, n) =>
  forms.length === 2 ? forms[rules.select(Number(n)) === "one" ? 0 : 1] : forms.join(" | ");

/** @param {string} text @param {Record<string, string | number> | undefined} values */
function fill(text, values) {
  if (values === undefined || !text.includes("{")) return text;
  const told = (/** @type {string | number} */ value) =>
    typeof value === "number" ? format.number(value) : value;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? told(values[name]) : whole));
}
