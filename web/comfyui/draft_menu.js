// "Draft seeds" in ComfyUI's context menu of a node that has a seed.
import { executionIds, prefixes } from "./graph.js";
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Graph, GraphNode } from "./graph.js" */

const SEEDS = ["seed", "noise_seed"];
const nothing = () => {};

/**
 * @param {{ root: () => Graph | null, hasTexts: () => boolean, needTexts: (then: () => void) => void }} page
 * @param {Translate} t @param {string} plain what the menu says before there are texts
 * @param {(nodeId: string, input: string) => void} draft
 */
export function createDraftMenu(page, t, plain, draft) {
  /** What its drafts would vary; null: it has no seed. @param {GraphNode} node */
  const seedOf = (node) => {
    const seed = (node.widgets ?? []).find((/** @type {any} */ one) => SEEDS.includes(one.name));
    return seed === undefined || node.comfyClass === undefined ? null : seed.name;
  };
  /** @param {GraphNode} node */
  function ask(node) {
    const [root, seed] = [page.root(), seedOf(node)];
    if (root !== null && seed !== null) draft(executionIds(prefixes(root), node)[0], seed);
  }
  return {
    ask,
    /** @param {GraphNode} node */
    menu(node) {
      if (seedOf(node) === null || page.root() === null) return [];
      page.needTexts(nothing);
      return [{ content: page.hasTexts() ? t("draft.menu") : plain, callback: () => ask(node) }];
    },
  };
}
