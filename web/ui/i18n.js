// The one lookup of visible text. A language is locales/<language>/main.json, key "midrun".

/** @typedef {(key: string, values?: Record<string, string | number>) => string} Translate */

/**
 * @param {Record<string, any>} messages what ComfyUI serves at /i18n
 * @param {string} language such as "de" or "zh-TW"
 * @returns {Translate}
 */
export function translator(messages, language) {
  const chosen = [language, language.split("-")[0], "en"]
    .map((name) => messages?.[name]?.midrun)
    .filter(Boolean);
  return (key, values = {}) => {
    const path = key.split(".");
    for (const texts of chosen) {
      const found = path.reduce((/** @type {any} */ at, part) => at?.[part], texts);
      if (typeof found === "string") return fill(plural(found, values.n), values);
    }
    return key;
  };
}

/** "one change | {n} changes" @param {string} text @param {unknown} n */
function plural(text, n) {
  const forms = text.split(" | ");
  return forms.length === 2 ? forms[n === 1 ? 0 : 1] : text;
}

/** @param {string} text @param {Record<string, string | number>} values */
function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
