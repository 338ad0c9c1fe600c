// The words of a prompt that can be left out, to see what they do. Pure functions.
const MOST = 120;
const TAGS = /<[^<>]*>|embedding:\S+/gu; // of LoRAs and embeddings, as some node packs read them
const WEIGHTS = /:\s*[-+]?[\d.]+(?=\s*\))/gu; // (word:1.2)
const WORD = /[\p{L}\p{N}_]+(?:[-'’][\p{L}\p{N}_]+)*/gu;

/** Each once, whatever its case, in the order in which they come. @param {string} text @returns {string[]} */
export function wordsOf(text) {
  const found = new Map();
  for (const [word] of text.replace(TAGS, " ").replace(WEIGHTS, " ").matchAll(WORD)) {
    const known = word.toLowerCase();
    if (!found.has(known)) found.set(known, word);
    if (found.size === MOST) break;
  }
  return [...found.values()];
}
