// @ts-check
/** The lists of the console: live sessions, streams, dead letters. */
import { el } from "../shared/dom.js";
import { duration, moment, number, words } from "../shared/format.js";
import { Table } from "./table.js";

/** @typedef {(name: string) => void} Show */

/**
 * @typedef {{conn: string, user_id: string, device_id: string, phase: string,
 *   replaying: boolean, last_seq: number, in_flight: number, opened_at: number,
 *   congested_seconds: number}} Session
 * @param {Element} place @param {Show} showUser
 * @returns {Table<Session>}
 */
export function sessionTable(place, showUser) {
  return new Table(place, {
    title: "Live sessions on this instance",
    empty: "Nobody is connected here.",
    key: (row) => row.conn,
    search: (row) => `${row.user_id} ${row.device_id} ${row.phase}`,
    columns: [
      { title: "User", of: (row) => (row.user_id === "" ? "–" : opener(row.user_id, showUser)) },
      { title: "Device", of: (row) => mono(row.device_id || "–") },
      { title: "State", of: state },
      { title: "In flight", number: true, of: (row) => number(row.in_flight) },
      { title: "Last seq", number: true, of: (row) => number(row.last_seq) },
      { title: "Since", number: true, of: (row) => moment(row.opened_at) },
    ],
  });
}

/**
 * @typedef {{user_id: string, head_seq: number, settled_seq: number, open: number,
 *   oldest_open_seconds: number | null}} Stream
 * @param {Element} place @param {Show} showUser
 * @returns {Table<Stream>}
 */
export function streamTable(place, showUser) {
  return new Table(place, {
    title: "Streams",
    empty: "Nothing was published yet.",
    key: (row) => row.user_id,
    search: (row) => row.user_id,
    columns: [
      { title: "User", of: (row) => opener(row.user_id, showUser) },
      { title: "Head", number: true, of: (row) => number(row.head_seq) },
      { title: "Settled up to", number: true, of: (row) => number(row.settled_seq) },
      { title: "Open", number: true, of: (row) => number(row.open) },
      { title: "Oldest open", number: true, of: (row) => duration(row.oldest_open_seconds) },
    ],
  });
}

/**
 * @typedef {{event_id: string, user_id: string, seq: number, type: string | null,
 *   run_id: string | null, reason: string, attempts: number, at: number,
 *   reasons: string[]}} DeadLetter
 * @param {Element} place @param {Show} showUser @param {Show} showEvent
 * @returns {Table<DeadLetter>}
 */
export function deadLetterTable(place, showUser, showEvent) {
  return new Table(place, {
    title: "Dead letters",
    empty: "None: nothing was given up.",
    key: (row) => `${row.user_id} ${row.seq}`,
    search: (row) => `${row.user_id} ${row.event_id} ${row.type} ${row.reason}`,
    columns: [
      { title: "Event", of: (row) => opener(row.event_id, showEvent, "mono") },
      { title: "User", of: (row) => opener(row.user_id, showUser) },
      { title: "Type", of: (row) => words(row.type ?? "–") },
      { title: "Reasons of the failed attempts", of: reasons },
      { title: "When", number: true, of: (row) => moment(row.at) },
    ],
  });
}

/**
 * What leads to a user or an event.
 * @param {string} name @param {Show} show
 */
export function opener(name, show, kind = "") {
  return el("button", { class: `link opener ${kind}`, type: "button", dir: "auto", onclick: () => show(name) }, name);
}

/** @param {string} text */
export function mono(text) {
  return el("span", { class: "mono name", dir: "auto" }, text);
}

/** @param {Session} row */
function state({ phase, replaying, congested_seconds: congested }) {
  if (congested > 0) return `slow reader, ${duration(congested)}`;
  return phase === "open" && replaying ? "replaying" : phase;
}

/** @param {DeadLetter} row */
function reasons({ reason, reasons: all }) {
  if (all.length === 0) return el("span", { class: "name", dir: "auto" }, reason);
  return el("ol", { class: "reasons" }, ...all.map((one) => el("li", { dir: "auto" }, one)));
}
