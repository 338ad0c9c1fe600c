// Going back in a job and making others of it: the buttons below a picture and in the viewer, and who comes from whom.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { titleOf } from "../model/select.js";
import { isDraft, labelOf } from "../model/select_board.js";
import { forksOf, hasGrid } from "../model/select_family.js";
import { canFork, canRewind, canUndoRewind, leftOver } from "../model/select_travel.js";
import { icon } from "./icons.js";
import { button } from "./parts.js";
/** @import { Job, Model } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

/** @typedef {{ node_id: string, step: number }} Frame */

/**
 * The name of a job among its relatives: what it was forked with tells it from its siblings.
 * @param {Tools} tools @param {Model} model @param {Job} job @param {boolean} [alone] where its parent is not above it
 */
export function relativeName({ t }, model, job, alone = false) {
  const edits = Object.values(job.modified_params).flatMap((named) =>
    Object.entries(named).map(([input, edit]) => `${input} ${format.short(edit.to, 16)}`),
  );
  const what = edits.slice(0, 3).join(", ");
  const own = titleOf(t, model, job);
  const name = job.parent ? t("travel.forkFrom", { step: job.parent.step }) : own;
  return [alone && job.parent && own, name, what].filter(Boolean).join(" · ");
}

/**
 * What can be done from the step that is shown. Both buttons keep their places.
 * @param {Tools} tools @param {Model} model @param {Job} job @param {Frame | undefined} shown
 * @param {boolean} [keys] tell them
 */
export function travelButtons({ t, actions }, model, job, shown, keys = false) {
  const step = shown?.step ?? job.step;
  const free = model.requests[job.job_id] === undefined;
  const rewinds = canRewind(job, shown);
  const rewind = rewinds ? t("travel.rewind", { step }) : t("travel.rewindNone");
  const withKey = (/** @type {string} */ label, /** @type {string} */ key) =>
    keys ? `${label} (${key})` : label;
  return h(
    "div",
    { key: "travel", class: "midrun-travel", role: "group", "aria-label": t("travel.label") },
    button(
      withKey(rewind, "R"),
      "rewind",
      rewinds && free,
      () => actions.rewind(job.job_id, step, shown?.node_id),
      { verb: "rewind" },
    ),
    button(
      withKey(t("travel.fork", { step }), "F"),
      "fork",
      canFork(job, shown),
      () => actions.askToFork(job.job_id, step, shown?.node_id),
      { verb: "fork" },
    ),
  );
}

/** What a rewind left over, and how to take it back. @param {Tools} tools @param {Model} model @param {Job} job */
export function takeNote({ t, actions }, model, job) {
  if (!job.take) return null;
  const text = leftOver(job)
    ? t("travel.left", { from: job.step + 1, to: job.take.step })
    : t("travel.leftNode", { to: job.take.step });
  return h(
    "div",
    { key: "take", class: "midrun-take" },
    h("span", { class: "midrun-told" }, text),
    button(
      t("travel.undo"),
      "undo",
      canUndoRewind(job) && model.requests[job.job_id] === undefined,
      () => actions.undoRewind(job.job_id),
      { verb: "undoRewind" },
    ),
  );
}

/** The way to the board that the draft is on. @param {Translate} t @param {Job} job @param {() => void} open */
const draftLine = (t, job, open) =>
  h(
    "p",
    { key: "lineage", class: "midrun-told midrun-lineage" },
    h(
      "button",
      { type: "button", class: "midrun-link", "data-verb": "board", onClick: open },
      t("board.back", { label: labelOf(job) }),
    ),
  );

/** Where a fork comes from, with the way there. @param {Tools} tools @param {Model} model @param {Job} job */
export function lineage({ t, actions, sheetUrl }, model, job) {
  const { parent, grid } = job;
  const forks = forksOf(model, job.job_id).length;
  if (grid !== null && isDraft(job)) return draftLine(t, job, () => actions.openBoard(grid));
  if (!parent && !forks) return null;
  const known = parent ? model.jobs[parent.job_id] : undefined;
  const name = known ? titleOf(t, model, known) : "";
  return h(
    "p",
    { key: "lineage", class: "midrun-told midrun-lineage" },
    parent &&
      (known
        ? h(
            "button",
            {
              key: "parent",
              type: "button",
              class: "midrun-link",
              "data-verb": "parent",
              onClick: () => actions.open(parent.job_id),
            },
            t("travel.parent", { name, step: parent.step }),
          )
        : h("span", { key: "parent" }, t("travel.parentGone", { step: parent.step }))),
    forks > 0 && h("span", { key: "forks" }, t("travel.forks", { n: forks })),
    hasGrid(model, job) &&
      h(
        "a",
        {
          key: "sheet",
          class: "midrun-sheet",
          "data-verb": "sheet",
          href: sheetUrl(job.job_id),
          target: "_blank",
          rel: "noopener",
        },
        t("travel.sheet"),
        icon("open"),
      ),
  );
}
