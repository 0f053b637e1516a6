// @ts-check
import { el } from "../shared/dom.js";
import { counted } from "../shared/format.js";
import { eventLink, runLink, time, typeName, userLink } from "./cells.js";
import { keyOf } from "./letter_selection.js";
import { Table } from "./table.js";

/**
 * @typedef {{event_id: string, user_id: string, seq: number, type: string | null,
 *   run_id: string | null, reason: string, attempts: number, at: number, state: string,
 *   reasons: string[]}} DeadLetter
 * @param {Element} place
 * @param {{title?: string, level?: string, empty?: string, ofOne?: boolean,
 *   choice?: (row: DeadLetter) => string | Node}} [options] `choice`: the cell to choose
 *   a letter by; `ofOne`: of one user, and short
 * @returns {Table<DeadLetter>}
 */
export function letterTable(place, { title = "Dead letters", level = "h2", empty = "None: nothing was given up.", ofOne = false, choice } = {}) {
  const columns = [
    { title: "Event", of: (/** @type {DeadLetter} */ row) => eventLink(row.event_id, row.user_id) },
    ...(ofOne ? [] : [{ title: "User", of: (/** @type {DeadLetter} */ row) => userLink(row.user_id) }]),
    { title: "Type", of: (/** @type {DeadLetter} */ row) => (row.type === null ? "–" : typeName(row.type)) },
    ...(ofOne ? [] : [{ title: "Run", of: (/** @type {DeadLetter} */ row) => (row.run_id === null ? "–" : runLink(row.run_id, row.user_id)) }]),
    { title: "Reasons", of: reasons },
    { title: "State", of: (/** @type {DeadLetter} */ row) => el("span", { class: "outcome", "data-outcome": row.state === "open" ? "dead" : row.state }, row.state) },
    { title: "Died", number: true, of: (/** @type {DeadLetter} */ row) => time(row.at) },
  ];
  const chosen = choice === undefined ? [] : [{ title: "Choose", hidden: true, kind: "choose", of: choice }];
  return new Table(place, { title, level, empty, key: keyOf, header: chosen.length, columns: [...chosen, ...columns] });
}

/** The reasons of the failed attempts, the same ones together. @param {DeadLetter} row */
function reasons({ reason, reasons: all }) {
  const times = new Map();
  for (const one of all.length === 0 ? [reason] : all) times.set(one, (times.get(one) ?? 0) + 1);
  const items = [...times].map(([text, count]) =>
    el("li", {}, el("span", { dir: "auto" }, text), count > 1 && el("span", { class: "muted" }, ` ${counted(count, "time")}`)));
  return el("ul", { class: "reasons" }, ...items);
}
