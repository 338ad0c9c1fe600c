// Jobs of other servers in the shared store, to be taken over. Below the list.
import { h } from "../ui/dom.js";
/** @import { Model, Other } from "../model/types.js" */
/** @import { Tools } from "./tools.js" */

/** @param {Tools} tools @param {Model} model */
export function othersView(tools, model) {
  const { others, taken, trouble } = model.tray;
  if (!others.length && trouble === null) return null;
  return h(
    "section",
    { class: "midrun-others", "aria-label": tools.t("others.title") },
    h("h3", null, tools.t("others.title")),
    trouble !== null && h("p", { class: "midrun-told midrun-alert", role: "status" }, trouble),
    taken !== null && h("p", { class: "midrun-told midrun-alert", role: "alert" }, taken),
    h("ul", { role: "list" }, others.map((other) => row(tools, other))),
  );
}

/** @param {Tools} tools @param {Other} other */
function row({ t, actions }, other) {
  const name = other.workflow ?? t("tray.unnamed", { id: other.job_id.slice(0, 8) });
  const step = other.total_steps === null ? `${other.step}` : `${other.step}/${other.total_steps}`;
  const lives = other.alive === false ? "dead" : other.alive ? "alive" : "unknown";
  return h(
    "li",
    { key: other.key, "data-job": other.job_id },
    h("span", null, t(`others.${lives}`, { name, step, host: other.host })),
    h(
      "button",
      {
        type: "button",
        class: "midrun-button",
        "data-verb": "take",
        disabled: other.alive === true,
        title: t("others.takeTip"),
        onClick: () => void actions.take(other.key),
      },
      t("others.take"),
    ),
  );
}
