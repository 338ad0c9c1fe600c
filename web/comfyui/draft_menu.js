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
  return {
    /** @param {GraphNode} node */
    menu(node) {
      const seed = (node.widgets ?? []).find((/** @type {any} */ one) => SEEDS.includes(one.name));
      const root = page.root();
      if (seed === undefined || root === null || node.comfyClass === undefined) return [];
      page.needTexts(nothing);
      const content = page.hasTexts() ? t("draft.menu") : plain;
      return [{ content, callback: () => draft(executionIds(prefixes(root), node)[0], seed.name) }];
    },
  };
}
