// What became of the GPU's time: all of it, and by week, workflow, model or reason.
import { h } from "../ui/dom.js";
import * as format from "../ui/format.js";
import { dialog } from "./dialog.js";
import { button } from "./parts.js";
/** @import { Figures, Ledger, LedgerBy, LedgerDialog } from "../model/types.js" */
/** @import { Translate } from "../ui/i18n.js" */
/** @import { Tools } from "./tools.js" */

/** Texts of the columns and what they are of. @type {[string, keyof Figures][]} */
const COLUMNS = [
  ["computed", "computed_s"],
  ["kept", "kept_s"],
  ["undecided", "undecided_s"],
  ["thrown", "thrown_s"],
  ["replayed", "replayed_s"],
  ["byDrafts", "saved_by_drafts_s"],
  ["byAborts", "saved_by_aborts_s"],
];
/** @type {LedgerBy[]} */
const BY = ["week", "workflow", "model", "reason"];

/** @param {Tools} tools @param {LedgerDialog} ledger */
export function ledgerView(tools, ledger) {
  const { t, dispatch, ledgerUrl } = tools;
  const close = () => dispatch({ type: "ledgerClosed" });
  return dialog("ledger", t("ledger.title"), close, {}, [
    h(
      "div",
      { key: "ledger", class: "midrun-ledger" },
      h(
        "header",
        { class: "midrun-board-top" },
        h("h2", null, t("ledger.title")),
        button(t("ledger.close"), "close", true, close, { small: true, verb: "closeLedger" }),
      ),
      ledger.message && h("p", { key: "told", class: "midrun-told midrun-alert", role: "alert" }, ledger.message),
      ledger.told === null
        ? !ledger.message && h("p", { key: "reading", class: "midrun-told" }, t("ledger.reading"))
        : told(tools, ledger.told, ledger.by),
      h("a", { class: "midrun-csv", href: ledgerUrl(), download: "" }, t("ledger.csv")),
    ),
  ]);
}

/** @param {Tools} tools @param {Ledger} ledger @param {LedgerBy} by */
function told(tools, ledger, by) {
  const { t, dispatch } = tools;
  return [
    h("p", { class: "midrun-told" }, t("ledger.told")),
    h(
      "div",
      { class: "midrun-chips", role: "group", "aria-label": t("ledger.by") },
      BY.map((name) =>
        h(
          "button",
          {
            key: name,
            type: "button",
            class: "midrun-chip",
            "data-by": name,
            "aria-pressed": String(name === by),
            onClick: () => dispatch({ type: "ledger", by: name }),
          },
          t(`ledger.${name}`),
        ),
      ),
    ),
    table(tools, ledger, by),
  ];
}

/** @param {Translate} t @param {Figures & Record<string, any>} row @param {LedgerBy} by */
const nameOf = (t, row, by) =>
  row.others ? t("ledger.others", { n: row.others }) : row[by] || t("ledger.unknown");

/** @param {Tools} tools @param {Ledger} ledger @param {LedgerBy} by */
function table({ t }, ledger, by) {
  const cells = (/** @type {Figures} */ row) =>
    COLUMNS.map(([name, key]) => h("td", { key: name, "data-figure": key }, format.clock(row[key])));
  const rows = ledger[`by_${by}`];
  return h(
    "div",
    { class: "midrun-ledger-table", role: "group", "aria-label": t("ledger.title"), tabindex: "0" },
    h(
      "table",
      null,
      h(
        "thead",
        null,
        h("tr", null, [
          h("th", { key: "by", scope: "col" }, t(`ledger.${by}`)),
          COLUMNS.map(([name]) => h("th", { key: name, scope: "col" }, t(`ledger.${name}`))),
        ]),
      ),
      h("tbody", null, [
        rows.map((row, index) =>
          h("tr", { key: `${by} ${index}` }, [
            h("th", { key: "name", scope: "row" }, nameOf(t, row, by)),
            cells(row),
          ]),
        ),
        !rows.length && h("tr", { key: "none" }, h("td", { colspan: COLUMNS.length + 1 }, t("ledger.none"))),
      ]),
      h(
        "tfoot",
        null,
        h("tr", null, [h("th", { key: "name", scope: "row" }, "Σ"), cells(ledger.total)]),
      ),
    ),
  );
}
