// @ts-check
/** What a search has found: users, runs and events whose name begins so. */
import { el, setText } from "../shared/dom.js";
import { counted, number } from "../shared/format.js";
import { eventLink, runLink, time, typeName, userLink } from "./cells.js";
import { href } from "./route.js";
import { Table } from "./table.js";
import { viewHeading } from "./view.js";

/** @implements {View} @typedef {import("./view.js").View} View */
export class SearchView {
  /** What is not found yet: the service was away, or has not answered. @type {string | null} */
  #wanted = null;

  /** @param {HTMLElement} place @param {import("./service.js").Service} service */
  constructor(place, service) {
    this.place = place;
    this.service = service;
    this.heading = viewHeading("Search");
    this.said = el("p", { id: "found", class: "muted", role: "status" });
    this.cards = { users: card("found-users"), runs: card("found-runs"), events: card("found-events") };
    place.append(this.heading, this.said, ...Object.values(this.cards));
    this.tables = { users: userTable(this.cards.users), runs: runTable(this.cards.runs), events: eventTable(this.cards.events) };
  }

  /** @param {import("./view.js").Route} route */
  async show({ q }) {
    this.#wanted = q;
    this.heading.replaceChildren("Search: ", el("bdi", {}, q));
    setText(this.said, "Searching…");
    for (const one of Object.values(this.cards)) one.hidden = true;
    await this.refresh();
  }

  /** What was found stays until somebody searches again. */
  async refresh() {
    const q = this.#wanted;
    if (q === null) return;
    const found = await this.service.get("/v1/search", { q, limit: 50 });
    if (q !== this.#wanted) return;
    this.#wanted = null;
    const only = single(found);
    if (only !== null) {
      // Back leads to where the search began, not here again.
      location.replace(href(only));
      return;
    }
    this.#draw(found);
  }

  /** @param {any} found */
  #draw(found) {
    /** @type {(keyof SearchView["tables"])[]} */
    const kinds = ["users", "runs", "events"];
    for (const kind of kinds) {
      this.cards[kind].hidden = found[kind].length === 0;
      this.tables[kind].show(found[kind]);
    }
    const counts = [counted(found.users.length, "user"), counted(found.runs.length, "run"), counted(found.events.length, "event")];
    const all = found.users.length + found.runs.length + found.events.length;
    const more = found.more.length > 0 ? ` There are more ${found.more.join(", ")}: type more of the name.` : "";
    setText(this.said, all === 0 ? "No user, run or event has a name that is or begins so." : `Found ${counts.join(", ")}.${more}`);
  }
}

/** The only thing found, as a route. @param {any} found */
function single({ users, runs, events }) {
  if (users.length + runs.length + events.length !== 1) return null;
  if (events.length === 1) return { event: events[0].event_id, user: events[0].user_id };
  if (runs.length === 1) return { run: runs[0].run_id, user: runs[0].user_id };
  return { user: users[0].user_id };
}

/** @param {string} id */
function card(id) {
  return /** @type {HTMLElement} */ (el("section", { id, class: "card", hidden: true }));
}

/** @param {Element} place @returns {Table<any>} */
function userTable(place) {
  return new Table(place, {
    title: "Users",
    empty: "",
    key: (row) => row.user_id,
    columns: [
      { title: "User", of: (row) => userLink(row.user_id) },
      { title: "Open", number: true, of: (row) => number(row.open) },
      { title: "Head", number: true, of: (row) => number(row.head_seq) },
    ],
  });
}

/** @param {Element} place @returns {Table<any>} */
function runTable(place) {
  return new Table(place, {
    title: "Runs",
    empty: "",
    key: (row) => JSON.stringify([row.run_id, row.user_id]),
    columns: [
      { title: "Run", of: (row) => runLink(row.run_id, row.user_id) },
      { title: "User", of: (row) => userLink(row.user_id) },
      { title: "Began", number: true, of: (row) => time(row.began_at) },
    ],
  });
}

/** @param {Element} place @returns {Table<any>} */
function eventTable(place) {
  return new Table(place, {
    title: "Events",
    empty: "",
    key: (row) => JSON.stringify([row.event_id, row.user_id]),
    columns: [
      { title: "Event", of: (row) => eventLink(row.event_id, row.user_id) },
      { title: "Type", of: (row) => typeName(row.type) },
      { title: "User", of: (row) => userLink(row.user_id) },
      { title: "Run", of: (row) => (row.run_id === null ? "–" : runLink(row.run_id, row.user_id)) },
      { title: "Accepted", number: true, of: (row) => time(row.accepted_at) },
    ],
  });
}
