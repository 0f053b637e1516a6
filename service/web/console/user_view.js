// @ts-check
/** One user: where the stream stands, its events, who is connected, what is dead. */
import { el, setText } from "../shared/dom.js";
import { duration, number } from "../shared/format.js";
import { sessionTable } from "./connections.js";
import { revoke } from "./control.js";
import { eventTable } from "./event_table.js";
import { letterTable } from "./letter_table.js";
import { href } from "./route.js";
import { viewHeading } from "./view.js";

const PAGE_EVENTS = 50;
const LETTERS = 20;

export class UserView {
  missing = "There is no such user: nothing was published, and nobody ever connected.";
  #live = 0;
  /** The seq before the page's first event; null: the newest page. @type {number | null} */
  #after = null;
  #head = 0;

  /** @param {string} user @param {import("./service.js").Service} service */
  constructor(user, service) {
    this.user = user;
    this.service = service;
    this.path = `/v1/users/${encodeURIComponent(user)}/events`;
    this.facts = { head: el("dd"), settled: el("dd"), open: el("dd"), oldest: el("dd"), epoch: el("dd", { class: "mono" }) };
    this.said = el("div", { class: "said", role: "status" });
    const events = el("section", { id: "user-events", class: "card" });
    const sessions = el("section", { id: "user-sessions", class: "card" });
    const letters = el("section", { id: "user-letters", class: "card" });
    this.newer = el("button", { class: "button small", type: "button", onclick: () => void this.#turn(1) }, "Newer");
    this.older = el("button", { class: "button small", type: "button", onclick: () => void this.#turn(-1) }, "Older");
    this.nodes = [
      el(
        "div",
        { class: "view-head" },
        viewHeading(el("span", {}, "User ", el("bdi", {}, user))),
        el("button", { class: "button", type: "button", onclick: () => void revoke(service, this.said, user, this.#live) }, "Revoke…"),
      ),
      this.said,
      el("dl", { class: "card facts-row" }, ...this.#facts()),
      events,
      el("div", { class: "columns" }, letters, sessions),
    ];
    this.events = eventTable(events, { title: "Events, newest first", empty: "No event is kept.", level: "h3" });
    events.append(el("div", { class: "pager", role: "group", "aria-label": "Pages" }, this.newer, this.older));
    this.letters = letterTable(letters, { level: "h3", empty: "No dead letter.", ofOne: true });
    letters.append(el("p", {}, el("a", { class: "link", href: href({ view: "dead-letters", user }) }, "Work on this user’s dead letters")));
    this.sessions = sessionTable(sessions, { level: "h3", ofOne: true });
  }

  async refresh() {
    const head = this.#after === null ? (await this.service.get(this.path, { limit: 0 })).head : 0;
    const after = this.#after ?? Math.max(0, head - PAGE_EVENTS);
    const [stream, sessions, letters] = await Promise.all([
      this.service.get(this.path, { after, limit: PAGE_EVENTS }),
      this.service.get("/v1/sessions", { user: this.user }),
      this.service.get("/v1/dead-letters", { user: this.user, state: "any", limit: LETTERS }),
    ]);
    this.#head = stream.head;
    this.#drawStream(stream, after);
    this.#live = sessions.sessions.length;
    this.sessions.show(sessions.sessions);
    this.letters.show(letters.dead_letters);
  }

  /** @param {any} stream @param {number} after */
  #drawStream({ head, settled, epoch, events }, after) {
    setText(this.facts.head, number(head));
    setText(this.facts.settled, number(settled));
    setText(this.facts.epoch, epoch);
    const shown = events.filter((/** @type {any} */ one) => one.seq <= after + PAGE_EVENTS);
    const open = shown.filter((/** @type {any} */ one) => one.outcome === null);
    setText(this.facts.open, number(open.length));
    setText(this.facts.oldest, open.length === 0 ? "–" : `${duration(Date.now() / 1000 - open[0].accepted_at)} ago`);
    this.events.show(shown.toReversed());
    this.newer.toggleAttribute("disabled", this.#after === null);
    this.older.toggleAttribute("disabled", after === 0);
  }

  /** @param {1 | -1} by */
  async #turn(by) {
    const after = (this.#after ?? Math.max(0, this.#head - PAGE_EVENTS)) + by * PAGE_EVENTS;
    this.#after = after + PAGE_EVENTS >= this.#head ? null : Math.max(0, after);
    await this.refresh().catch(() => undefined); // the next turn says what is wrong
  }

  #facts() {
    const titles = { head: "Events in the stream", settled: "Settled up to seq", open: "Open on this page", oldest: "Oldest of these", epoch: "Epoch" };
    return Object.entries(titles).map(([name, title]) =>
      el("div", {}, el("dt", {}, title), this.facts[/** @type {keyof UserView["facts"]} */ (name)]));
  }
}
