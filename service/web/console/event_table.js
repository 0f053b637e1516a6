// @ts-check
import { number } from "../shared/format.js";
import { eventLink, outcome, runLink, time, typeName } from "./cells.js";
import { Table } from "./table.js";

/**
 * Events of one user, with what became of each.
 * @param {Element} place @param {{title: string, empty: string, level?: string, runs?: boolean}} options
 *   `runs`: whether to say of which run each is
 * @returns {Table<any>}
 */
export function eventTable(place, { title, empty, level = "h3", runs = true }) {
  const run = { title: "Run", of: (/** @type {any} */ row) => (row.run_id === null ? "–" : runLink(row.run_id, row.user_id)) };
  return new Table(place, {
    title,
    empty,
    level,
    header: 1,
    uncounted: true,
    key: (row) => String(row.seq),
    columns: [
      { title: "Seq", number: true, of: (row) => number(row.seq) },
      { title: "Event", of: (row) => eventLink(row.event_id, row.user_id) },
      { title: "Type", of: (row) => typeName(row.type) },
      ...(runs ? [run] : []),
      { title: "Outcome", of: outcome },
      { title: "Accepted", number: true, of: (row) => time(row.accepted_at) },
    ],
  });
}
