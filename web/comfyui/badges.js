// Badges on the nodes of the canvas that differ from the job that stands.
import { nodeAt } from "./graph.js";
/** @import { CanvasChange } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Graph } from "./graph.js" */

/**
 * @param {{ root: () => Graph | null, dirty: () => void, badge: (text: string) => any }} page
 * @param {Translate} t
 */
export function createBadges(page, t) {
  /** @type {Map<any, { badge: any, text: string }>} */ const held = new Map();

  /** @param {any} node */
  function take(node) {
    const known = held.get(node);
    held.delete(node);
    if (known && Array.isArray(node.badges))
      node.badges = node.badges.filter((/** @type {any} */ one) => one !== known.badge);
  }

  return {
    /** @param {CanvasChange[]} changes of the graph on screen */
    show(changes) {
      const root = page.root();
      /** @type {Map<any, number>} */ const counts = new Map();
      for (const change of changes) {
        const node = root && nodeAt(root, change.node_id);
        if (node) counts.set(node, (counts.get(node) ?? 0) + 1);
      }
      let changed = false;
      for (const [node, known] of [...held]) {
        const n = counts.get(node);
        if (n !== undefined && known.text === t("canvas.badge", { n })) continue;
        take(node);
        changed = true;
      }
      for (const [node, n] of counts) {
        if (held.has(node)) continue;
        const text = t("canvas.badge", { n });
        const badge = page.badge(text);
        if (badge === null) continue;
        node.badges = [...(node.badges ?? []), badge];
        held.set(node, { badge, text });
        changed = true;
      }
      if (changed) page.dirty();
    },
    get size() {
      return held.size;
    },
  };
}

/** @typedef {ReturnType<typeof createBadges>} Badges */
