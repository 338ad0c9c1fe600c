// A button beside ComfyUI's Run while a job of Midrun is at work or paused: Pause, Resume or Choose.
import { titleOf } from "../model/select.js";
import { wayOn } from "../model/select_command.js";
import { inFront } from "../model/select_places.js";
/** @import { Store } from "../model/action_types.js" */
/** @import { Model } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Page } from "./page.js" */

/** @type {Record<string, string>} */
const ICONS = {
  pause: "icon-[lucide--pause] size-4",
  resume: "icon-[lucide--play] size-4",
  choose: "icon-[lucide--square] size-4",
};

/**
 * @param {Store} store @param {Pick<Actions, "pauseOrResume">} actions
 * @param {Pick<Page, "hasTexts" | "onTab" | "setOnTab"> & { t: Translate, ports: Pick<Page["ports"], "workflowId"> }} page
 */
export function createActionBar(store, actions, page) {
  const { t } = page;

  /** @param {Model} model */
  function button(model) {
    const job = page.hasTexts() ? inFront(model, page.ports.workflowId()) : null;
    if (job === null) return null;
    const verb = wayOn(job);
    if (verb === null) return null;
    const label = t(`verb.${verb}`);
    const tooltip = `Midrun: ${label} · ${titleOf(t, model, job)}`;
    return { verb, id: job.job_id, label, tooltip };
  }

  return {
    /** The frontend asks again when what stands on the tab became another. */
    buttons() {
      if (!page.onTab("midrunInFront")) return [];
      const shown = button(store.get());
      if (shown === null) return [];
      const { verb, id, label, tooltip } = shown;
      return [
        { icon: ICONS[verb], label, tooltip, class: "midrun-in-front", onClick: () => void actions.pauseOrResume(id, verb) },
      ];
    },
    /** @param {Model} model */
    look(model) {
      const shown = button(model);
      page.setOnTab("midrunInFront", shown === null ? "" : [shown.verb, shown.id, shown.tooltip].join(" "));
    },
  };
}

/** @typedef {ReturnType<typeof createActionBar>} ActionBar */
