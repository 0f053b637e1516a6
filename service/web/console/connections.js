// @ts-check
/** Who is connected where: revisions, nodes, and the sessions of all of them. */
import { el } from "../shared/dom.js";
import { duration, number } from "../shared/format.js";
import { mono, plain, time, userLink } from "./cells.js";
import { go } from "./route.js";
import { RevisionTable } from "./revisions.js";
import { Table } from "./table.js";
import { viewHeading } from "./view.js";

/**
 * A session of any node; only those of the node that answered tell their state.
 *
 * @typedef {{conn: string, user_id: string, device_id: string, transport: string,
 *   revision: string, instance: string, opened_at: number, phase?: string,
 *   replaying?: boolean, moving?: boolean, last_seq?: number, in_flight?: number,
 *   congested_seconds?: number}} Session
 */

/** @implements {View} @typedef {import("./view.js").View} View */
export class Connections {
  /** @type {{user?: string, revision?: string}} */
  #wanted = {};

  /** @param {HTMLElement} place @param {import("./service.js").Service} service */
  constructor(place, service) {
    this.place = place;
    this.service = service;
    const revisions = el("section", { class: "card" });
    const nodes = el("section", { id: "nodes", class: "card" });
    const sessions = el("section", { class: "card" });
    const list = el("div", { id: "sessions" });
    this.user = /** @type {HTMLInputElement} */ (
      el("input", { id: "session-user", class: "field", type: "search", placeholder: "any user", autocomplete: "off", spellcheck: "false" })
    );
    this.revision = /** @type {HTMLSelectElement} */ (el("select", { id: "session-revision", class: "field" }));
    this.form = el(
      "form",
      { class: "filter", "aria-label": "Filter the sessions" },
      el("div", { class: "labelled" }, el("label", { for: "session-user" }, "User"), this.user),
      el("div", { class: "labelled" }, el("label", { for: "session-revision" }, "Revision"), this.revision),
      el("button", { class: "button" }, "Filter"),
    );
    this.form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      go({ view: "connections", user: this.user.value.trim(), revision: this.revision.value });
    });
    sessions.append(this.form, list);
    place.append(viewHeading("Connections"), el("div", { class: "columns" }, revisions, nodes), sessions);
    this.revisions = new RevisionTable(revisions, service);
    this.nodes = nodeTable(nodes);
    this.sessions = sessionTable(list);
  }

  /** @param {import("./view.js").Route} route */
  async show({ user, revision }) {
    this.#wanted = { user, revision };
    this.user.value = user ?? "";
    this.#offer([], revision);
  }

  /** @param {any} status */
  async refresh(status) {
    this.revisions.show(status);
    this.nodes.show(status.nodes);
    this.#offer(Object.keys(status.sessions_by_revision), this.#wanted.revision);
    const wanted = this.#wanted;
    const found = await this.#sessions(status);
    if (wanted === this.#wanted) this.sessions.show(found.rows, found.total);
  }

  /** @param {any} status @returns {Promise<{rows: Session[], total: number}>} */
  async #sessions(status) {
    const { user, revision } = this.#wanted;
    if (user === undefined && revision === undefined) return { rows: status.sessions, total: sum(status.sessions_by_revision) };
    const found = await this.service.get("/v1/sessions", { user, revision });
    const detailed = new Map(status.sessions.map((/** @type {Session} */ one) => [one.conn, one]));
    const rows = found.sessions.map((/** @type {Session} */ one) => ({ ...one, ...(detailed.get(one.conn) ?? {}) }));
    return { rows, total: sum(found.by_revision) };
  }

  /** Offer the live revisions, and the chosen one. @param {string[]} names @param {string | undefined} chosen */
  #offer(names, chosen) {
    const all = [...new Set(["", ...names, ...(chosen === undefined ? [] : [chosen])])].sort();
    const there = Array.from(this.revision.options, (option) => option.value);
    if (names.length > 0 && JSON.stringify(all) === JSON.stringify(there)) return;
    const keep = names.length === 0 ? (chosen ?? "") : this.revision.value;
    this.revision.replaceChildren(...all.map((name) => el("option", { value: name }, name === "" ? "any revision" : name)));
    this.revision.value = keep;
  }
}

/** @param {Element} place @returns {Table<any>} */
function nodeTable(place) {
  return new Table(place, {
    title: "Nodes",
    empty: "No node has been seen lately.",
    key: (row) => row.node_id,
    columns: [
      { title: "Instance", of: (row) => plain(row.instance) },
      { title: "Revision", of: (row) => mono(row.revision) },
      { title: "Sessions", number: true, of: (row) => number(row.sessions) },
      { title: "Started", number: true, of: (row) => time(row.started_at) },
      { title: "Last seen", number: true, of: (row) => time(row.seen_at) },
    ],
  });
}

/**
 * @param {Element} place @param {{level?: string, ofOne?: boolean}} [options] `ofOne`: of
 *   one user, who is known; then not everything that only one node knows is told
 * @returns {Table<Session>}
 */
export function sessionTable(place, { level = "h2", ofOne = false } = {}) {
  return new Table(place, {
    title: "Sessions",
    level,
    empty: "Nobody is connected.",
    key: (row) => row.conn,
    columns: [
      ...(ofOne ? [] : [{ title: "User", of: (/** @type {Session} */ row) => userLink(row.user_id) }]),
      { title: "Device", of: (row) => plain(row.device_id) },
      { title: "Transport", of: (row) => row.transport },
      ...(ofOne ? [] : DETAILS),
      { title: "Since", number: true, of: (row) => time(row.opened_at) },
      { title: "Revision", of: (row) => mono(row.revision) },
      { title: "Node", of: (row) => plain(row.instance) },
    ],
  });
}

/** @type {import("./table.js").Column<Session>[]} */
const DETAILS = [
  { title: "State", kind: "short", of: state },
  { title: "In flight", number: true, of: (row) => known(row.in_flight) },
  { title: "Last seq", number: true, of: (row) => known(row.last_seq) },
];

/** @param {Session} row */
function state({ phase, replaying, moving, congested_seconds: congested = 0 }) {
  if (phase === undefined) return "on another node";
  if (congested > 0) return `slow reader, ${duration(congested)}`;
  if (moving === true) return "moving";
  return phase === "open" && replaying === true ? "replaying" : phase;
}

/** @param {number | undefined} count */
function known(count) {
  return count === undefined ? "–" : number(count);
}

/** @param {Record<string, number>} counts */
function sum(counts) {
  return Object.values(counts).reduce((all, count) => all + count, 0);
}
