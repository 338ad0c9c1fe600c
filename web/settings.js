// Midrun's settings in ComfyUI's settings dialog. The server reads those that concern it. Data only.

export const settings = [
  {
    id: "Midrun.KeepInterruptedHistory",
    category: ["Midrun", "Jobs", "KeepInterruptedHistory"],
    name: "Keep the interrupted entry of a parked job in the queue history when it is resumed",
    type: "boolean",
    defaultValue: false,
  },
  {
    id: "Midrun.ConfirmAbort",
    category: ["Midrun", "Jobs", "ConfirmAbort"],
    name: "Ask before a job is aborted",
    tooltip: "The question also takes the reason, and lets the workflow finish with what is there.",
    type: "boolean",
    defaultValue: true,
  },
  {
    id: "Midrun.WatchEverything",
    category: ["Midrun", "Jobs", "WatchEverything"],
    name: "Watch every sampler of every prompt",
    tooltip: "As if each had a Midrun Attach before it; the workflow stays as it is.",
    type: "boolean",
    defaultValue: false,
  },
  {
    id: "Midrun.PauseOnNaN",
    category: ["Midrun", "Jobs", "PauseOnNaN"],
    name: "Pause a job when the model answers NaN",
    type: "boolean",
    defaultValue: true,
  },
  {
    id: "Midrun.RecordingsSize",
    category: ["Midrun", "Disk", "RecordingsSize"],
    name: "Disk space for the recordings of ended jobs, in GB",
    type: "number",
    defaultValue: 20,
    attrs: { min: 1, max: 100000 },
    tooltip: "The oldest completed jobs go first, then aborted, then failed ones; paused jobs never.",
  },
  {
    id: "Midrun.RecordingsAge",
    category: ["Midrun", "Disk", "RecordingsAge"],
    name: "Delete the recordings of ended jobs after so many days",
    type: "number",
    defaultValue: 30,
    attrs: { min: 1, max: 3650 },
  },
];
