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
  return (key, values = {}) => {
    const path = key.split(".");
    for (const { texts, rules } of chosen) {
      const found = path.reduce((/** @type {any} */ at, part) => at?.[part], texts);
      if (typeof found === "string") return fill(plural(found, rules, values.n), values);
    }
    return key;
  };
}

/** Of which languages there are texts, the one to use first. @param {Record<string, any>} messages @param {string} language */
export const spoken = (messages, language) =>
  [language, language.split("-")[0], "en"].filter((name) => messages?.[name]?.midrun);

/** "one change | {n} changes"; languages without a plural have one form. @param {string} text @param {Intl.PluralRules} rules @param {unknown} n */
function plural(text, rules, n) {
  const forms = text.split(" | ");
  return forms.length === 2 ? forms[rules.select(Number(n)) === "one" ? 0 : 1] : text;
}

/** @param {string} text @param {Record<string, string | number>} values */
function fill(text, values) {
  const told = (/** @type {string | number} */ value) =>
    typeof value === "number" ? format.number(value) : value;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? told(values[name]) : whole));
}
