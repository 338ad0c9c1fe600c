// The commands in the toolbox above a selected node. Pure.
/** @import { Job } from "../model/types.js" */

const OF_A_JOB = ["Midrun.PauseOrResume", "Midrun.Step", "Midrun.Edit"];

/**
 * @param {any} item that is selected: a node, a group, a reroute
 * @param {{ jobOf: (node: any) => Job | null }} widgets @param {{ stops: (node: any) => boolean }} breakpoints
 * @returns {string[]} ids of commands
 */
export function toolboxCommands(item, widgets, breakpoints) {
  if (item?.comfyClass === undefined) return [];
  return [
    ...(widgets.jobOf(item) === null ? [] : OF_A_JOB),
    ...(breakpoints.stops(item) ? ["Midrun.ToggleBreakpoint"] : []),
  ];
}
