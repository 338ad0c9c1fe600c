// Registers Midrun with ComfyUI's frontend. The only module here with side effects.
import { app } from "../../scripts/app.js";

app.registerExtension({
  name: "midrun",
  settings: [
    {
      id: "Midrun.KeepInterruptedHistory",
      name: "Keep the interrupted entry of a parked job in the queue history when it is resumed",
      type: "boolean",
      defaultValue: false,
    },
    {
      id: "Midrun.WatchEverything",
      name: "Watch every sampler of every prompt",
      type: "boolean",
      defaultValue: false,
      tooltip: "As if each had a Midrun Attach before it; the workflow stays as it is.",
    },
    {
      id: "Midrun.PauseOnNaN",
      name: "Pause a job when the model answers NaN",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "Midrun.RecordingsSize",
      name: "Disk space for the recordings of ended jobs, in GB",
      type: "number",
      defaultValue: 20,
      attrs: { min: 1, max: 100000 },
      tooltip: "The oldest completed jobs go first, then aborted, then failed ones; paused jobs never.",
    },
    {
      id: "Midrun.RecordingsAge",
      name: "Delete the recordings of ended jobs after so many days",
      type: "number",
      defaultValue: 30,
      attrs: { min: 1, max: 3650 },
    },
  ],
});
