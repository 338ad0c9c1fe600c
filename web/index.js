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
  ],
});
