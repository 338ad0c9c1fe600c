// Commands for the palette, the menu and the keyboard. Keys that neither the frontend nor browsers use.
import { IN_FRONT, PAUSABLE, RESUMABLE, jobForCommand, jobToPauseOrResume } from "../model/select_command.js";
/** @import { Job } from "../model/types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { Store } from "../model/action_types.js" */

export const keybindings = [
  { commandId: "Midrun.PauseOrResume", combo: { key: "F8" } },
  { commandId: "Midrun.Step", combo: { key: "F9" } },
  { commandId: "Midrun.Abort", combo: { key: "F8", shift: true } },
  { commandId: "Midrun.TogglePanel", combo: { key: "F4" } },
  { commandId: "Midrun.ToggleTimeline", combo: { key: "F4", shift: true } },
];

export const menuCommands = [
  {
    path: ["Midrun"],
    commands: [
      "Midrun.PauseOrResume",
      "Midrun.Pause",
      "Midrun.Resume",
      "Midrun.Step",
      "Midrun.Edit",
      "Midrun.View",
      "Midrun.Abort",
      "Midrun.ToggleBreakpoint",
      "Midrun.ToggleChoice",
      "Midrun.DraftSeeds",
      "Midrun.TogglePanel",
      "Midrun.ToggleTimeline",
    ],
  },
];

/**
 * @param {Store} store
 * @param {Actions} actions
 * @param {{ selected: () => any[], keyIsHeld: () => boolean }} page
 * @param {{ jobOf: (node: any) => Job | null }} widgets
 * @param {{ toggle: (node: any) => void, toggleChoice: (node: any) => void }} breakpoints of nodes
 * @param {{ ask: (node: any) => void }} drafts of nodes with a seed
 * @param {() => any} togglePanel
 * @param {() => any} toggleTimeline
 */
export function createCommands(store, actions, page, widgets, breakpoints, drafts, togglePanel, toggleTimeline) {
  const selected = () =>
    page
      .selected()
      .map((node) => widgets.jobOf(node)?.job_id)
      .find((id) => id !== undefined) ?? null;
  /** @param {string[]} states @param {(id: string) => any} act */
  const on = (states, act) => () => {
    const id = jobForCommand(store.get(), states, selected());
    if (id !== null) return act(id);
  };
  const pauseOrResume = () => {
    const id = jobToPauseOrResume(store.get(), selected());
    if (id !== null) return actions.pauseOrResume(id);
  };
  const command = (
    /** @type {string} */ id,
    /** @type {string} */ label,
    /** @type {string} */ icon,
    /** @type {() => any} */ act,
  ) => ({ id: `Midrun.${id}`, label, icon, function: () => (page.keyIsHeld() ? undefined : act()) });
  return [
    command("PauseOrResume", "Midrun: Pause or resume", "icon-[lucide--play]", pauseOrResume),
    command("Pause", "Midrun: Pause", "icon-[lucide--pause]", on(PAUSABLE, actions.pause)),
    command("Resume", "Midrun: Resume", "icon-[lucide--play]", on(RESUMABLE, (id) => actions.pauseOrResume(id))),
    command("Step", "Midrun: Step", "icon-[lucide--step-forward]", on(["paused", "failed"], actions.step)),
    command("Edit", "Midrun: Edit parameters", "icon-[lucide--wrench]", on(IN_FRONT, actions.editFromNode)),
    command(
      "View",
      "Midrun: View the picture",
      "icon-[lucide--eye]",
      on([...IN_FRONT, "aborted", "completed"], (id) => actions.view(id)),
    ),
    command("Abort", "Midrun: Abort…", "icon-[lucide--square]", on(IN_FRONT, actions.askToAbort)),
    command("ToggleBreakpoint", "Midrun: Pause before the selected nodes", "icon-[lucide--target]", () =>
      page.selected().forEach((node) => breakpoints.toggle(node)),
    ),
    command("ToggleChoice", "Midrun: Choose before the selected nodes", "icon-[lucide--target]", () =>
      page.selected().forEach((node) => breakpoints.toggleChoice(node)),
    ),
    command("DraftSeeds", "Midrun: Draft seeds of the selected node…", "icon-[lucide--fast-forward]", () =>
      page.selected().slice(0, 1).forEach((node) => drafts.ask(node)),
    ),
    command("TogglePanel", "Midrun: Toggle panel", "icon-[lucide--history]", togglePanel),
    command("ToggleTimeline", "Midrun: Toggle timeline", "icon-[lucide--history]", toggleTimeline),
  ];
}
